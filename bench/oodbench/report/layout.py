"""Which sets a section has, and how they are grouped: from the matrix's card or, without one, from what was scored."""

from collections.abc import Iterable
from typing import NamedTuple

from oodbench.data.matrix import Matrix, load_matrices
from oodbench.report.collect import Entry

ROUNDED = "@uint8"
"""Ending of an attack whose images were rounded to the 256 grey levels before they were scored."""


class Column(NamedTuple):
    """A failure set and its group."""

    name: str
    group: str


def columns(matrix: str, failure: str, entries: Iterable[Entry]) -> tuple[Column, ...]:
    """Return the sets of a matrix's failure kind, those of a group together.

    A matrix names its sets, so that a set which nobody could score still has its column; what was scored besides
    follows.
    """
    card = load_matrices().get(matrix)
    planned = _planned(card, failure) if card else ()
    known = {column.name for column in planned}
    scored = {cell.name for entry in entries for cell in entry.cells if cell.failure == failure}
    return (*planned, *(Column(name, _group(failure, name)) for name in sorted(scored - known)))


def averaged(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the sets that the overall mean is over: all, but each attack once."""
    return tuple(column.name for column in columns if not column.name.endswith(ROUNDED))


def _planned(matrix: Matrix, failure: str) -> tuple[Column, ...]:
    if failure == "ood":
        order = ("near", "far", "synthetic")
        sets = [Column(one.card, one.group) for one in matrix.ood]
        return tuple(sorted(sets, key=lambda column: order.index(column.group)))
    if failure == "adversarial":
        names = [one.attack for one in matrix.attacks]
        return tuple(Column(name, _group(failure, name)) for name in (*names, *(name + ROUNDED for name in names)))
    return ()


def _group(failure: str, name: str) -> str:
    if failure == "adversarial":
        return "rounded" if name.endswith(ROUNDED) else "exact"
    return name.rsplit("-", 1)[0] if failure == "corruption" else ""
