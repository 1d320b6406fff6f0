"""Several sets, one after another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oodbench.data.images import Images, Indices, Shape
from oodbench.store import digest


@dataclass(frozen=True, eq=False)
class JoinedImages:
    """Unlabelled images of one shape from several sets, in order."""

    parts: tuple[Images, ...]
    card: str | None = None
    labels: None = None

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.parts[0].shape

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        places = np.arange(len(self))[indices]
        out = np.empty((len(places), *self.shape), np.float32)
        start = 0
        for part in self.parts:
            here = (places >= start) & (places < start + len(part))
            if here.any():
                out[here] = part.batch(places[here] - start)
            start += len(part)
        return out

    def take(self, indices: Indices) -> "JoinedImages":
        """Return the images at `indices`, which must ascend."""
        places = np.arange(len(self))[indices]
        starts = np.cumsum([0, *map(len, self.parts)])
        cut = [
            part.take(places[(places >= start) & (places < start + len(part))] - start)
            for part, start in zip(self.parts, starts[:-1], strict=True)
        ]
        return JoinedImages(tuple(part for part in cut if len(part)))

    def sha256(self) -> str:
        """Return the sha256 of the parts' own."""
        return digest([part.sha256() for part in self.parts])
