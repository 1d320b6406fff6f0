"""The images of a matrix, each set once a process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import find_card
from oodbench.data.corrupted import CorruptedImages
from oodbench.data.inputs import Inputs, JoinedInputs
from oodbench.data.load import chosen
from oodbench.data.matrix import Matrix, OutSet
from oodbench.data.remembered import load_remembered as load
from oodbench.data.splits import sample
from oodbench.errors import BadData, MissingData
from oodbench.run.absent import missing
from oodbench.training import InSet


@dataclass(frozen=True)
class Corrupted:
    """Corrupted images, and the place of each among the test images [n]."""

    images: Inputs
    index: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sets:
    """What a matrix trains, tunes and tests on; an absent or damaged out-set stands with the reason."""

    train: Inputs
    validation: Inputs
    test: Inputs
    ood: Mapping[str, Inputs] = field(default_factory=dict)
    tuning: Mapping[str, Inputs] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    outliers: Inputs | None = None
    corrupted: Mapping[str, Corrupted] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, str, Inputs]]:
        """Yield (card or part, role, images) of every set that is here."""
        yield "train", "train", self.train
        yield "validation", "validation", self.validation
        yield "test", "test", self.test
        yield from ((name, "ood", images) for name, images in self.ood.items())
        yield from ((name, "tuning", images) for name, images in self.tuning.items())
        yield from ((name, "corruption", one.images) for name, one in self.corrupted.items())


@cache
def open_sets(matrix: Matrix, root: Path | None) -> Sets:
    """Return the images of a matrix. Sets whose fingerprint is remembered are opened when their pixels are wanted.

    Raises:
        MissingData: the in-set, outliers or a set that is tuned on are not here; the message names all of them,
            with the commands that get them.
        BadData: one of these is damaged. A damaged out-set stops nothing: its cells fail.
    """
    try:
        return _open(matrix, root)
    except MissingData as error:
        raise missing(matrix, root, error) from error


def _open(matrix: Matrix, root: Path | None) -> Sets:
    train, validation = (load(matrix.in_set, part, root=root) for part in ("train", "validation"))
    test = load(matrix.in_set, "test", root=root, n=matrix.n_test)
    ood: dict[str, Inputs] = {}
    absent: dict[str, str] = {}
    damaged: dict[str, str] = {}
    for wanted in matrix.ood:
        try:
            n = wanted.n + (matrix.tuning_same or 0)
            ood[wanted.card] = load(wanted.card, wanted.split, root=root, like=test, n=n)
        except MissingData as error:
            if matrix.tuning_same:
                raise  # it is what is tuned on, too
            absent[wanted.card] = str(error)
        except (BadData, OSError) as error:
            damaged[wanted.card] = f"{type(error).__name__}: {error}"
    tuning = {s.card: load(s.card, s.split, root=root, like=test, n=s.n) for s in matrix.tuning_ood}
    if matrix.tuning_same:
        for one in matrix.ood:
            if one.card in ood:
                ood[one.card], tuning[one.card] = _parted(ood[one.card], one)
    beside = [load(s.card, s.split, root=root, like=test, n=s.n) for s in matrix.outliers]
    outliers = JoinedInputs(tuple(beside)) if beside else None
    return Sets(train, validation, test, ood, tuning, absent, damaged, outliers, _corrupted(matrix, test, root))


def _corrupted(matrix: Matrix, test: Inputs, root: Path | None) -> dict[str, Corrupted]:
    """Return the corrupted test images by set: of all types the same ones, however the test images are sorted."""
    found: dict[str, Corrupted] = {}
    for one in matrix.corrupted:
        index = sample(len(test), one.n, matrix.in_set, "test", "corrupted").astype(np.int32)
        if one.card is None:
            found[one.name] = Corrupted(
                CorruptedImages(test.take(index), index, one.type, one.severity, one.seed), index
            )
        else:
            found[one.name] = Corrupted(_published(matrix, one.card, one.name, test, index, root), index)
    return found


def _published(
    matrix: Matrix, card: str, split: str, test: Inputs, index: npt.NDArray[np.int32], root: Path | None
) -> Inputs:
    """Return corrupted versions of the test images at `index` from published files, which hold all of them in order.

    Raises:
        BadData: They are of other classes than the test images.
    """
    places = chosen(find_card(matrix.in_set), "test", matrix.n_test).indices[index]
    images = load(card, split, root=root, like=test).take(places)
    if test.labels is None or images.labels is None or not np.array_equal(images.labels, test.labels[index]):
        raise BadData(
            f"{card}/{split}: its classes are not those of {matrix.in_set}'s test images, in their order; is it made "
            f"of others?"
        )
    return images


def _parted(images: Inputs, tested: OutSet) -> tuple[Inputs, Inputs]:
    """Return the tested images of an out-set, and the others of those drawn: no image is in both."""
    chosen = sample(len(images), tested.n, tested.card, tested.split, "tested")
    return images.take(chosen), images.take(np.setdiff1d(np.arange(len(images)), chosen))


def in_set(matrix: Matrix) -> InSet:
    """Return what a network must know of the matrix's in-set."""
    return InSet(matrix.space, find_card(matrix.in_set).classes)
