"""Other images, changed as they are read: mirrored, negative, rounded. Labels do not survive."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.images import CHUNK, Images, digest_of, quantised
from oodbench.data.inputs import Indices
from oodbench.spaces import Shape

Batch = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mirror:
    """Mirrors images: axis 2 = height, upside down; 3 = width, left to right."""

    axis: int

    def __call__(self, batch: Batch) -> Batch:
        """Return the images [k c h w], mirrored."""
        return np.ascontiguousarray(np.flip(batch, self.axis))


def negative(batch: Batch) -> Batch:
    """Return images with dark for light: 1 - x."""
    inverted: Batch = np.float32(1) - batch
    return inverted


def rounded_to_8_bits(batch: Batch) -> Batch:
    """Return images as an 8-bit file would keep them: round(255 x) / 255."""
    kept: Batch = np.rint(batch * np.float32(255)) / np.float32(255)
    return kept


@dataclass(frozen=True, eq=False)
class ChangedImages:
    """Other images, changed as they are read.

    Attributes:
        images: Those.
        change: Maps a batch [k c h w] in [0, 1] to another of its shape.
        card: What errors call them.
        exact: Whether the hash is of float32 pixels; else of those on the 8-bit grid, which images in files are on.
    """

    images: Images
    change: Callable[[Batch], Batch]
    card: str | None = None
    exact: bool = False
    labels: None = None

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Indices) -> Batch:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        return self.change(self.images.batch(indices))

    def take(self, indices: Indices) -> "ChangedImages":
        """Return the images at `indices`, in that order."""
        return replace(self, images=self.images.take(indices))

    def sha256(self) -> str:
        """Return the sha256 of the pixels: equal content has an equal hash."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        parts = (self.batch(slice(start, start + CHUNK)) for start in range(0, len(self), CHUNK))
        chunks: Any = parts if self.exact else map(quantised, parts)
        return digest_of((len(self), *self.shape), chunks, None)
