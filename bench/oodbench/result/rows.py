"""From one method's scores to its rows: a row a failure set, its numbers, and what makes them doubtful."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from oodbench.errors import BadData
from oodbench.measure.cells import Cell, cells, measure
from oodbench.measure.intervals import every_interval
from oodbench.measure.kinds import KINDS, TWINS
from oodbench.measure.ranking import count
from oodbench.measure.ranks import rank_intervals
from oodbench.records import Outcomes, Scores

Row = dict[str, Any]

METRICS = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")
"""Those of the table; `metrics` has all."""

INTERVALS = ("auroc", "fpr95")
"""Those that have their interval in the table."""

BOUNDS = tuple(f"{name}_{end}" for name in INTERVALS for end in ("low", "high"))

COLUMNS = (
    *("method", "failure", "set", "n_good", "n_bad", *METRICS, *BOUNDS),
    *("forward", "gradient", "accuracy", "note"),
)

RANKS = ("failure", "method", "mean", "place", "low", "high")

LONG = ("method", "failure", "set", "n_good", "n_bad", "metric", "value", "low", "high")

RESAMPLES = 1000
"""Behind the interval of fpr95, whose resamples cost next to nothing."""

RESAMPLES_OF_ALL = 200
"""Behind the intervals of metrics that are measured again on each resample."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What one method said, and what is to be said of that.

    Attributes:
        method: Its name.
        scores: Of every set; None where it could not run.
        forward: Forward passes an input, the shared one included.
        gradient: Backward passes an input.
        why: Why there are no scores.
        doubts: What makes all of its numbers doubtful.
        of_sets: What makes those of an out-set or an attack doubtful, by its name.
        failed: Why there are none of a set, by kind of failure and name.
    """

    method: str
    scores: Scores | None = None
    forward: float | None = None
    gradient: float | None = None
    why: str = ""
    doubts: Sequence[str] = ()
    of_sets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def cells(self, outcomes: Outcomes) -> list[Cell]:
        """Return its cells, by kind of failure and name."""
        found = cells(self.scores, outcomes) if self.scores else []
        return sorted(found, key=lambda cell: (cell.failure, cell.name))


def table(
    judged: Sequence[Judged], outcomes: Outcomes, accuracy: float, doubts: Sequence[str], seed: int
) -> pd.DataFrame:
    """Return the rows of methods as a DataFrame, those without numbers with the reason in `note`."""
    rows = [row for one in judged for row in _rows(one, outcomes, doubts, seed)]
    return pd.DataFrame([{"accuracy": accuracy} | row for row in rows], columns=list(COLUMNS))


def ranks(judged: Sequence[Judged], outcomes: Outcomes, metric: str) -> pd.DataFrame:
    """Return the methods of each kind of failure, best first, by their mean over its sets, and their ranks' intervals.

    An attack's twin that is rounded to 8 bits is not part of the mean. A method that lacks a set has no rank.
    """
    cells_of = {one.method: one.cells(outcomes) for one in judged if one.scores}
    found: list[Row] = []
    for kind in KINDS:
        of_kind = {
            method: {
                cell.name: cell
                for cell in some
                if cell.failure == kind and not cell.name.endswith(TWINS) and len(cell.good) and len(cell.bad)
            }
            for method, some in cells_of.items()
        }
        sets = {name for some in of_kind.values() for name in some}
        whole = {method: {0: some} for method, some in of_kind.items() if some.keys() == sets and sets}
        for one in rank_intervals(whole, metric):
            found.append(dict(zip(RANKS, (kind, one.method, one.mean, one.place, one.low, one.high), strict=True)))
    return pd.DataFrame(found, columns=list(RANKS))


def metrics(judged: Sequence[Judged], outcomes: Outcomes, seed: int) -> pd.DataFrame:
    """Return every metric of every cell, a row a number; ranking metrics with their 95 % interval."""
    rows = [row for one in judged for cell in one.cells(outcomes) for row in _numbers(one.method, cell, seed)]
    return pd.DataFrame(rows, columns=list(LONG))


def _rows(one: Judged, outcomes: Outcomes, doubts: Sequence[str], seed: int) -> Iterator[Row]:
    if one.scores is None:
        yield _note(one.method, one.why)
        return
    for cell in one.cells(outcomes):
        of_set = one.of_sets.get(cell.name, ())
        try:
            values, intervals = measure(cell, RESAMPLES, seed)
        except BadData as error:  # nothing to tell apart: a classifier that makes no misclassification
            yield _note(one.method, "; ".join([str(error), *of_set]), cell.failure, cell.name)
            continue
        yield (
            {"method": one.method, "failure": cell.failure, "set": cell.name}
            | {"n_good": len(cell.good), "n_bad": len(cell.bad)}
            | {name: values[name] for name in METRICS}
            | dict(zip(BOUNDS, (end for name in INTERVALS for end in intervals[name]), strict=True))
            | {"forward": one.forward, "gradient": one.gradient}
            | {"note": "; ".join([*doubts, *one.doubts, *of_set])}
        )
    for (failure, name), why in one.failed.items():
        yield _note(one.method, why, failure, name)


def _note(method: str, note: str, failure: str | None = None, name: str | None = None) -> Row:
    return {"method": method, "failure": failure, "set": name, "note": note}


def _numbers(method: str, cell: Cell, seed: int) -> Iterator[Row]:
    try:
        values, quick = measure(cell, RESAMPLES, seed)
    except BadData:  # the table says why
        return
    intervals = every_interval(count(cell.good, cell.bad), RESAMPLES_OF_ALL, seed) | quick
    of_cell = (method, cell.failure, cell.name, len(cell.good), len(cell.bad))
    for name, value in values.items():
        yield dict(zip(LONG, (*of_cell, name, value, *intervals.get(name, (None, None))), strict=True))
