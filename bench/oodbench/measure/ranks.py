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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import holm, p_value, weighted
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING, at_least_95_percent, count

Floats = NDArray[np.float64]
Weights = NDArray[np.signedinteger[Any]]
Results = Mapping[str, Mapping[int, Mapping[str, Cell]]]
"""Cells by method, by seed, by name of the failure set."""


STREAMS = {"misclassified": "mistakes"}
"""Sets whose resamples are drawn under the name that version 0.1 gave them: published ranks stay as they are."""


RESAMPLES = 200
"""Of the inputs, behind ranks."""


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
    results: Results, metric: str = "fpr95", resamples: int = RESAMPLES, seed: int = 0, level: float = 0.05
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
    _common_sets(results)
    runs = {
        method: {run: _run(cells, metric, resamples, seed) for run, cells in seeds.items()}
        for method, seeds in results.items()
    }
    return ranked(runs, metric, level)


def ranked(runs: Mapping[str, Mapping[int, Run]], metric: str, level: float = 0.05) -> tuple[Ranked, ...]:
    """Return the methods from best to worst, from what is known of each run; see `shared_ranks`.

    Args:
        runs: By method and seed; their resamples were drawn alike.
        metric: What their means are of.
        level: Largest corrected p-value that separates two rows.
    """
    if not runs:
        return ()
    overall = {method: float(np.mean([run.mean for run in seeds.values()])) for method, seeds in runs.items()}
    sign = -1 if METRICS[metric].higher_is_better else 1
    order = sorted(runs, key=lambda method: (sign * overall[method], method))
    return _shared(order, overall, lambda a, b: _compare(runs[a], runs[b]), level)


def drawn_mean(cells: Iterable[Cell], metric: str, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the mean over cells of a metric, on each resample of their inputs [resamples].

    Inputs are drawn by the name of their set, so that all methods and runs are judged on the same drawn inputs.

    Raises:
        UnknownName: There is no such ranking metric.
    """
    if metric not in RANKING:
        raise UnknownName("ranking metric", metric, RANKING)
    cells = list(cells)
    thresholds: dict[int, Floats] = {}  # one array of good scores may serve many sets: its thresholds are found once
    total = np.zeros(resamples)
    for cell in cells:
        of_good = _weights_of("good", len(cell.good), resamples, seed)
        of_bad = _weights_of(f"bad/{STREAMS.get(cell.name, cell.name)}", len(cell.bad), resamples, seed)
        if metric == "fpr95":
            if id(cell.good) not in thresholds:
                thresholds[id(cell.good)] = _threshold_95(cell.good, of_good)
            drawn = _accepted(cell.bad, of_bad, thresholds[id(cell.good)])
        else:
            drawn = _remeasured(cell, of_good, of_bad, metric)
        total += drawn / len(cells)
    return total


def _run(cells: Mapping[str, Cell], metric: str, resamples: int, seed: int) -> Run:
    drawn = drawn_mean(cells.values(), metric, resamples, seed)
    mean = float(np.mean([RANKING[metric](count(cell.good, cell.bad)) for cell in cells.values()]))
    return Run(mean, min(min(len(cell.good), len(cell.bad)) for cell in cells.values()), drawn)


@lru_cache(maxsize=32)  # the sets of a matrix, and those whose sizes depend on the model
def _weights_of(group: str, size: int, resamples: int, seed: int) -> Weights:
    return _weights(np.random.default_rng([seed, crc32(group.encode()), size]), size, resamples)


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


def _compare(a: Mapping[int, Run], b: Mapping[int, Run]) -> float:
    """Return the p-value of the difference between two methods over the seeds that both have."""
    seeds = [seed for seed in a if seed in b]
    if not seeds:
        return 1.0
    difference = np.array([a[seed].mean - b[seed].mean for seed in seeds])
    variance, df = _variance(difference, np.stack([a[seed].drawn - b[seed].drawn for seed in seeds]))
    pairs = min(run.pairs for runs in (a, b) for run in runs.values())
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


def _weights(rng: np.random.Generator, size: int, resamples: int) -> Weights:
    """Return how often each of `size` inputs is drawn in each resample [size, resamples]."""
    drawn = np.empty((resamples, size), dtype=np.int16 if size < 2**15 else np.int32)
    step = max(1, 2**16 // size)  # resamples at a time: what stays in a processor's cache
    for start in range(0, resamples, step):
        some = drawn[start : start + step]
        places = rng.integers(size, size=some.shape) + size * np.arange(len(some))[:, None]
        some[:] = np.bincount(places.ravel(), minlength=some.size).reshape(some.shape)
    return np.ascontiguousarray(drawn.T)


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
        crossed = np.cumsum(weights[order[:looked_at]], axis=0, dtype=np.int32) > lost
        if crossed[-1].all():
            threshold: Floats = good[order[crossed.argmax(axis=0)]]
            return threshold
        looked_at = min(n, 2 * looked_at)


def _accepted(bad: Floats, weights: Weights, threshold: Floats) -> Floats:
    """Return the share of the drawn bad inputs at or above each resample's threshold [resamples]."""
    between = (threshold.min() <= bad) & (bad < threshold.max())  # all others are lost in each resample, or in none
    lost = weights[bad < threshold.min()].sum(axis=0)
    lost += ((bad[between][:, None] < threshold) * weights[between]).sum(axis=0)
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
