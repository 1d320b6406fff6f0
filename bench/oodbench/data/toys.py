"""Toy sets, drawn in milliseconds: 8x8 images of blobs, and texts of eight words, of three classes each.

The matrices `toy-v1` and `toy-words-v1` are made of them. Whatever runs on a matrix runs on these in seconds:
conformance checks, golden scores, tests of the harness.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.data.images import ArrayImages, quantised
from oodbench.data.texts import TextInputs

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


LENGTH = 8
"""Words of a text, at most."""

VOCABULARY = 24
"""Ids: 0 pads, 1 is unknown, 2 to 8 are common, and five are each class's own."""

COMMON = np.arange(2, 9)
OWN = np.arange(9, VOCABULARY).reshape(CLASSES, -1)


def words(rng: np.random.Generator, n: int) -> tuple[Classes, Classes]:
    """Return n texts [n 8] and their classes, in turn: three to eight words, two in five of them their class's own."""
    y = np.arange(n, dtype=np.int64) % CLASSES
    own = np.take_along_axis(OWN[y], rng.integers(0, OWN.shape[1], (n, LENGTH)), axis=1)
    return _cut(rng, np.where(rng.random((n, LENGTH)) < 0.4, own, rng.choice(COMMON, (n, LENGTH)))), y


def word_mixes(rng: np.random.Generator, n: int) -> tuple[Classes, None]:
    """Return n texts of the classes' own words, of all classes at once."""
    return _cut(rng, rng.choice(OWN.ravel(), (n, LENGTH))), None


def word_noise(rng: np.random.Generator, n: int) -> tuple[Classes, None]:
    """Return n texts of common words, half of them unknown: nothing by which a class is told."""
    return _cut(rng, np.where(rng.random((n, LENGTH)) < 0.5, 1, rng.choice(COMMON, (n, LENGTH)))), None


def _cut(rng: np.random.Generator, ids: npt.NDArray[np.int64]) -> Classes:
    """Return texts with all but their first three to eight words padded away."""
    length = rng.integers(3, LENGTH + 1, (len(ids), 1))
    return np.where(np.arange(LENGTH) < length, ids, 0).astype(np.int64)


IMAGES: dict[str, Callable[[np.random.Generator, int], tuple[Floats, Classes | None]]] = {
    "toy-blobs": blobs,
    "toy-blends": blends,
    "toy-noise": noise,
}
TEXTS: dict[str, Callable[[np.random.Generator, int], tuple[Classes, Classes | None]]] = {
    "toy-words": words,
    "toy-word-mixes": word_mixes,
    "toy-word-noise": word_noise,
}
TOYS = frozenset({*IMAGES, *TEXTS})


def toy(name: str, n: int, rng: np.random.Generator) -> ArrayImages | TextInputs:
    """Return n images of a toy set on the 8-bit grid, or n texts; labelled where they have classes."""
    if name in TEXTS:
        return TextInputs(*TEXTS[name](rng, n), card=name)
    pixels, labels = IMAGES[name](rng, n)
    return ArrayImages(quantised(pixels), labels, name)
