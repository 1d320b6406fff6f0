"""Which sets of a matrix are on this machine, and how to get the others; no image is opened."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oodbench.data.cards import find_card
from oodbench.data.fetch import download_size, is_here, status
from oodbench.data.given import how_to_get, weights_path
from oodbench.data.matrix import Matrix
from oodbench.errors import MissingData


@dataclass(frozen=True)
class Wanted:
    """A part of a data set that a matrix names, or the weights of a model that it is given.

    Attributes:
        card: The data set, or the model.
        split: The part, or the file.
        role: What the matrix does with it.
        n: How many of its inputs; None for all.
        here: Whether it is on this machine.
        how_to_get: The command, where it is not.
        bytes_to_get: Of what is to be downloaded, where the card says it.
    """

    card: str
    split: str
    role: str
    n: int | None
    here: bool
    how_to_get: str
    bytes_to_get: int | None

    @property
    def stops_a_run(self) -> bool:
        """Whether nothing runs without it; an absent out-set costs its cells alone."""
        return not self.here and self.role != "out-set"


def wanted(matrix: Matrix, root: Path | None) -> list[Wanted]:
    """Return every part that a matrix names, in order: in-set, out-sets, what is tuned and trained on."""
    role = "tested and for tuning" if matrix.tuning_same else "out-set"
    named: list[tuple[str, str, str, int | None]] = [
        *((matrix.in_set, part, "in-set", None) for part in ("train", "validation")),
        (matrix.in_set, "test", "in-set", matrix.n_test),
        *((one.card, one.split, role, one.n + (matrix.tuning_same or 0)) for one in matrix.ood),
        *((one.card, one.split, "for tuning", one.n) for one in matrix.tuning_ood),
        *((one.card, one.split, "outliers", one.n) for one in matrix.outliers),
        *((one.card, one.name, "corrupted", one.n) for one in matrix.corrupted if one.card),
    ]
    return [*(_wanted(*one, root) for one in named), *_weights(matrix, root)]


def missing(matrix: Matrix, root: Path | None, first: MissingData) -> MissingData:
    """Return an error that names all that stops a run, where `first` names one set."""
    stops = dict.fromkeys((one.card, one.how_to_get) for one in wanted(matrix, root) if one.stops_a_run)
    if len(stops) < 2:
        return first
    lines = [f"  {card}: {how}" for card, how in stops]
    return MissingData(
        "\n".join(
            [
                f"{matrix.name} cannot run: {len(stops)} {_needed(matrix)} are not here. "
                f"Get them, or name the folder that holds them with --data DIR:",
                *lines,
            ]
        )
    )


def _needed(matrix: Matrix) -> str:
    return "data sets or models that it is given" if matrix.model else "data sets that it trains or tunes on"


def _weights(matrix: Matrix, root: Path | None) -> Iterator[Wanted]:
    for model in matrix.model:
        for one in model.weights:
            here = weights_path(model, one, root) is not None
            yield Wanted(model.name, one.name, "weights", None, here, how_to_get(matrix, model, one), one.size)


def _wanted(card: str, split: str, role: str, n: int | None, root: Path | None) -> Wanted:
    found = find_card(card)
    here = is_here(found, split, root)
    return Wanted(card, split, role, n, here, status(found, root).how_to_get, download_size(found))
