"""How an in-set is cut into train, validation and test: one indexed file an in-set, in `datasets/splits/`.

Parts never overlap. A part without indices is what the other parts leave of its stored split.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, Text
from oodbench.data.fixed import Fixed, cards_folder, read_toml
from oodbench.errors import BadCard, UnknownName

Index: TypeAlias = npt.NDArray[np.int64]
PartName = Literal["train", "validation", "test"]


class Part(Fixed):
    """A part of an in-set: which stored split it is cut from, and its places there."""

    of: Text
    indices: tuple[int, ...] | None = None


class Split(Fixed):
    """The file of one in-set: its parts, and how they were drawn."""

    card: Text
    drawn: Text
    parts: dict[PartName, Part]


class Cut(NamedTuple):
    """A part, resolved: `indices` [k], ascending, are places in the stored split `of`."""

    of: str
    indices: Index


@cache
def _read(path: Path) -> Split | None:
    return read_toml(path, Split) if path.exists() else None


def splits(card: Card) -> dict[str, Cut]:
    """Return every part that `load` knows of a card: the split file's parts, or else the stored splits, whole.

    Raises:
        BadCard: A part is cut from a split the card has not, is out of range, or overlaps another.
    """
    file = f"splits/{card.name}.toml"
    split = _read(cards_folder() / file)
    if split is None:
        return {name: Cut(name, np.arange(size)) for name, size in card.splits.items()}
    if split.card != card.name:
        raise BadCard(f"{file}: card is {split.card!r}, expected {card.name!r}.")
    parts = {str(name): part for name, part in split.parts.items()}
    return {name: _cut(name, parts, card.splits, file) for name in parts}


def find_cut(card: Card, split: str) -> Cut:
    """Return one part; parts of one stored split join by "+", as "train+validation" does.

    Raises:
        UnknownName: The card has no such part.
    """
    known = splits(card)
    names = split.split("+")
    for name in names:
        if name not in known:
            raise UnknownName(f"split of {card.name}", name, known)
    of = {known[name].of for name in names}
    if len(of) > 1:
        raise BadCard(f"{card.name}: {split!r} joins parts of different stored splits ({', '.join(sorted(of))}).")
    return Cut(of.pop(), np.sort(np.concatenate([known[name].indices for name in names])))


def sample(size: int, n: int, *key: str | int) -> Index:
    """Return n of `size` places, ascending, drawn by a generator that `key` seeds: the same for the same key, always.

    Stored sets are often sorted by class, so the first n would not do.
    """
    if n >= size:
        return np.arange(size)
    return np.sort(generator("sample", *key).choice(size, n, replace=False)).astype(np.int64)


def generator(*key: str | int) -> np.random.Generator:
    """Return a generator seeded by words and numbers."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def _cut(name: str, parts: dict[str, Part], sizes: dict[str, int], file: str) -> Cut:
    part = parts[name]
    if part.of not in sizes:
        raise BadCard(f"{file}: {name} is cut from {part.of!r}, expected one of {sorted(sizes)}.")
    beside = [other for key, other in parts.items() if key != name and other.of == part.of]
    free = np.ones(sizes[part.of], bool)
    for other in beside:
        free[list(other.indices or ())] = False
    if part.indices is None:
        if any(other.indices is None for other in beside):
            raise BadCard(f"{file}: two parts of {part.of!r} have no indices; at most one may take what is left.")
        return Cut(part.of, np.flatnonzero(free).astype(np.int64))
    indices = np.array(part.indices, np.int64)
    if not len(indices) or indices.min() < 0 or indices.max() >= sizes[part.of] or (np.diff(indices) <= 0).any():
        raise BadCard(f"{file}: {name} needs ascending places in [0, {sizes[part.of]}).")
    if not free[indices].all():
        raise BadCard(f"{file}: {name} overlaps another part of {part.of!r}, first at {indices[~free[indices]][0]}.")
    return Cut(part.of, indices)
