"""Losses that attacks climb, of logits z and an aim: away from class y, or towards class t."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from oodbench.attacks.victim import Aim, Loss
from oodbench.errors import BadData


def ce(z: Float[Tensor, "n C"], aim: Aim) -> Float[Tensor, "n"]:
    """Return the cross-entropy of y; towards t, minus that of t."""
    if aim.t is None:
        return cross_entropy(z, aim.y, reduction="none")
    return -cross_entropy(z, aim.t, reduction="none")


def margin(z: Float[Tensor, "n C"], aim: Aim) -> Float[Tensor, "n"]:
    """Return max_{i != y} z_i - z_y; towards t, z_t - max_{i != t} z_i. Above zero where the aim is reached."""
    if aim.t is None:
        return _others(z, aim.y) - _of(z, aim.y)
    return _of(z, aim.t) - _others(z, aim.t)


def dlr(z: Float[Tensor, "n C"], aim: Aim) -> Float[Tensor, "n"]:
    """Return the difference of logits ratio (Croce & Hein 2020), which does not change with the scale of logits.

        -(z_y - max_{i != y} z_i) / (z_(1) - z_(3))                          away from y
        -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)                         towards t

    z_(1) >= z_(2) >= ... are the logits in order. It needs three classes, and four towards t.

    Raises:
        BadData: There are fewer.
    """
    least = 3 if aim.t is None else 4
    if z.shape[1] < least:
        raise BadData(f"the DLR loss got {z.shape[1]} classes, expected at least {least}; attack by cross-entropy")
    order = z.sort(dim=1, descending=True).values
    if aim.t is None:
        return margin(z, aim) / (order[:, 0] - order[:, 2] + TINY)
    return (_of(z, aim.t) - _of(z, aim.y)) / (order[:, 0] - (order[:, 2] + order[:, 3]) / 2 + TINY)


TINY = 1e-12
"""Added to the difference of logits, as the authors do."""


def _of(z: Tensor, classes: Tensor) -> Tensor:
    return z.gather(1, classes[:, None])[:, 0]


def _others(z: Tensor, classes: Tensor) -> Tensor:
    """Return the largest logit of all classes but one."""
    hidden = torch.zeros_like(z, dtype=torch.bool).scatter(1, classes[:, None], True)
    return z.masked_fill(hidden, -torch.inf).amax(1)


LOSSES: Mapping[str, Loss] = {"ce": ce, "dlr": dlr, "margin": margin}
