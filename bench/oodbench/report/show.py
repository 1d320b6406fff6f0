"""`oodbench show`: one method on one matrix as pictures, from stored scores, made on demand and not kept."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from oodbench.data.matrix import known_matrix
from oodbench.errors import BadData, UnknownName
from oodbench.measure.kinds import KINDS
from oodbench.records import Outcomes, Scores, verify
from oodbench.report.entries import Entry, collect
from oodbench.result import ridges
from oodbench.result.ridges import GroupOf

THEMES = {"": ridges.LIGHT, "-dark": ridges.DARK}
"""Endings of the names of pictures, and their colours."""


class Shown(NamedTuple):
    """What was made: a table, and the files written."""

    table: str
    files: list[Path]


def show(results: Path, matrix: str, method: str, seed: int | None, out: Path) -> Shown:
    """Write the pictures of a method on a matrix: what it scores right, wrong, out-set, attacked and corrupted inputs.

    Args:
        results: Folder of records.
        matrix: Its name.
        method: Of a record there.
        seed: Of its model; by default the lowest there is.
        out: Folder to write to.

    Raises:
        UnknownName: There is no record of such a matrix, method or seed.
        BadData: The method has no scores there.
        BadRecord: As `oodbench.report.entries.collect`, or the scores are not those that the record names.
        OSError: A picture cannot be written.
    """
    from oodbench.report.drawing import save

    entry = _entry(results, matrix, method, seed)
    scores, outcomes = _scored(entry)
    found = ridges.rows(scores, outcomes, groups(matrix))
    title, test = f"{method} on {matrix}, seed {entry.record.seed}", scores.test.astype(np.float64)
    files = []
    for ending, theme in THEMES.items():
        files.append(out / f"histograms{ending}.svg")
        save(lambda theme=theme: ridges.figure(found, test, title, theme), files[-1], "oodbench")  # type: ignore[misc]
    return Shown(_table(found, test), files)


def groups(matrix: str) -> GroupOf:
    """Return the groups of the sets that a matrix names, if it is known here."""
    card = known_matrix(matrix)
    named = ((kind.name, column) for kind in KINDS.values() for column in kind.planned(card)) if card else ()
    return {(kind, column.name): column.group for kind, column in named}


def _entry(results: Path, matrix: str, method: str, seed: int | None) -> Entry:
    entries = collect(results, matrix)
    if not entries:
        known = sorted({path.parent.parent.name for path in results.glob("*/*/*.json")})
        raise UnknownName("matrix with records", matrix, known)
    own = {entry.record.seed: entry for entry in entries if entry.record.method == method}
    if not own:
        raise UnknownName(f"method with a record on {matrix}", method, {entry.record.method for entry in entries})
    if seed is not None and seed not in own:
        raise BadData(f"{method} on {matrix}: no record of seed {seed}; there are {', '.join(map(str, sorted(own)))}")
    return own[min(own) if seed is None else seed]


def _scored(entry: Entry) -> tuple[Scores, Outcomes | None]:
    record = entry.record
    if record.scores_sha256 is None:
        raise BadData(f"{record.method} on {record.matrix}, seed {record.seed} has no scores: {record.reason}")
    return verify(record, entry.scores), entry.outcomes.read if entry.outcomes else None


def _table(found: list[ridges.Row], test: ridges.Floats) -> str:
    """Return the median of each row, and which share the threshold of FPR95 accepts."""
    at, ends = ridges.threshold(test), ridges.view(found)
    lines = [
        (
            row.label,
            f"{len(row.values):,}",
            f"{np.median(row.values):.4g}",
            f"{100 * ridges.accepted(row, at):.2f}",
            f"{100 * sum(ridges.beyond(row, ends)):.2f}",
        )
        for row in found
    ]
    headers = ("inputs", "n", "median score", "accepted, percent", "beyond the picture, percent")
    return tabulate(lines, headers, "simple", colalign=("left", *["right"] * 4), disable_numparse=True)
