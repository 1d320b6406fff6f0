"""Which images of one set are also in another: a test set must be new, and an out-set no test set."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.stream import batches
from oodbench.run.outputs import DECODERS
from oodbench.store import atomically

CHUNK = 1024

MARKS = "pixels.marks"

Marks = npt.NDArray[np.uint64]
"""Of each image [n], 64 bits of the sha256 of its pixels: equal where all pixels are."""


def marks_of(pixels: npt.NDArray[Any]) -> Marks:
    """Return the marks of a batch [n ...].

    Example:
        >>> len(set(marks_of(np.zeros((2, 1, 4, 4), np.float32))))
        1
    """
    return np.array(
        [int.from_bytes(hashlib.sha256(row).digest()[:8], "little") for row in np.ascontiguousarray(pixels)], np.uint64
    )


@dataclass(frozen=True, eq=False)
class Marked:
    """Inputs whose marks are taken while they stream by."""

    inputs: Inputs
    marks: list[Marks] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inputs, name)

    def stream(self, size: int) -> Iterator[npt.NDArray[Any]]:
        """Yield the inputs in order, `size` at a time."""
        for batch in batches(self.inputs, size, DECODERS):
            self.marks.append(marks_of(batch))
            yield batch


def keep_marks(place: Path, marks: list[Marks]) -> None:
    """Keep the marks of inputs beside their outputs, which a later run finds without reading the inputs again."""
    whole = np.concatenate(marks)
    with atomically(place / MARKS) as file:
        file.write_bytes(hashlib.sha256(whole.tobytes()).digest() + whole.tobytes())


def kept_marks(place: Path) -> list[Marks]:
    """Return the marks that lie beside outputs; nothing where there are none, or not whole."""
    try:
        content = (place / MARKS).read_bytes()
    except OSError:
        return []
    told, whole = content[:32], content[32:]
    return [np.frombuffer(whole, np.uint64)] if hashlib.sha256(whole).digest() == told else []


class Overlaps:
    """How many images sets share, as far as their pixels have passed by: nothing is decoded for it."""

    def __init__(self) -> None:
        self._marks: dict[int, Marks] = {}
        self._known: dict[tuple[int, int], int] = {}
        self._held: list[Inputs] = []

    def note(self, images: Inputs, marks: Marks) -> None:
        """Keep the marks of a set."""
        self._held.append(images)  # its identity is not given to another while it is here
        self._marks[id(images)] = marks

    def __call__(self, images: Inputs, others: Inputs) -> int:
        """Return how many of some images are also among others, pixel for pixel; 0 where one has not been read."""
        key = id(images), id(others)
        if key not in self._known:
            mine, theirs = self._of(images), self._of(others)
            if mine is None or theirs is None:
                return 0
            self._known[key] = int(np.isin(mine, theirs).sum())
        return self._known[key]

    def _of(self, images: Inputs) -> Marks | None:
        if id(images) not in self._marks and isinstance(images, ArrayImages):
            found = [marks_of(images.batch(slice(start, start + CHUNK))) for start in range(0, len(images), CHUNK)]
            self.note(images, np.concatenate(found))
        return self._marks.get(id(images))
