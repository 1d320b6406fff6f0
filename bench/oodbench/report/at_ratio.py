"""A paper's ratio of set sizes, drawn from our scores: an area under the precision-recall curve depends on it."""

from oodbench.data.splits import generator
from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.summary import Spread, spread
from oodbench.report.entries import Entry
from oodbench.report.reported import Reported

SIZED = frozenset({"aupr_in", "aupr_out"})
"""Metrics that depend on the sizes of the groups."""


def at_ratio(entry: Entry, name: str, number: Reported) -> Spread | None:
    """Return a metric at a paper's ratio of bad to good inputs, over as many draws of the bad ones as it has runs.

    All good inputs stand in every draw; a draw has no input twice, and is the same for every method. None where the
    metric does not depend on sizes, the paper does not say its own, or there are too few bad inputs.

    Args:
        entry: What was scored.
        name: Of the failure set.
        number: What the paper prints.
    """
    if number.metric not in SIZED or not number.n_good or not number.n_bad:
        return None
    cell = next((one for one in entry.cells if (one.failure, one.name) == (number.failure, name)), None)
    n = round(len(cell.good) * number.n_bad / number.n_good) if cell else 0
    if cell is None or not 0 < n <= len(cell.bad):
        return None
    return spread([_drawn(cell, number.metric, n, run) for run in range(number.n_runs or 1)])


def _drawn(cell: Cell, metric: str, n: int, run: int) -> float:
    chosen = generator("at a paper's ratio", cell.name, run).choice(len(cell.bad), n, replace=False)
    return ranking(cell.good, cell.bad[chosen])[metric]
