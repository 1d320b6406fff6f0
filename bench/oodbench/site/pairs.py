"""Two rows of a board against each other: the tests that the ranks are made from, with their intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oodbench.measure.intervals import LEVEL, holm
from oodbench.measure.metrics import METRICS
from oodbench.measure.pairs import differences
from oodbench.measure.ranks import DIGITS, p_values
from oodbench.report.standings import Standings

Floats = NDArray[np.float64]


class Paired(NamedTuple):
    """How a row differs from another, by the metric's mean over all sets.

    Attributes:
        difference: The row's mean less the other's, in [-1, 1].
        low: Of its 95 % interval, over inputs and seeds; None where no resample and no seed changes it.
        high: Likewise.
        p: Of no difference, two-sided.
        holm: The same after Holm's correction for the tests of the row against all others: what its rank is made of.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    holm: float


def paired(standings: Standings, metric: str) -> dict[str, dict[str, Paired]]:
    """Return how each row that has a rank differs from each other one; nothing of fewer than two.

    The p-value is that behind the ranks, the smaller one by the moderated variance and by the pair's own
    (`oodbench.measure.pairs`); the interval is by the same variance, and holds 0 where p > 0.05.
    """
    methods = [one.method for one in standings.ranked_by[metric]]
    if len(methods) < 2:
        return {}
    runs = [list(standings.runs(method, metric).values()) for method in methods]
    means = np.array([[run.mean for run in of] for of in runs])
    drawn = np.array([[run.drawn for run in of] for of in runs])
    sizes = np.array([min(run.pairs for run in of) for of in runs])
    found = differences(means, drawn)
    sign = -1 if METRICS[metric].higher_is_better else 1
    overall = sign * np.round(sign * means.mean(axis=1), DIGITS)  # as ranks round it
    difference = np.subtract.outer(overall, overall)
    smallest = np.minimum.outer(sizes, sizes)
    ways = ((found.moderated, found.df), (found.own, found.own_df))
    p_by_way = np.array([p_values(difference, variance, df, smallest) for variance, df in ways])
    reach_by_way = np.array([_reach(variance, df) for variance, df in ways])
    way = p_by_way.argmin(axis=0)[None]
    p, reach = (np.take_along_axis(of, way, axis=0)[0] for of in (p_by_way, reach_by_way))
    return {
        method: _of_row(methods, place, difference[place], reach[place], p[place])
        for place, method in enumerate(methods)
    }


def _reach(variance: Floats, df: float) -> Floats:
    """Return half the width of the interval of each difference; NaN where there is no variance."""
    t = -float(special.stdtrit(df, (1 - LEVEL) / 2))
    reach: Floats = t * np.sqrt(np.where(variance > 0, variance, np.nan))
    return reach


def _of_row(methods: list[str], place: int, difference: Floats, reach: Floats, p: Floats) -> dict[str, Paired]:
    others = [at for at in range(len(methods)) if at != place]
    corrected = holm([float(p[at]) for at in others])
    made = {}
    for at, adjusted in zip(others, corrected, strict=True):
        middle, half = float(difference[at]), float(reach[at])
        low, high = (None, None) if np.isnan(half) else (max(-1.0, middle - half), min(1.0, middle + half))
        made[methods[at]] = Paired(middle, low, high, float(p[at]), float(adjusted))
    return made
