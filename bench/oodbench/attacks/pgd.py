"""PGD, projected gradient descent with random restarts.

Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018.

    x_0 = x + u,  u uniform in the ball,    x_{k+1} = Π(x_k + α d(∇_x L(z(x_k), y)))

d is the sign in the l-infinity ball, and the gradient of length 1 in the l2 ball; Π projects on the ball and cuts to
the box [0, 1]. The last x_k of a start counts; of an attacker who knows a detector the best x_k. A restart is made of
the images that no earlier one made fool the model; of several, what fools it goes before what does not, then the
highest loss.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import LOSSES
from oodbench.attacks.norms import NORMS
from oodbench.attacks.victim import Aim, Best, Draws, Victim


def pgd(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    norm: str,
    eps: float,
    alpha: float,
    steps: int,
    restarts: int,
    loss: str,
) -> Float[Tensor, "n c h w"]:
    """Return the best of all restarts; an image that no gradient moved stays as it was."""
    ball, climbed, best = NORMS[norm], LOSSES[loss], Best(x)
    for restart in range(restarts):
        rows = best.open(victim)
        if not len(rows):
            break
        clean, wanted = x[rows], aim[rows]
        at = ball.into(clean + eps * ball.inside(draws[rows], f"restart {restart}", clean), clean, eps)
        moved = torch.zeros(len(rows), dtype=torch.bool, device=x.device)
        for _ in range(steps):
            here = victim.climb(climbed, at, wanted)
            gradient = here.gradient
            moved |= gradient.flatten(1).any(1)
            if victim.selective:
                best.offer(rows, at, here.rank, wanted.reached(here.z), moved)
            at = ball.into(at + alpha * ball.ascent(gradient), clean, eps)
        rank, z = victim.rank(climbed, at, wanted)
        best.offer(rows, at, rank, wanted.reached(z), moved)
    return best.x
