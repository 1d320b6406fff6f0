"""`oodbench show`: one method on one matrix as pictures, from stored scores, made on demand and not kept."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from oodbench.data.matrix import known_matrix
from oodbench.errors import BadData, UnknownName
from oodbench.given import method_of
from oodbench.measure.confidence import Judgements
from oodbench.measure.kinds import KINDS
from oodbench.report.calibration import TEMPERED, confident
from oodbench.report.entries import Entry, collect, no_record
from oodbench.result import reliability, ridges
from oodbench.result.ridges import GroupOf
from oodbench.shown import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THEMES = {"": ridges.LIGHT, "-dark": ridges.DARK}
"""Endings of the names of pictures, and their colours."""


class Shown(NamedTuple):
    """What was made: a table, the files written, and the numbers of the table."""

    table: Table
    files: list[Path]
    sets: list[dict[str, Any]]


def show(results: Path, matrix: str, method: str, seed: int | None, out: Path) -> Shown:
    """Write the pictures of a method on a matrix: what it scores right, wrong, out-set, attacked and corrupted inputs.

    Where its scores tell the classifier's confidence there is a reliability diagram besides, at T = 1 and at the fitted
    temperature if both have records.

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

    entries = collect(results, matrix)
    entry = _entry(results, entries, matrix, method, seed)
    scores, outcomes = entry.read()
    found = ridges.rows(scores, outcomes, groups(matrix))
    title, test = f"{method} on {matrix}, seed {entry.record.seed}", scores.test.astype(np.float64)
    drawings: dict[str, Callable[[ridges.Theme], Figure]] = {"histograms": partial(ridges.figure, found, test, title)}
    if panels := _panels(entries, entry):
        of_model = f"{entry.record.model.name if entry.record.model else method} on {matrix}, seed {entry.record.seed}"
        drawings["reliability"] = partial(reliability.figure, panels, of_model)
    files = []
    for (name, drawing), (ending, theme) in product(drawings.items(), THEMES.items()):
        files.append(out / f"{name}{ending}.svg")
        save(partial(drawing, theme), files[-1], "oodbench")
    return Shown(_table(found, test), files, _numbers(found, test))


def _panels(entries: Sequence[Entry], entry: Entry) -> dict[str, Judgements]:
    """Return the predictions of an entry's classifier, and those at its temperature if another entry has them."""
    method, given = entry.record.method, entry.record.method.removeprefix(method_of(entry.record.method))
    pair = next((one for one in TEMPERED.items() if method_of(method) in one), None)
    names = [f"{one}{given}" for one in reversed(pair)] if pair else [method]
    used = [one for one in entries if one.record.method in names and one.record.seed == entry.record.seed]
    known = {one.record.method: found for one in used if (found := confident(one))}
    return {name: known[name].inside for name in names if method in known and name in known}


def groups(matrix: str) -> GroupOf:
    """Return the groups of the sets that a matrix names, if it is known here."""
    card = known_matrix(matrix)
    named = ((kind.name, column) for kind in KINDS.values() for column in kind.planned(card)) if card else ()
    return {(kind, column.name): column.group for kind, column in named}


def _entry(results: Path, entries: Sequence[Entry], matrix: str, method: str, seed: int | None) -> Entry:
    if not entries:
        known = sorted({path.parent.parent.name for path in results.glob("*/*/*.json")})
        raise UnknownName("matrix with records", matrix, known)
    own = {entry.record.seed: entry for entry in entries if entry.record.method == method}
    if not own:
        raise no_record(results, matrix, method, entries)
    if seed is not None and seed not in own:
        raise BadData(f"{method} on {matrix}: no record of seed {seed}; there are {', '.join(map(str, sorted(own)))}")
    found = own[min(own) if seed is None else seed]
    if found.record.scores_sha256 is None:
        raise BadData(f"{method} on {matrix}, seed {found.record.seed} has no scores: {found.record.reason}")
    return found


def _table(found: list[ridges.Row], test: ridges.Floats) -> Table:
    """Return the median of each row, and which share the threshold of FPR95 accepts."""
    lines = [
        (one["inputs"], f"{one['n']:,}", f"{one['median']:.4g}", *(f"{100 * one[key]:.2f}" for key in SHARES))
        for one in _numbers(found, test)
    ]
    headers = ("inputs", "n", "median score", "accepted, percent", "beyond the picture, percent")
    return Table(headers, lines, ("left", *["right"] * 4))


SHARES = ("accepted", "beyond")
"""Of the inputs: above the threshold of FPR95, and outside the picture."""


def _numbers(found: list[ridges.Row], test: ridges.Floats) -> list[dict[str, Any]]:
    at, ends = ridges.threshold(test), ridges.view(found)
    return [
        {
            "inputs": row.label,
            "n": len(row.values),
            "median": float(np.median(row.values)),
            "accepted": float(ridges.accepted(row, at)),
            "beyond": float(sum(ridges.beyond(row, ends))),
        }
        for row in found
    ]
