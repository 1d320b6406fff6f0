"""Which images of one set are also in another: a test set must be new, and an out-set no test set."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.changed import ChangedImages
from oodbench.data.images import ArrayImages, FolderImages
from oodbench.data.inputs import Inputs, JoinedInputs
from oodbench.data.remembered import RememberedImages
from oodbench.data.stream import batches
from oodbench.run.outputs import DECODERS
from oodbench.sources.items import ItemImages
from oodbench.sources.pictures import PictureImages
from oodbench.sources.stored import StoredOutputs
from oodbench.store import atomically

CHUNK = 1024

MARKS = "pixels.marks"

Marks = npt.NDArray[np.uint64]
"""Of each image [n], 64 bits of the sha256 of its pixels: equal where all pixels are."""


Places = npt.NDArray[np.integer[Any]]

Key = tuple[int, ...]
"""Identities of what all that is taken of one source refers to."""

OWN = ("places", "labels")
"""Fields in which what is taken of a set of pictures or items differs from it."""


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


@dataclass(frozen=True)
class Shared:
    """Images that are in two sets.

    Attributes:
        n: How many of the one are also among the others, of those images of both that have been read; None where of one
            set none has been, and so nothing is known.
        whole: Whether all of both have been: else there may be more.
    """

    n: int | None
    whole: bool

    def __str__(self) -> str:
        return str(self.n) if self.whole else f"at least {self.n}"


@dataclass
class Source:
    """The marks of a source's images by their places in it, as far as they have been read.

    Attributes:
        held: Refers to the source, so that what tells it from others is given to no other meanwhile.
        marks: Of each place.
        read: Whether the image at each place has been.
    """

    held: Inputs
    marks: Marks = field(default_factory=lambda: np.empty(0, np.uint64))
    read: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def note(self, places: Places, marks: Marks) -> None:
        """Keep the marks of the images at places."""
        self._reach(places)
        self.marks[places], self.read[places] = marks, True

    def at(self, places: Places) -> Marks:
        """Return the marks of those images at places that have been read."""
        self._reach(places)
        return self.marks[places[self.read[places]]]

    def _reach(self, places: Places) -> None:
        more = int(places.max(initial=-1)) + 1 - len(self.marks)
        if more > 0:
            self.marks, self.read = np.pad(self.marks, (0, more)), np.pad(self.read, (0, more))


class Overlaps:
    """How many images sets share, as far as their pixels have passed by: nothing is decoded for it.

    Marks are kept by source and place, so that a set is known when its halves have been read, alone or joined.
    """

    def __init__(self) -> None:
        self._sources: dict[Key, Source] = {}
        self._known: dict[tuple[int, int], Shared] = {}
        self._asked: list[Inputs] = []

    def note(self, images: Inputs, marks: Marks) -> None:
        """Keep the marks of a set."""
        start = 0
        for key, held, places in _pieces(images):
            part = marks[start : start + len(places)]
            self._sources.setdefault(key, Source(held)).note(places, part)
            start += len(places)

    def __call__(self, images: Inputs, others: Inputs) -> Shared:
        """Return how many of some images are also among others, pixel for pixel, as far as both have been read."""
        key = id(images), id(others)
        if key not in self._known:
            mine, theirs = self._of(images), self._of(others)
            whole = len(mine) == len(images) and len(theirs) == len(others)
            known = whole or (len(mine) and len(theirs))
            found = Shared(int(np.isin(mine, theirs).sum()) if known else None, whole)
            if not whole:
                return found
            self._asked += [images, others]  # their identities are not given to others while they are here
            self._known[key] = found
        return self._known[key]

    def _of(self, images: Inputs) -> Marks:
        """Return the marks of those images of a set that have been read; what lies in memory is read now."""
        found = [np.empty(0, np.uint64)]
        for key, held, places in _pieces(images):
            source = self._sources.setdefault(key, Source(held))
            if not source.read.any() and in_memory(held):
                source.note(places, _read(held))
            found.append(source.at(places))
        return np.concatenate(found)


def _pieces(images: Inputs) -> Iterator[tuple[Key, Inputs, Places]]:
    """Yield the sources of a set in order: what tells each from others, what refers to it, and which places of it."""
    if isinstance(images, JoinedInputs):
        for part in images.parts:
            yield from _pieces(part)
    elif isinstance(images, RememberedImages):
        yield from _pieces(images.opened)
    elif isinstance(images, ChangedImages):
        yield from (((*key, id(images.change)), images, places) for key, _, places in _pieces(images.images))
    elif isinstance(images, PictureImages | ItemImages | FolderImages):
        places = np.arange(len(images)) if images.places is None else images.places
        rest = (one.name for one in fields(images) if one.name not in OWN)
        yield tuple(id(getattr(images, name)) for name in rest), images, places
    else:
        yield (id(images),), images, np.arange(len(images))


def in_memory(images: Inputs) -> bool:
    """Return whether the images of a set can be had without decoding any."""
    if isinstance(images, JoinedInputs):
        return all(map(in_memory, images.parts))
    if isinstance(images, RememberedImages):
        return in_memory(images.opened)
    if isinstance(images, ChangedImages):
        return in_memory(images.images)
    return isinstance(images, ArrayImages | StoredOutputs)


def _read(images: Inputs) -> Marks:
    return np.concatenate([marks_of(images.batch(slice(at, at + CHUNK))) for at in range(0, len(images), CHUNK)])
