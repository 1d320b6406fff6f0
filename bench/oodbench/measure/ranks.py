"""Which methods are better than which: ranks, shared where the inputs and seeds at hand do not tell two methods apart.

Methods are ordered by the mean of one metric over sets and seeds, and each is compared with the one above it. In a long
row of small steps no step is significant though its ends are far apart, so a row leaves the rank also where it differs
from the first row of that rank. What the difference would be with other test inputs and other training runs is seen at
two levels:

1. Inputs, by a bootstrap. Every resample draws weights for the in-set's and each out-set's inputs, and all methods and
   seeds are judged on the same drawn inputs, since they were scored on the same inputs: what they share cancels out.
   This gives V_inputs, the variance of the difference with these training runs, averaged over the S seeds.
2. Seeds. The bootstrap of a mean of S numbers needs no drawing: its variance is V_seeds = s^2 / S, with s^2 over S - 1.

Both hold what an input and a training run do together, V_both, which must count once. It shows in how much less the
mean over seeds varies over resamples than one seed does: V_both = (V_one_seed - V_inputs) / (S - 1). So the variance is
V_inputs + max(0, V_seeds - V_both), as in an analysis of variance with crossed effects. With one seed it is V_inputs,
and ranks speak of that one training run.

The p-value comes from the difference over its standard deviation, not from counting resamples: no count of 200 reaches
the levels that Holm's correction asks for. It is held against a t distribution whose degrees of freedom weigh the two
levels as Welch and Satterthwaite do: S - 1 for the part of the variance that seeds make, infinitely many for the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import holm, p_value, weighted
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING, at_least_95_percent, count

Floats = NDArray[np.float64]
Weights = NDArray[np.int32]
Results = Mapping[str, Mapping[int, Mapping[str, Cell]]]
"""Cells by method, by seed, by name of the failure set."""


STREAMS = {"misclassified": "mistakes"}
"""Sets whose resamples are drawn under the name that version 0.1 gave them: published ranks stay as they are."""


@dataclass(frozen=True)
class Ranked:
    """One method's place.

    Attributes:
        method: Its name.
        mean: Mean of the metric over sets and seeds.
        rank: From 1; that of the row above where it is told apart neither from it nor from the first row of that rank,
            else one more than the rows above.
        p: p-value of the difference to the row above; None for the first row.
        p_holm: `p` after Holm's correction over all rows.
        p_first: p-value of the difference to the first row of the rank above, after Bonferroni's correction (which rows
            come first is not known beforehand, so Holm's order is not); None for the first row.
    """

    method: str
    mean: float
    rank: int
    p: float | None
    p_holm: float | None
    p_first: float | None


def shared_ranks(
    results: Results, metric: str = "fpr95", resamples: int = 200, seed: int = 0, level: float = 0.05
) -> tuple[Ranked, ...]:
    """Return all methods, best first, with ranks that are shared where a difference is not significant.

    Inputs are matched by position between cells of equal size; between cells of unequal size (misclassifications, and
    successful attacks on different models) they are drawn apart. Seeds are matched by number; two methods without a
    common seed are never told apart.

    Args:
        results: Cells by method, seed and set; each method has every set at each of its seeds.
        metric: What to rank by.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the bootstrap.
        level: Largest corrected p-value that separates two rows.

    Raises:
        UnknownName: There is no such ranking metric.
        BadData: A method lacks a set or has no seed, or as `oodbench.measure.ranking.ranking`.
    """
    if metric not in RANKING:
        raise UnknownName("ranking metric", metric, RANKING)
    if not results:
        return ()
    sets = _common_sets(results)
    means = {m: {s: _mean(cells, metric) for s, cells in seeds.items()} for m, seeds in results.items()}
    overall = {method: float(np.mean(list(seeds.values()))) for method, seeds in means.items()}
    sign = -1 if METRICS[metric].higher_is_better else 1
    order = sorted(results, key=lambda method: (sign * overall[method], method))
    drawn = _drawn(results, sets, metric, resamples, seed)

    def compare(a: str, b: str) -> float:
        return _compare(means[a], means[b], drawn[a], drawn[b], _pairs(results, a, b))

    return _shared(order, overall, compare, level)


def _common_sets(results: Results) -> tuple[str, ...]:
    """Return the names of all sets, in order of appearance; refuse a method that lacks one."""
    sets = tuple(dict.fromkeys(name for seeds in results.values() for cells in seeds.values() for name in cells))
    for method, seeds in results.items():
        if not seeds:
            raise BadData(f"{method}: no seed to rank it by")
        for seed, cells in seeds.items():
            if missing := [name for name in sets if name not in cells]:
                raise BadData(f"{method}, seed {seed}: no scores of {', '.join(missing)}: ranks need every set")
    return sets


def _mean(cells: Mapping[str, Cell], metric: str) -> float:
    return float(np.mean([RANKING[metric](count(cell.good, cell.bad)) for cell in cells.values()]))


def _pairs(results: Results, *methods: str) -> int:
    """Return the size of the smallest group of inputs behind some methods."""
    cells = [cell for method in methods for seed in results[method].values() for cell in seed.values()]
    return min(min(len(cell.good), len(cell.bad)) for cell in cells)


def _shared(
    order: Sequence[str], overall: Mapping[str, float], compare: Callable[[str, str], float], level: float
) -> tuple[Ranked, ...]:
    p = [compare(above, below) for above, below in pairwise(order)]
    rows = [Ranked(order[0], overall[order[0]], 1, None, None, None)]
    for method, raw, corrected in zip(order[1:], p, holm(p), strict=True):
        first = order[rows[-1].rank - 1]
        from_first = min(1.0, len(p) * compare(first, method))
        tied = corrected > level and from_first > level
        rank = rows[-1].rank if tied else len(rows) + 1
        rows.append(Ranked(method, overall[method], rank, raw, corrected, from_first))
    return tuple(rows)


def _compare(
    mean_a: Mapping[int, float],
    mean_b: Mapping[int, float],
    drawn_a: Mapping[int, Floats],
    drawn_b: Mapping[int, Floats],
    pairs: int,
) -> float:
    """Return the p-value of the difference between two methods over the seeds that both have."""
    seeds = [s for s in mean_a if s in mean_b]
    if not seeds:
        return 1.0
    difference = np.array([mean_a[s] - mean_b[s] for s in seeds])
    variance, df = _variance(difference, np.stack([drawn_a[s] - drawn_b[s] for s in seeds]))
    return p_value(float(difference.mean()), variance, pairs, df)


def _variance(difference: Floats, drawn: Floats) -> tuple[float, float]:
    """Return the variance of the mean difference, and its degrees of freedom.

    Args:
        difference: Of each seed [S].
        drawn: Of each seed on each resample of the inputs [S, resamples].
    """
    seeds = len(difference)
    of_inputs = float(drawn.mean(axis=0).var(ddof=1))
    if seeds == 1:
        return of_inputs, np.inf
    of_one_seed = float(drawn.var(axis=1, ddof=1).mean())
    of_both = (of_one_seed - of_inputs) / (seeds - 1)
    of_seeds = float(difference.var(ddof=1)) / seeds
    variance = of_inputs + max(0.0, of_seeds - of_both)
    return variance, (seeds - 1) * max(1.0, variance / of_seeds) ** 2 if of_seeds else np.inf


def _drawn(
    results: Results, sets: Sequence[str], metric: str, resamples: int, seed: int
) -> dict[str, dict[int, Floats]]:
    """Return the mean over sets of the metric on each resample, by method and seed."""

    @lru_cache(maxsize=8)
    def weights(group: str, size: int) -> Weights:
        return _weights(np.random.default_rng([seed, crc32(group.encode()), size]), size, resamples)

    @cache
    def threshold(method: str, run: int, good: int) -> Floats:
        return _threshold_95(goods[good], weights("good", len(goods[good])))

    # One array of good scores may serve many sets: its thresholds are found once.
    goods = {id(c.good): c.good for runs in results.values() for cells in runs.values() for c in cells.values()}
    total = {method: {run: np.zeros(resamples) for run in runs} for method, runs in results.items()}
    for name in sets:
        for method, runs in results.items():
            for run, cells in runs.items():
                cell = cells[name]
                of_bad = weights(f"bad/{STREAMS.get(name, name)}", len(cell.bad))
                if metric == "fpr95":
                    drawn = _accepted(cell.bad, of_bad, threshold(method, run, id(cell.good)))
                else:
                    drawn = _remeasured(cell, weights("good", len(cell.good)), of_bad, metric)
                total[method][run] += drawn / len(sets)
    return total


def _weights(rng: np.random.Generator, size: int, resamples: int) -> Weights:
    """Return how often each of `size` inputs is drawn in each resample [size, resamples]."""
    drawn = np.empty((size, resamples), dtype=np.int32)
    for resample in range(resamples):
        drawn[:, resample] = np.bincount(rng.integers(size, size=size), minlength=size)
    return drawn


def _threshold_95(good: Floats, weights: Weights) -> Floats:
    """Return each resample's largest threshold that accepts 95 % of the drawn good inputs [resamples].

    It is the score at which more good inputs would be lost than may be. Only the lowest scores can be that, so only
    they are looked at: as many as are lost, and as many again until all resamples are settled.
    """
    n = len(good)
    lost = n - at_least_95_percent(n)
    order = np.argsort(good)
    looked_at = min(n, 2 * lost + 16)
    while True:
        crossed = np.cumsum(weights[order[:looked_at]], axis=0) > lost
        if crossed[-1].all():
            threshold: Floats = good[order[crossed.argmax(axis=0)]]
            return threshold
        looked_at = min(n, 2 * looked_at)


def _accepted(bad: Floats, weights: Weights, threshold: Floats) -> Floats:
    """Return the share of the drawn bad inputs at or above each resample's threshold [resamples]."""
    order = np.argsort(bad)
    below = np.searchsorted(bad[order], threshold)
    upto = np.cumsum(weights[order], axis=0)
    lost = np.where(below > 0, upto[below - 1, np.arange(len(threshold))], 0)
    share: Floats = (len(bad) - lost) / len(bad)
    return share


def _remeasured(cell: Cell, of_good: Weights, of_bad: Weights, metric: str) -> Floats:
    """Return any metric on each resample [resamples]."""
    values, places = np.unique(np.concatenate((cell.good, cell.bad)), return_inverse=True)
    good, bad, k = places[: len(cell.good)], places[len(cell.good) :], len(values)
    resamples = of_good.shape[1]
    return np.array(
        [RANKING[metric](weighted(_at(good, of_good[:, r], k), _at(bad, of_bad[:, r], k))) for r in range(resamples)]
    )


def _at(places: NDArray[np.intp], weights: Weights, k: int) -> NDArray[np.int64]:
    return np.bincount(places, weights, minlength=k).astype(np.int64)
