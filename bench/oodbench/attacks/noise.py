"""Noise of the size of an attack, which is none: the third version of an image in Lee's protocol.

    x' = clip(x + σ n, 0, 1),  n ~ N(0, 1)

See `oodbench.measure.triplets`.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.victim import Draws


def noise(x: Float[Tensor, "n c h w"], draws: Draws, sigma: float) -> Float[Tensor, "n c h w"]:
    """Return noisy images; σ in pixel units of [0, 1]. An image has its own noise, whatever else is in its batch."""
    return (x + sigma * draws.normal(tuple(x.shape[1:]), "noise", like=x)).clamp(0, 1)
