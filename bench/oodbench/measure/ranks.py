"""Which rank a method has: its place by the mean, and a 95 % interval of its true rank.

The true rank of a row is what its place would be with all inputs of the same sources and all training runs. Rows that
are then equal share their ranks, so it is a set: from 1 + the number of rows that are truly better to K - the number
that are truly worse (of K equal rows each has all ranks from 1 to K). The interval of a row is

    [1 + number of rows significantly better, K - number of rows significantly worse],

the row being tested against each of the K - 1 others: paired differences over inputs and training seeds
(`oodbench.measure.pairs`), two-sided, corrected for K - 1 tests by Holm's method. If no test of the row errs, the
interval holds its whole set of true ranks; so for each row it does with at least 95 % confidence (Mogstad, Romano,
Shaikh & Wilhelm, Inference for ranks with applications to mobility across neighbourhoods and academic achievement
across countries, Review of Economic Studies 91, 2024, section 3: marginal confidence sets; the one-sided error is
2.5 %). That is said of each row, not of all rows of a table together.

The set that may hold the best is made of the rows whose interval begins at 1: no other row is significantly better. The
truly best row is one of them with at least 95 % confidence, since its own interval holds 1.

A noisy row gets a wide interval, not a good rank. With one seed all this speaks of those training runs alone.
`docs/ranks.md` has the coverage in simulated tables, beside that of other corrections and variances.

Example:
    >>> import numpy as np
    >>> inputs = 0.005 * np.random.default_rng(0).normal(size=(3, 200))
    >>> runs = {name: {0: Run(mean, 500, mean + drawn)} for (name, mean), drawn in
    ...         zip({"a": 0.100, "b": 0.105, "c": 0.200}.items(), inputs)}
    >>> [(row.method, row.place, row.low, row.high, row.may_be_best) for row in ranked(runs, "fpr95")]
    [('a', 1, 1, 2, True), ('b', 2, 1, 2, True), ('c', 3, 3, 3, False)]
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oodbench.errors import BadData
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import holm
from oodbench.measure.metrics import METRICS
from oodbench.measure.pairs import Differences, differences
from oodbench.measure.ranking import RANKING, count
from oodbench.measure.resamples import RESAMPLES, drawn_mean

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Results = Mapping[str, Mapping[int, Mapping[str, Cell]]]
"""Cells by method, by seed, by name of the failure set."""

LEVEL = 0.05
"""Of the tests of one row, together."""

DIGITS = 9
"""Means that agree to so many decimals are the same: sums round differently on other machines."""


@dataclass(frozen=True, eq=False)
class Run:
    """One method at one seed, as far as ranks need it.

    Attributes:
        mean: Mean of the metric over sets.
        pairs: Size of the smallest group of inputs.
        drawn: The mean over sets on each resample [resamples].
    """

    mean: float
    pairs: int
    drawn: Floats


@dataclass(frozen=True)
class Ranked:
    """One method's rank.

    Attributes:
        method: Its name.
        mean: Mean of the metric over sets and seeds.
        place: 1 + the number of methods with a better mean.
        low: First rank of the 95 % interval of its true rank: 1 + the number of methods significantly better.
        high: Last rank of it: the number of methods less those significantly worse.
    """

    method: str
    mean: float
    place: int
    low: int
    high: int

    @property
    def may_be_best(self) -> bool:
        """Whether no method is significantly better: with 95 % confidence the best is one of those."""
        return self.low == 1


def rank_intervals(
    results: Results, metric: str = "fpr95", resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> tuple[Ranked, ...]:
    """Return all methods, best first, with the intervals of their true ranks.

    Inputs are matched by position between cells of equal size; between cells of unequal size (misclassifications, and
    successful attacks on different models) they are drawn apart. Seeds are matched by number.

    Args:
        results: Cells by method, seed and set; each method has every set at every seed.
        metric: What to rank by.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the bootstrap.
        level: Of the tests of one method against all others, together.

    Raises:
        UnknownName: There is no such ranking metric.
        BadData: A method lacks a set or a seed, or as `oodbench.measure.ranking.ranking`.

    Example:
        >>> from oodbench.measure.cells import Cell
        >>> good, far, near = np.arange(100.0, 200.0), np.arange(50.0), np.arange(120.0, 170.0)
        >>> results = {name: {0: {"far": Cell("ood", "far", good, bad)}} for name, bad in {"a": far, "b": near}.items()}
        >>> [(row.method, row.place, row.low, row.high) for row in rank_intervals(results)]
        [('a', 1, 1, 1), ('b', 2, 2, 2)]
    """
    _check_sets(results)
    runs = {
        method: {run: _run(cells, metric, resamples, seed) for run, cells in seeds.items()}
        for method, seeds in results.items()
    }
    return ranked(runs, metric, level)


def ranked(runs: Mapping[str, Mapping[int, Run]], metric: str, level: float = LEVEL) -> tuple[Ranked, ...]:
    """Return the methods from best to worst, from what is known of each run; see `rank_intervals`.

    Args:
        runs: By method and seed; their resamples were drawn alike.
        metric: What their means are of.
        level: Of the tests of one method against all others, together.

    Raises:
        BadData: A method lacks a seed that another has.

    Example:
        >>> drawn = np.random.default_rng(0).normal(scale=0.001, size=200)
        >>> runs = {"a": {0: Run(0.1, 500, 0.1 + drawn)}, "b": {0: Run(0.3, 500, 0.3 - drawn)}}
        >>> [(row.method, row.low, row.high) for row in ranked(runs, "fpr95")]
        [('a', 1, 1), ('b', 2, 2)]
    """
    if not runs:
        return ()
    seeds = _common_seeds(runs)
    means = np.array([[of[seed].mean for seed in seeds] for of in runs.values()])
    drawn = np.array([[of[seed].drawn for seed in seeds] for of in runs.values()])
    pairs = np.array([min(run.pairs for run in of.values()) for of in runs.values()])
    sign = -1 if METRICS[metric].higher_is_better else 1
    overall = means.mean(axis=1)
    ahead = np.subtract.outer(badness := np.round(sign * overall, DIGITS), badness)  # < 0: the row is better
    told_apart = significant(pair_p_values(ahead, differences(means, drawn), np.minimum.outer(pairs, pairs)), level)
    low, high = 1 + (told_apart & (ahead > 0)).sum(axis=1), len(runs) - (told_apart & (ahead < 0)).sum(axis=1)
    place = 1 + (ahead > 0).sum(axis=1)
    rows = zip(runs, overall.tolist(), place.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(sorted((Ranked(*row) for row in rows), key=lambda row: (row.place, row.method)))


def pair_p_values(difference: Floats, found: Differences, pairs: NDArray[np.int64]) -> Floats:
    """Return the smaller of the p-values by the moderated variance and by the pair's own [K, K]."""
    return np.minimum(
        p_values(difference, found.moderated, found.df, pairs), p_values(difference, found.own, found.own_df, pairs)
    )


def p_values(difference: Floats, variance: Floats, df: float, pairs: NDArray[np.int64]) -> Floats:
    """Return the two-sided p-values of all differences by the t distribution [K, K].

    Without variance every input says the same: each of the independent pairs of a good and a bad input speaks for one
    method, which by the sign test happens by chance with 2 / 2^pairs.
    """
    sure = np.where(difference == 0, 1.0, np.minimum(1.0, 2.0 ** (1.0 - pairs)))
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    p: Floats = np.where(variance > 0, 2 * special.stdtr(df, -np.abs(difference) / spread), sure)
    return p


def significant(p: Floats, level: float) -> Flags:
    """Return which differences of each row are significant, Holm's correction made row by row [K, K].

    It is not symmetric: a row that all others differ from has its p-values corrected less than they have theirs.
    """
    others = ~np.eye(len(p), dtype=np.bool_)
    found = np.zeros_like(others)
    for row, other in enumerate(others):
        found[row, other] = np.array(holm(p[row, other].tolist())) <= level
    return found


def _run(cells: Mapping[str, Cell], metric: str, resamples: int, seed: int) -> Run:
    drawn = drawn_mean(cells.values(), metric, resamples, seed)
    mean = float(np.mean([RANKING[metric](count(cell.good, cell.bad)) for cell in cells.values()]))
    return Run(mean, min(min(len(cell.good), len(cell.bad)) for cell in cells.values()), drawn)


def _common_seeds(runs: Mapping[str, Mapping[int, object]]) -> tuple[int, ...]:
    """Return the seeds of all methods, in order; refuse a method that lacks one."""
    seeds = tuple(sorted({seed for of in runs.values() for seed in of}))
    for method, of in runs.items():
        if not of:
            raise BadData(f"{method}: no seed to rank it by")
        if missing := [str(seed) for seed in seeds if seed not in of]:
            raise BadData(f"{method}: no scores at seed {', '.join(missing)}: ranks need every seed")
    return seeds


def _check_sets(results: Results) -> None:
    """Refuse a method that lacks a set."""
    sets = tuple(dict.fromkeys(name for seeds in results.values() for cells in seeds.values() for name in cells))
    for method, seeds in results.items():
        for seed, cells in seeds.items():
            if missing := [name for name in sets if name not in cells]:
                raise BadData(f"{method}, seed {seed}: no scores of {', '.join(missing)}: ranks need every set")
