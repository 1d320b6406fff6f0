"""Everything that the pages and pictures of one matrix are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.data.matrix import load_matrices
from oodbench.records import Record
from oodbench.report.collect import collect
from oodbench.report.holes import Hole, holes
from oodbench.report.numbers import measured
from oodbench.report.section import Section, sections

SCALES = ("paper", "cpu", "tiny")


@dataclass(frozen=True, eq=False)
class Board:
    """One matrix.

    Attributes:
        matrix: Its name.
        records: Its records, by method and seed; at least one.
        sections: Its kinds of failure.
        holes: What it lacks.
    """

    matrix: str
    records: Sequence[Record]
    sections: Sequence[Section]
    holes: Sequence[Hole]

    @property
    def in_set(self) -> str:
        """Card of the in-set."""
        return self.records[0].in_set

    @property
    def scale(self) -> str:
        """How large the matrix's recipes are."""
        return self.records[0].scale

    @property
    def title(self) -> str | None:
        """The matrix's own words for itself, if it has a card."""
        card = load_matrices().get(self.matrix)
        return card.title if card else None


def boards(results: Path, matrix: str | None = None) -> list[Board]:
    """Return the boards of a results folder, or of one matrix in it: the papers' scale first, then by name.

    Raises:
        BadRecord: A record or scores file is broken, foreign, newer than this program, or the two do not match.
    """
    entries = collect(results, matrix)
    numbers, gaps = measured(entries)
    found = []
    for name in dict.fromkeys(entry.record.matrix for entry in entries):
        records = [entry.record for entry in entries if entry.record.matrix == name]
        found.append(Board(name, records, sections(name, entries, numbers), holes(name, records, gaps)))
    return sorted(found, key=lambda board: (SCALES.index(board.scale), board.matrix))
