"""What ranks say: the sentence above a table of them, and `results/ranks.csv`, where they can be read as data."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from oodbench.measure.metrics import METRICS
from oodbench.measure.ranks import Ranked
from oodbench.report.numbers import RANKINGS
from oodbench.report.standings import MAY_BE_BEST, SHARED, UNCHECKED, MatrixResults, Standings

FILE = "ranks.csv"

COLUMNS = (
    "matrix",
    "kind",
    "metric",
    "method",
    "place",
    "low",
    "high",
    "may_be_best",
    "mean",
    "seeds",
    "all_seeds",
    "sets",
    "all_sets",
)
"""Of the file: place, 95 % interval of the true rank, and mean stand only where no seed and no set is missing."""

NOT_CHECKED = (
    "it ran before anybody saw that the method keeps the laws of `oodbench check`, as that a score depends on its own "
    "input alone; its numbers may mean nothing"
)
"""What is said of a row that has no rank for this reason."""

ONE_SEED = (
    "With one seed all this speaks of these trained models and other inputs: what another training run would change "
    "cannot be seen."
)


def ranks_said(standings: Standings, metrics: Sequence[str] = RANKINGS) -> str:
    """Return what the ranks of a table claim that is in the order of the first metric."""
    methods, seeds = len(standings.ranked), len(standings.all_seeds)
    if methods < 2:
        return " ".join([_of_few(standings), *_of_the_unranked(standings)])
    said = [_said(metrics[0], str(methods), "each method", str(methods - 1), seeds)]
    best = _among(sum(one.may_be_best for one in standings.ranked_by[metrics[0]]))
    said.append(f"{MAY_BE_BEST}: with 95 % confidence the best of the {methods} is {best}.")
    said += [_also(metric, standings.ranked_by[metric]) for metric in metrics[1:]]
    said += [ONE_SEED] if seeds == 1 else []
    return " ".join([*said, *_of_the_unranked(standings)])


def ranks_in_brief(standings: Standings) -> str:
    """Return which may be the best, for a page that says elsewhere what is tested."""
    methods, (first, *others) = len(standings.ranked), RANKINGS
    if methods < 2:
        return " ".join([_of_few(standings), *_of_the_unranked(standings)])
    marked = {metric: _among(sum(one.may_be_best for one in standings.ranked_by[metric])) for metric in RANKINGS}
    also = "".join(f", by {METRICS[metric].title} {marked[metric]} in its column" for metric in others)
    best = f"{MAY_BE_BEST}: with 95 % confidence the best of the {methods} by {METRICS[first].title} is {marked[first]}"
    return " ".join([f"{best}{also}.", *_of_the_unranked(standings)])


def _of_few(standings: Standings) -> str:
    if standings.ranked:
        return "One method has a rank."
    why = "" if UNCHECKED in standings.ranks.values() else "every seed and set of the matrix, so none has "
    return f"No method has {why}a rank."


def _of_the_unranked(standings: Standings) -> Iterator[str]:
    if standings.ranked and any(standings.has(method).lacking for method in standings.entries):
        yield "A method without every seed and set has no rank, and says how many it has."
    if SHARED in standings.ranks.values():
        yield f"A row with {SHARED} has none: its seeds are ensembles of the same members, and no test knows these."
    if UNCHECKED in standings.ranks.values():
        yield f"A row that is {UNCHECKED} has none: {NOT_CHECKED}."


def ranks_of_all_said(matrix: MatrixResults, metric: str) -> str:
    """Return the same for a table of several kinds of failure by one metric."""
    seeds = max(len(standings.all_seeds) for standings in matrix.kinds)
    said = [
        _said(metric, "K", "each of the K methods of a kind of failure", "K - 1", seeds),
        f"{MAY_BE_BEST}: with 95 % confidence the best of a kind is one of those marked in its column.",
    ]
    return " ".join([*said, ONE_SEED] if seeds == 1 else said)


def _also(metric: str, ranked: Sequence[Ranked]) -> str:
    """Return what is said of ranks that stand beside the first, from the same tests of another metric."""
    best = _among(sum(one.may_be_best for one in ranked))
    return (
        f"**{METRICS[metric].title} ranks** are made in the same way from the means of {METRICS[metric].title}, on the "
        f"same drawn inputs; by it the best is {best} in its column, and the rows stay in the order of the first ranks."
    )


def _said(metric: str, methods: str, each: str, others: str, seeds: int) -> str:
    on = "the same inputs" + (f" and {seeds} seeds" if seeds > 1 else "")
    return (
        f"**{METRICS[metric].title} ranks**: a method's place by its mean, and in brackets a 95 % interval of its true "
        f"rank, from 1 + the number of methods significantly better to {methods} - the number significantly worse, "
        f"where {each} is tested against the {others} others on {on}, at 5 % after Holm's correction for these "
        f"{others} tests. An interval is right with 95 % confidence for each method by itself, not for all at once."
    )


def _among(best: int) -> str:
    return "the one marked" if best == 1 else f"one of the {best} marked"


def ranks_csv(matrices: Sequence[MatrixResults]) -> str:
    """Return the text of ranks.csv: a row a matrix, kind, metric and method, best first."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for matrix in matrices:
        for standings in matrix.kinds:
            for metric in RANKINGS:
                writer.writerows(_rows(standings, metric))
    return file.getvalue()


def _rows(standings: Standings, metric: str) -> Iterator[tuple[object, ...]]:
    found = {one.method: one for one in standings.ranked_by[metric]}
    for method in standings.ranks_by[metric]:
        one = found.get(method)
        rank = (one.place, one.low, one.high, str(one.may_be_best).lower(), f"{one.mean:.6f}") if one else ("",) * 5
        yield standings.matrix, standings.kind.name, metric, method, *rank, *standings.has(method)
