"""Inputs: n images or n texts of one space, read in batches; and several sets, one after another."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.errors import BadData
from oodbench.store import digest

Indices: TypeAlias = slice | npt.NDArray[np.integer[Any]]


class Inputs(Protocol):
    """n inputs of one shape, held in memory or decoded when asked for.

    `card` names the data card they come from, or is None for a user's own arrays.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input: channels, height, width of an image; the number of tokens of a text."""

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The true classes [n], or None."""

    @property
    def card(self) -> str | None:
        """The name of the card they come from, if any."""

    def __len__(self) -> int:
        """Return n."""

    def batch(self, indices: Indices) -> npt.NDArray[Any]:
        """Return the inputs at `indices`: float32 pixels [k c h w] in [0, 1], or int64 ids of tokens [k t]."""

    def take(self, indices: Indices) -> "Inputs":
        """Return the inputs at `indices`, in that order."""

    def sha256(self) -> str:
        """Return the sha256 of the content and labels; equal content has an equal hash, however it is stored."""


@dataclass(frozen=True, eq=False)
class JoinedInputs:
    """Unlabelled inputs of one shape from several sets, in order."""

    parts: tuple[Inputs, ...]
    card: str | None = None
    labels: None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return self.parts[0].shape

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def batch(self, indices: Indices) -> npt.NDArray[Any]:
        """Return the inputs at `indices`."""
        places = np.arange(len(self))[indices]
        out = np.empty((len(places), *self.shape), self.parts[0].batch(slice(0, 0)).dtype)
        start = 0
        for part in self.parts:
            here = (places >= start) & (places < start + len(part))
            if here.any():
                out[here] = part.batch(places[here] - start)
            start += len(part)
        return out

    def take(self, indices: Indices) -> "JoinedInputs":
        """Return the inputs at `indices`, which must ascend.

        Raises:
            ValueError: They do not.
        """
        places = np.arange(len(self))[indices]
        if (np.diff(places) < 0).any():
            raise ValueError(f"places of joined inputs must ascend; got {places[:9].tolist()} ...")
        starts = np.cumsum([0, *map(len, self.parts)])
        cut = [
            part.take(places[(places >= start) & (places < start + len(part))] - start)
            for part, start in zip(self.parts, starts[:-1], strict=True)
        ]
        return JoinedInputs(tuple(part for part in cut if len(part)))

    def sha256(self) -> str:
        """Return the sha256 of the parts' own."""
        return digest([part.sha256() for part in self.parts])


def check_labels(labels: Any, count: int, name: str) -> None:
    """Hold the classes of `count` inputs against what they have to be: int64 [n].

    Raises:
        BadData: They are not.
    """
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64:
        raise BadData(f"{name}: got {getattr(labels, 'dtype', type(labels).__name__)} labels, expected int64.")
    if labels.shape != (count,):
        raise BadData(f"{name}: got labels of shape {labels.shape}, expected ({count},), one an input.")
