"""Euclidean nearest neighbours, and images that are moved by pixels."""

import numpy as np
import numpy.typing as npt

from oodbench.diagnostics import evenly

Values = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]


def squared_distances(x: Values, centres: Values) -> Values:
    """Return |x - c|^2 of every pair [n, N]."""
    found = (x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1)
    distances: Values = np.maximum(found, 0.0)
    return distances


def still_nearest(images: Images, n: int, shift: int) -> float:
    """Return the share of n images [N, C, H, W] whose nearest neighbour among all is the image that they are, moved."""
    own = evenly(len(images), n)
    flat = images.reshape(len(images), -1).astype(np.float64)
    moved_ones = moved(images[own], shift).reshape(len(own), -1).astype(np.float64)
    nearest = squared_distances(moved_ones, flat).argmin(axis=1)
    return float((nearest == own).mean())


def moved(images: Images, shift: int) -> Images:
    """Return images [n, C, H, W] moved to the right by pixels; the column at the left edge is repeated."""
    if not shift:
        return images
    edge = np.repeat(images[..., :1], shift, axis=-1)
    return np.concatenate([edge, images[..., :-shift]], axis=-1)
