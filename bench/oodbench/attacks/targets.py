"""Rules for the class that a targeted attack leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.attacks.victim import Aim, Draws, Victim
from oodbench.errors import BadData

Rule = Callable[[Tensor, Tensor, Draws], Tensor]
"""(logits of the clean images [n C], their classes y [n], draws) -> target classes [n], none of them y."""


def drawn(z: Float[Tensor, "n C"], y: Int[Tensor, "n"], draws: Draws) -> Int[Tensor, "n"]:
    """Return one of the other classes at random, each as likely (the average case of Carlini & Wagner)."""
    shift = (draws.uniform((), "target", like=z) * (z.shape[1] - 1)).floor().to(y.dtype)
    return (y + 1 + shift.clamp(max=z.shape[1] - 2)) % z.shape[1]


def following(z: Float[Tensor, "n C"], y: Int[Tensor, "n"], draws: Draws) -> Int[Tensor, "n"]:
    """Return the class after y, and the first after the last."""
    return (y + 1) % z.shape[1]


def runner_up(z: Float[Tensor, "n C"], y: Int[Tensor, "n"], draws: Draws) -> Int[Tensor, "n"]:
    """Return the likeliest other class of the clean image."""
    return _ordered(z, y)[:, 0]


def least_likely(z: Float[Tensor, "n C"], y: Int[Tensor, "n"], draws: Draws) -> Int[Tensor, "n"]:
    """Return the least likely other class of the clean image (Kurakin 2017)."""
    return _ordered(z, y)[:, -2]


TARGETS: Mapping[str, Rule] = {
    "random": drawn,
    "next": following,
    "runner-up": runner_up,
    "least-likely": least_likely,
}


def likeliest(x: Float[Tensor, "n c h w"], aim: Aim, victim: Victim, count: int) -> list[Tensor]:
    """Return the `count` likeliest other classes of clean images, in order: [n] each; as many as there are."""
    with torch.no_grad():
        order = _ordered(victim.logits(x), aim.y)
    return list(order[:, : min(count, order.shape[1] - 1)].T)


def _ordered(z: Tensor, y: Tensor) -> Tensor:
    """Return the classes from the likeliest to the least likely, y at the end [n C]."""
    if z.shape[1] < 2:
        raise BadData(f"a targeted attack got {z.shape[1]} class, expected two or more")
    return z.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)
