"""APGD, PGD that chooses its own step.

Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks", 2020,
algorithm 1. With α = 0.75, ρ = 0.75 and a first step η = 2ε:

    z_{k+1} = Π(x_k + η d(∇ L(x_k)))
    x_{k+1} = Π(x_k + α (z_{k+1} - x_k) + (1 - α)(x_k - x_{k-1}))

d is the sign in the l-infinity ball, and the gradient of length 1 in the l2 ball. At the checkpoints w_j = ceil(p_j
steps), p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), the step is halved and the search goes back to
the best point so far, of each image for itself, where

    1. fewer than ρ (w_j - w_{j-1}) of the steps since the last checkpoint raised L, or
    2. neither η nor the best L has changed since it.

Starts lie on the ball's surface, as the authors' code has them. It differs from the paper elsewhere, too: condition 1
counts at most ρ (w_j - w_{j-1}), and 2 is not asked at the first checkpoint. What is kept of an image is the highest
loss among the points that fool the model, else among all; the authors keep the last that fools, else the clean image.
Of an attacker who knows a detector it is the highest score among the points that fool.
Towards classes (`targets` = 9: APGD-T) a start is made towards each of the likeliest other classes in turn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import LOSSES
from oodbench.attacks.norms import NORMS, Norm, per_image
from oodbench.attacks.targets import likeliest
from oodbench.attacks.victim import Aim, Best, Draws, Loss, Slope, Victim

MOMENTUM = 0.75
"""α: the share of a step that is new."""

RHO = 0.75
"""The least share of steps that must raise the loss."""


def apgd(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    norm: str,
    eps: float,
    steps: int,
    restarts: int,
    loss: str,
    targets: int = 0,
) -> Float[Tensor, "n c h w"]:
    """Return the best of all starts; an image that no gradient moved stays as it was."""
    ball, best = NORMS[norm], Best(x)
    for start, goal in _starts(x, aim, victim, restarts, targets):
        rows = best.open(victim)
        if not len(rows):
            break
        _search(
            rows, x[rows], (goal[rows], aim[rows]), victim, draws[rows], start, ball, eps, steps, LOSSES[loss], best
        )
    return best.x


def _starts(x: Tensor, aim: Aim, victim: Victim, restarts: int, targets: int) -> Iterator[tuple[str, Aim]]:
    """Yield a name for each start's draws, and where it leads."""
    others = likeliest(x, aim, victim, targets) if targets else []
    for goal, t in enumerate(others) if targets else [(0, aim.t)]:
        for restart in range(restarts):
            yield f"restart {restart}" + (f" to {goal}" if targets else ""), Aim(aim.y, t)


def _search(
    rows: Tensor,
    x: Tensor,
    aims: tuple[Aim, Aim],
    victim: Victim,
    draws: Draws,
    start: str,
    ball: Norm,
    eps: float,
    steps: int,
    loss: Loss,
    best: Best,
) -> None:
    """Climb from one start, and offer every point to the best: it leads to the first aim, the second is what counts."""
    goal, aim = aims
    at = before = ball.into(x + eps * ball.surface(draws, start, x), x, eps)
    here = victim.climb(loss, at, goal)
    top, top_x, top_gradient = here.value, at, here.gradient
    moved = here.gradient.flatten(1).any(1)
    _offer(best, rows, at, here, aim, moved)
    eta = torch.full((len(x),), 2 * eps, dtype=x.dtype, device=x.device)
    raised = torch.zeros(len(x), device=x.device)
    kept_eta, kept_top, last, checks = eta, top, 0, checkpoints(steps)
    for k in range(1, steps + 1):
        share = MOMENTUM if k > 1 else 1.0  # there is no step before the first
        z = ball.into(at + per_image(eta, x) * ball.ascent(here.gradient), x, eps)
        step = ball.into(at + share * (z - at) + (1 - share) * (at - before), x, eps)
        before, at, value = at, step, here.value
        here = victim.climb(loss, at, goal)
        moved |= here.gradient.flatten(1).any(1)
        _offer(best, rows, at, here, aim, moved)
        raised += here.value > value
        higher = here.value > top
        top = torch.where(higher, here.value, top)
        top_x = torch.where(per_image(higher, x) > 0, at, top_x)
        top_gradient = torch.where(per_image(higher, x) > 0, here.gradient, top_gradient)
        if k not in checks:
            continue
        stuck = (raised < RHO * (k - last)) | ((eta == kept_eta) & (top == kept_top))
        kept_eta, kept_top, last = eta, top, k
        raised = torch.zeros_like(raised)
        eta = torch.where(stuck, eta / 2, eta)
        back = per_image(stuck, x) > 0
        at = torch.where(back, top_x, at)
        here = Slope(
            torch.where(stuck, top, here.value), torch.where(back, top_gradient, here.gradient), here.z, here.rank
        )


def _offer(best: Best, rows: Tensor, x: Tensor, here: Slope, aim: Aim, moved: Tensor) -> None:
    best.offer(rows, x, here.rank, aim.reached(here.z), moved)


def checkpoints(steps: int) -> tuple[int, ...]:
    """Return the steps w_1 < w_2 < ... after which the step's length is looked at.

    Example:
        >>> checkpoints(100)
        (22, 41, 57, 70, 80, 87, 93, 99)
    """
    before, p, found = 0, 22, []  # in hundredths: sums of decimals would be rounded up
    while p <= 100:
        found.append(-(-p * steps // 100))
        before, p = p, p + max(p - before - 3, 6)
    return tuple(dict.fromkeys(found))
