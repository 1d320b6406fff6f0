"""Noise of the size of an attack, which is none: the third version of an image in Lee's protocol.

    x' = clip(x + σ n, 0, 1),  n ~ N(0, 1),  σ such that the mean of |x' - x|_2 is that of an attack

Ma et al., "Characterizing adversarial subspaces using local intrinsic dimensionality", 2018, choose σ so: where noise
and attack differ in length, a detector of lengths looks like one of attacks. The length is that after clipping, which
takes a half of the noise off a black background: σ is no quotient of the length and the root of the dimension.

See `oodbench.measure.triplets`.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.norms import l2
from oodbench.attacks.victim import Draws
from oodbench.errors import BadData

MOST = 64.0
"""The largest σ that is tried; of it nearly all values are at 0 or 1."""


def noise_as_long(x: Float[Tensor, "n c h w"], draws: Draws, length: float) -> tuple[Float[Tensor, "n c h w"], float]:
    """Return noisy images whose mean distance from the clean ones is a length, and σ in pixel units of [0, 1].

    An image's draw is its own, whatever else is in its batch; σ is that of all of them.

    Raises:
        BadData: No noise in [0, 1] is as long.
    """
    from scipy.optimize import brentq

    e = draws.normal(tuple(x.shape[1:]), "noise", like=x)

    def beyond(sigma: float) -> float:
        return float(l2((x + sigma * e).clamp(0, 1) - x).double().mean()) - length

    if not length:
        return x.clone(), 0.0
    top = length / math.sqrt(x[0].numel())
    while beyond(top) < 0:
        if (top := 2 * top) > MOST:
            raise BadData(f"noise: no change of {length:g} in l2 fits into [0, 1] at random")
    sigma = float(brentq(beyond, 0, top, xtol=1e-9))
    return (x + sigma * e).clamp(0, 1), sigma
