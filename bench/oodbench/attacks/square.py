"""Square, a random search that asks for logits alone.

Andriushchenko, Croce, Flammarion & Hein, "Square attack: a query-efficient black-box adversarial attack via random
search", 2020, algorithms 1 and 2, in the l-infinity ball. It starts with vertical stripes of +-ε, a sign each channel
and column. A step draws a square of the image and a sign for each channel, sets the change there to +-ε (Π: in the
ball, in the box), and keeps it if the margin max_{i != y} z_i - z_y grows. A square covers the share p of the image;
p starts at p_init and is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 steps, and at the
same shares of any other number. An image that fools the model is left alone from then on.

It finds what gradients hide. As in the authors' code in AutoAttack the sign of an unchanged square may be drawn again;
there, all images of a batch have the same square in a step.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import margin
from oodbench.attacks.norms import NORMS
from oodbench.attacks.victim import Aim, Best, Draws, Victim

HALVED = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Steps of 10,000 after which p is halved."""


def square(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    eps: float,
    steps: int,
    p_init: float,
) -> Float[Tensor, "n c h w"]:
    """Return the points of the largest margin that were found."""
    _, channels, height, width = x.shape
    best = Best(x)
    stripes = _signs(draws.uniform((channels, 1, width), "stripes", like=x))
    _offer(best, torch.arange(len(x), device=x.device), (x + eps * stripes).clamp(0, 1), aim, victim)
    places = draws.uniform((steps, 2), "places", like=x)
    signs = _signs(draws.uniform((steps, channels), "signs", like=x))
    for step in range(steps):
        rows = best.open(victim)
        if not len(rows):
            break
        side = side_of(p_init, step, steps, height, width)
        top, left = (places[rows, step] * torch.tensor([height - side + 1, width - side + 1], device=x.device)).long().T
        inside = _inside(top, side, height)[:, None, :, None] & _inside(left, side, width)[:, None, None, :]
        moved = torch.where(inside, x[rows] + eps * signs[rows, step][:, :, None, None], best.x[rows])
        _offer(best, rows, NORMS["linf"].into(moved, x[rows], eps), aim, victim)
    return best.x


def side_of(p_init: float, step: int, steps: int, height: int, width: int) -> int:
    """Return the side of the square of a step: it covers the share p of the image, and is at least one pixel."""
    halvings = sum(step * 10_000 // steps > limit for limit in HALVED)
    side = round(math.sqrt(p_init / 2**halvings * height * width))
    return min(max(side, 1), height, width)


def _offer(best: Best, rows: Tensor, x: Tensor, aim: Aim, victim: Victim) -> None:
    value, z = victim.rank(margin, x, aim[rows])
    best.offer(rows, x, value, aim[rows].reached(z))


def _signs(u: Tensor) -> Tensor:
    return torch.where(u < 0.5, -1.0, 1.0).to(u.dtype)


def _inside(start: Tensor, side: int, length: int) -> Tensor:
    """Return which of `length` places lie in [start, start + side) [n length]."""
    place = torch.arange(length, device=start.device)
    return (place >= start[:, None]) & (place < start[:, None] + side)
