"""In-set test images, corrupted as they are read."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.corruptions.registry import corrupt, find_corruption
from oodbench.data.images import quantised, unit
from oodbench.data.inputs import Indices, Inputs
from oodbench.spaces import Shape
from oodbench.store import digest


@dataclass(frozen=True, eq=False)
class CorruptedImages:
    """Corrupted images; their classes are those of the clean ones.

    Images that are not on the 8-bit grid (resized ones) are rounded to it before they are corrupted.

    Attributes:
        images: The clean ones.
        index: Place of each among the in-set's test images [n], int32: what is random in a corruption follows from it.
        corruption: The type.
        severity: 1 to 5.
        seed: Of what is random.
    """

    images: Inputs
    index: npt.NDArray[np.int32]
    corruption: str
    severity: int
    seed: int = 0

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        c, h, w = self.images.shape
        return c, h, w

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The true classes [n], or None."""
        return self.images.labels

    @property
    def card(self) -> str | None:
        """The name of the card that the clean images come from."""
        return self.images.card

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        clean = quantised(self.images.batch(indices))
        return unit(corrupt(clean, self.corruption, self.severity, seed=self.seed, index=self.index[indices]))

    def take(self, indices: Indices) -> "CorruptedImages":
        """Return the images at `indices`, in that order."""
        return replace(self, images=self.images.take(indices), index=self.index[indices])

    def sha256(self) -> str:
        """Return the sha256 of all that the pixels follow from: the clean ones, and what is done to them.

        That of the pixels would take as long as making them, at every start of a run; golden pictures in the tests and
        the corruption's version stand for them.
        """
        version = find_corruption(self.corruption).version
        made: tuple[Any, ...] = (self.corruption, version, self.severity, self.seed)
        return digest("corrupted", self.images.sha256(), self.index.astype("<i4").tolist(), *made)
