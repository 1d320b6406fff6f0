"""Random numbers of a batch of pictures: each picture has a stream of its own, whatever stands beside it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Draws:
    """Independent random numbers for each of n pictures, from Philox generators.

    A generator's key is made from `words` (the corruption, its severity, the seed), its counter from a picture's place.
    So a picture is changed in the same way alone, in any batch and in any order.
    """

    streams: Sequence[np.random.Generator]

    def normal(self, *shape: int) -> Floats:
        """Return standard normal numbers [n *shape]."""
        out = np.empty((len(self.streams), *shape))
        for row, stream in zip(out.reshape(len(out), -1), self.streams, strict=True):
            stream.standard_normal(out=row)
        return out

    def uniform(self, *shape: int) -> Floats:
        """Return uniform numbers in [0, 1) [n *shape]."""
        out = np.empty((len(self.streams), *shape))
        for row, stream in zip(out.reshape(len(out), -1), self.streams, strict=True):
            stream.random(out=row)
        return out

    def between(self, low: float, high: float, *shape: int) -> Floats:
        """Return uniform numbers in [low, high) [n *shape]."""
        return low + (high - low) * self.uniform(*shape)

    def integers(self, low: int, high: int, *shape: int) -> npt.NDArray[np.int64]:
        """Return integers from `low` to `high` - 1 [n *shape]."""
        return np.stack([stream.integers(low, high, shape) for stream in self.streams])

    def poisson(self, mean: Floats) -> npt.NDArray[np.int64]:
        """Return Poisson numbers of these means [n ...]."""
        return np.stack([stream.poisson(of) for stream, of in zip(self.streams, mean, strict=True)])


def draws(index: npt.NDArray[np.integer[Any]], *words: str | int) -> Draws:
    """Return the draws of the pictures at `index` [n], keyed by words and numbers."""
    digest = hashlib.sha256("\n".join(map(str, words)).encode()).digest()
    return Draws(list(_streams(index, int.from_bytes(digest[:16], "little"))))


def _streams(index: npt.NDArray[np.integer[Any]], key: int) -> Iterator[np.random.Generator]:
    for place in index.tolist():
        yield np.random.Generator(np.random.Philox(key=key, counter=place << 128))
