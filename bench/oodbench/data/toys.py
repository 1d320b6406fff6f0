"""Toy sets: 8x8 images of blobs, three classes, drawn in milliseconds; the matrix `toy-v1` runs on them.

Whatever runs on a matrix runs on this one in seconds: conformance checks, golden scores, tests of the harness.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.data.images import ArrayImages, quantised

Floats: TypeAlias = npt.NDArray[np.float64]
Classes: TypeAlias = npt.NDArray[np.int64]

CLASSES = 3
SIDE = 8
CENTRES = np.array([[2.0, 2.0], [2.0, 5.0], [5.0, 3.5]])
"""Row and column about which the blobs of each class lie."""


def blobs(rng: np.random.Generator, n: int) -> tuple[Floats, Classes]:
    """Return n images [n 1 8 8] and their classes, in turn: a Gaussian blob about its class's place, a little noise."""
    y = np.arange(n, dtype=np.int64) % CLASSES
    centre = CENTRES[y] + rng.normal(0, 0.6, (n, 2))
    rows, columns = (np.arange(SIDE) - centre[:, axis, None] for axis in (0, 1))
    squared = rows[:, :, None] ** 2 + columns[:, None, :] ** 2
    width, height = rng.uniform(1.0, 1.6, (n, 1, 1)), rng.uniform(0.6, 1.0, (n, 1, 1))
    x = height * np.exp(-squared / (2 * width**2)) + rng.normal(0, 0.05, squared.shape)
    return x[:, None], y


def blends(rng: np.random.Generator, n: int) -> tuple[Floats, None]:
    """Return n images of all three blobs at once, each at half its brightness."""
    singles, _ = blobs(rng, CLASSES * n)
    return singles.reshape(n, CLASSES, SIDE, SIDE).sum(axis=1, keepdims=True) / 2, None


def noise(rng: np.random.Generator, n: int) -> tuple[Floats, None]:
    """Return n images whose pixels are independent and uniform in [0, 1/2]: nothing like the training images."""
    return rng.uniform(0, 0.5, (n, 1, SIDE, SIDE)), None


TOYS: dict[str, Callable[[np.random.Generator, int], tuple[Floats, Classes | None]]] = {
    "toy-blobs": blobs,
    "toy-blends": blends,
    "toy-noise": noise,
}


def toy(name: str, n: int, rng: np.random.Generator) -> ArrayImages:
    """Return n images of a toy set, on the 8-bit grid; labelled where its images have classes."""
    pixels, labels = TOYS[name](rng, n)
    return ArrayImages(quantised(pixels), labels, name)
