"""Every number of the leaderboard as one table: mean and spread over seeds, interval, rank, and permanent id.

What pages print, as data: a row for each matrix, kind of failure, set (or mean over sets), method and metric; and of
kind `model` the accuracy, calibration and bits per dimension of what a row stands on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from oodbench.measure.kinds import Column, averaged
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranks import Ranked
from oodbench.measure.summary import Spread, spread
from oodbench.records import ModelRecord
from oodbench.report.entries import Entry
from oodbench.report.ids import GROUP, MEAN, Id, row_id
from oodbench.report.standings import MatrixResults, Standings

COLUMNS = {
    "id": "str",
    "matrix": "str",
    "method": "str",
    "version": "str",
    "kind": "str",
    "set": "str",
    "metric": "str",
    "mean": "float64",
    "std": "float64",
    "n": "int64",
    "low": "float64",
    "high": "float64",
    "n_good": "Int64",
    "n_bad": "Int64",
    "rank": "Int64",
    "rank_low": "Int64",
    "rank_high": "Int64",
    "may_be_best": "boolean",
    "title": "str",
    "tuning_access": "str",
    "paper": "str",
}
"""Of the table. `std` is over the n seeds, with n - 1 in the denominator; `low` and `high` are the 95 % interval of a
single seed; `n_good` and `n_bad` the fewest inputs at any seed; ranks stand with the mean over all sets."""

MODEL = "model"
"""The kind of numbers that are of what a row stands on, and of no failure."""

BITS = "bits_per_dim"


def values(matrices: Sequence[MatrixResults], *, ranks: bool = True) -> pd.DataFrame:
    """Return the table of some matrices, in the order of their pages.

    Args:
        matrices: Their results.
        ranks: Whether ranks are asked for: those of a part of a matrix's rows would be wrong.
    """
    rows = [row for matrix in matrices for row in _of_matrix(matrix, ranks)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def means(columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    """Return the sets behind each mean, by the word that stands for a set in ids."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        groups.setdefault(column.group, []).append(column.name)
    of_groups = {f"{MEAN}{GROUP}{group}": tuple(sets) for group, sets in groups.items() if group and len(sets) > 1}
    return {MEAN: averaged(columns)} | of_groups


def metrics_of(standings: Standings, method: str) -> list[str]:
    """Return the metrics that a method was measured by, in the order of measuring."""
    return list(dict.fromkeys(metric for metric, own, _ in standings.values if own == method))


def _of_matrix(matrix: MatrixResults, ranks: bool) -> Iterator[tuple[object, ...]]:
    for standings in matrix.kinds:
        places = {metric: {one.method: one for one in found} for metric, found in _ranked(standings, ranks).items()}
        for method in standings.ranks if ranks else standings.entries:
            yield from _of_row(standings, method, places)
    by_method: dict[str, list[Entry]] = {}
    for entry in matrix.entries:
        by_method.setdefault(entry.record.method, []).append(entry)
    for entries in by_method.values():
        yield from _of_model(entries)


def _ranked(standings: Standings, ranks: bool) -> dict[str, tuple[Ranked, ...]]:
    return standings.ranked_by if ranks else {}


def _of_row(standings: Standings, method: str, places: dict[str, dict[str, Ranked]]) -> Iterator[tuple[object, ...]]:
    row = row_id(standings.records(method))
    here = replace(row or Id(standings.matrix, method), kind=standings.kind.name)
    seeds = list(standings.entries[method])
    described = _described(standings.entries[method][seeds[0]])
    sizes = [standings.sizes.get((method, seed), {}) for seed in seeds]
    for metric in metrics_of(standings, method):
        for column in standings.columns:
            found = standings.over_seeds(metric, method, column.name)
            if found is not None:
                interval = standings.interval(metric, method, column.name) or (None, None)
                fewest = _fewest(sizes, (column.name,))
                yield _line(here, row, column.name, metric, found, (*interval, *fewest), described)
        for name, sets in means(standings.columns).items():
            found = standings.over_sets(metric, method, sets)
            if found is not None:
                place = places.get(metric, {}).get(method) if name == MEAN else None
                rest = (None, None, *_fewest(sizes, sets))
                yield _line(here, row, name, metric, found, rest, described, place)


def _of_model(entries: Sequence[Entry]) -> Iterator[tuple[object, ...]]:
    """Yield how good the classifier is that a row is judged on, and the bits of the density that it scores."""
    row = row_id([entry.record for entry in entries])
    here = replace(row or Id(entries[0].record.matrix, entries[0].record.method), kind=MODEL)
    described = _described(entries[0])
    references = [entry.reference for entry in entries if entry.reference]
    models = [entry.model for entry in entries if entry.model]
    for metric in [name for name in type(references[0].quality).model_fields if name in METRICS] if references else ():
        if (found := _quality(references, metric)) is not None:
            yield _line(here, row, "test", metric, found, (None,) * 4, described)
    for name in dict.fromkeys(name for model in models for name in model.bits_per_dimension):
        bits = [model.bits_per_dimension[name] for model in models if name in model.bits_per_dimension]
        if (found := spread(bits)) is not None:
            yield _line(here, row, name, BITS, found, (None,) * 4, described)


def _quality(models: Sequence[ModelRecord], metric: str) -> Spread | None:
    known = [getattr(model.quality, metric) for model in models]
    return spread([number for number in known if number is not None])


def _described(entry: Entry) -> tuple[str, ...]:
    record = entry.record
    return record.title, record.tuning_access, record.citation.url or ""


def _fewest(sizes: Sequence[dict[str, tuple[int, int]]] | Sequence[object], sets: Sequence[str]) -> tuple[object, ...]:
    found = [one[name] for one in sizes if isinstance(one, dict) for name in sets if name in one]
    return (min(n for n, _ in found), min(m for _, m in found)) if found else (None, None)


def _line(
    here: Id,
    row: Id | None,
    name: str,
    metric: str,
    found: Spread,
    rest: tuple[object, ...],
    described: tuple[str, ...],
    place: Ranked | None = None,
) -> tuple[object, ...]:
    number = str(replace(here, set=name, metric=metric)) if row else ""
    rank = (place.place, place.low, place.high, place.may_be_best) if place else (None,) * 4
    version = row.version if row else ""
    where = (number, here.matrix, here.method, version, here.kind, name, metric)
    std = np.nan if found.std is None else found.std
    return (*where, found.mean, std, found.n, *rest, *rank, *described)
