"""Likelihoods in a unit that models with different inputs share."""

from collections.abc import Sequence
from math import log, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray


def bits_per_dim(log_density: ArrayLike, shape: Sequence[int], std: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Return -log2 P(8-bit image) per dimension [n]; lower = more likely, and above 8 is possible.

    With the density of y = (x + u) / 256, u uniform in [0, 1), each grey level is a step of 1 / 256, so
    -log P(x) <= -log p(y) + D log 256 on average over u. Standardised by z = (y - mean) / std the density is that of z,
    log p(y) = log p(z) - sum log std.

    Args:
        log_density: log p of the dequantised image, all dimensions together, in nats [n].
        shape: Channels, height, width; D is their product.
        std: Standard deviation of each channel that the density's inputs were divided by [channels]; 1 for none.

    Example:
        >>> bits_per_dim([0.0], shape=(1, 28, 28)).tolist()  # a density of 1: all grey levels alike
        [8.0]
    """
    dims = prod(shape)
    grey_levels_and_std = dims * (log(256) + float(np.mean(np.log(np.broadcast_to(std, shape[0])))))
    bits: NDArray[np.float64] = (grey_levels_and_std - np.asarray(log_density, dtype=np.float64)) / (dims * log(2))
    return bits
