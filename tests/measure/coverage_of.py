"""How often AUROC's interval covers the truth in simulated tables of known AUROC."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from oodbench.measure.intervals import Interval, delong_variance
from oodbench.measure.ranking import Counts, auroc, count

AUROCS = (0.6, 0.8, 0.95, 0.999)
SIZES = ((500, 500), (10_000, 500), (40, 20))
LOWEST, HIGHEST = 0.93, 0.97
APART = 0.05
"""Where a larger share of the tables has groups that do not overlap, coverage has no upper bound: these all cover."""


@dataclass(frozen=True)
class Covered:
    """What came of a simulation.

    Attributes:
        share: Of the tables whose interval holds the true AUROC.
        apart: Of the tables whose groups do not overlap.
        width: Median width of the interval.
    """

    share: float
    apart: float
    width: float

    @property
    def as_promised(self) -> bool:
        """Whether it lies in 93 to 97 %, or above where it cannot but do so."""
        return self.share >= LOWEST and (self.share <= HIGHEST or self.apart > APART)


def plain(counts: Counts) -> Interval:
    """AUROC +- 1.96 sd, as it was before: what a law of coverage must refuse."""
    area = auroc(counts)
    if area == 1.0:
        return 0.025 ** (1 / min(counts.n_good, counts.n_bad)), 1.0
    reach = 1.959964 * delong_variance(counts) ** 0.5
    return area - reach, area + reach


def covered(
    interval: Callable[[Counts], Interval], truth: float, n: int, m: int, tables: int, spread: float = 1.0
) -> Covered:
    """Simulate tables of n good N(d, 1) and m bad N(0, spread^2) scores whose AUROC is `truth`."""
    rng = np.random.default_rng([n, m, round(1000 * truth), round(10 * spread)])
    d = float(stats.norm.ppf(truth)) * np.hypot(1, spread)
    found: NDArray[np.float64] = np.empty((tables, 2))
    apart = 0
    for table in range(tables):
        counts = count(rng.normal(d, 1, n), rng.normal(0, spread, m))
        found[table] = interval(counts)
        apart += auroc(counts) == 1.0
    low, high = found.T
    return Covered(float(((low <= truth) & (truth <= high)).mean()), apart / tables, float(np.median(high - low)))
