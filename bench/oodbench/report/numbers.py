"""Every number and every gap of a results folder, one a line; the numbers are recomputed from the scores."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

import pandas as pd

from oodbench.errors import BadData
from oodbench.measure.cells import Cell, measure
from oodbench.records import Failure, Record
from oodbench.report.collect import Entry

FAILURES: tuple[Failure, ...] = get_args(Failure)

RESAMPLES = 200
"""Behind the interval of fpr95."""


class Number(NamedTuple):
    """One metric of one cell, in [0, 1]; `low` and `high` are a 95 % interval, where there is one."""

    matrix: str
    failure: Failure
    set: str
    method: str
    seed: int
    metric: str
    value: float
    low: float | None
    high: float | None
    n_good: int
    n_bad: int


class Gap(NamedTuple):
    """A record or cell that was skipped, failed, or has nothing to measure; a whole record has no failure and set."""

    matrix: str
    failure: Failure | None
    set: str | None
    method: str
    seed: int
    status: str
    reason: str


def measured(entries: Iterable[Entry]) -> tuple[list[Number], list[Gap]]:
    """Return the numbers of `entries`, and what is missing: an attack that never worked has nothing to measure."""
    numbers: list[Number] = []
    gaps: dict[tuple[object, ...], Gap] = {}
    for entry in entries:
        missing = list(_recorded(entry.record))
        for cell in entry.cells:
            try:
                numbers += _numbers(entry.record, cell)
            except BadData as error:
                missing.append(_gap(entry.record, cell.failure, cell.name, "skipped", str(error)))
        for gap in missing:
            gaps.setdefault(gap[:5], gap)
    return numbers, list(gaps.values())


def long_frame(numbers: Iterable[Number]) -> pd.DataFrame:
    """Return numbers as a frame: a row for each, a column for each field of `Number`."""
    return pd.DataFrame(list(numbers), columns=list(Number._fields))


def _numbers(record: Record, cell: Cell) -> list[Number]:
    metrics, intervals = measure(cell, RESAMPLES, record.seed)
    n = len(cell.good), len(cell.bad)
    where = record.matrix, cell.failure, cell.name, record.method, record.seed
    rows = []
    for metric, value in metrics.items():
        low, high = intervals.get(metric, (None, None))
        rows.append(Number(*where, metric, value, low, high, *n))
    return rows


def _recorded(record: Record) -> Iterator[Gap]:
    if record.status != "ok":
        yield _gap(record, None, None, record.status, record.reason)
    for cell in record.cells:
        if cell.status != "ok":
            yield _gap(record, cell.failure, cell.name, cell.status, cell.reason)


def _gap(record: Record, failure: Failure | None, name: str | None, status: str, reason: str | None) -> Gap:
    return Gap(record.matrix, failure, name, record.method, record.seed, status, reason or "")
