"""Which images of one set are also in another: a test set must be new, and an out-set no test set."""

from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.images import ArrayImages, unit

PLACES = 64
"""Pixels an image that are compared first: what differs there differs."""


def shared(images: ArrayImages, others: ArrayImages) -> int:
    """Return how many of some images are also among others, pixel for pixel.

    Example:
        >>> x = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
        >>> shared(ArrayImages(x), ArrayImages(x[1:]))
        1
    """
    if images.shape != others.shape:
        return 0
    mine, theirs = _marks(images), _marks(others)
    known: dict[bytes, list[int]] = {}
    for row, mark in enumerate(theirs):
        known.setdefault(mark, []).append(row)
    return sum(_among(images.batch(np.array([row]))[0], others, known.get(mark, [])) for row, mark in enumerate(mine))


def _marks(images: ArrayImages) -> list[bytes]:
    pixels = images.pixels.reshape(len(images), -1)
    places = np.linspace(0, pixels.shape[1] - 1, min(PLACES, pixels.shape[1])).astype(int)
    return [row.tobytes() for row in unit(pixels[:, places])]


def _among(image: npt.NDArray[Any], others: ArrayImages, rows: list[int]) -> bool:
    return any(np.array_equal(image, others.batch(np.array([row]))[0]) for row in rows)
