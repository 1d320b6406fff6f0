"""Whether a number changed between two runs on the same inputs, and by how much more than chance would have it.

Positive differences mean that the second run's number is higher. Three questions, by what may have changed:

1. The model is the same and something else is not (a detector, its code). What another training would do plays no part:
   the difference of each seed, and their mean, vary over test inputs alone. AUROC by DeLong, any other metric and every
   mean by the paired bootstrap.
2. The models are others. Seeds are a sample of trainings, so the mean difference varies over inputs and seeds
   (`oodbench.measure.paired`). Two methods are compared at each seed; where one row was trained again, the trainings of
   a seed are two, and V_seeds = (s_before^2 + s_after^2) / S has twice the degrees of freedom.
3. One seed went astray. With d_s its difference, and mean of the other S - 1 differences, s_before and s_after of the
   other S - 1 numbers of each run,

       t = (d_s - mean) / sqrt(V),   V = V_seeds + V_inputs,   V_seeds = (s_before^2 + s_after^2) S / (S - 1),

   where V_inputs is the variance of d_s over test inputs: what a new difference would be if it came from where the
   others do. Its degrees of freedom are 2 (S - 2), those of V_seeds (why: `oodbench.measure.paired`). Three seeds are
   the fewest that can say it.

Where two runs scored other inputs (attacked images that fooled one model and not the other), these are drawn apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oodbench.measure.cells import Cell
from oodbench.measure.intervals import LEVEL, agreeing, delong_test, p_value
from oodbench.measure.paired import Variance, resampled_mean, variance, with_inputs
from oodbench.measure.ranking import RANKING, count
from oodbench.measure.resamples import RESAMPLES, drawn_mean

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""A metric of equal scores may differ by this between machines, whose sums round differently."""

SHARES_AT_A_THRESHOLD = frozenset({"fpr95", "fpr95_ood_positive", "detection_error", "min_detection_error"})
"""Ranking metrics that are a share of inputs at one threshold: a step where few scores lie."""

AREAS = frozenset({"auroc", "aupr_in", "aupr_out", "aupr_in_balanced", "aupr_out_balanced"})
"""Ranking metrics that are over all thresholds."""

AREA = 0.002
"""By how much an area may differ between classes of machine, numbers of threads, or releases of torch."""

ACCURACY = 0.005
"""By how much a classifier's accuracy may, likewise."""

FEWEST = 3
"""Seeds, for one of them to be told astray."""


class Change(NamedTuple):
    """A number before and after.

    Attributes:
        before: In the first run; over several seeds the mean.
        after: In the second.
        low: Lower end of the 95 % interval of after - before.
        high: Upper end.
        p: Two-sided p-value of no difference.
        noise: Standard deviation of `before` over test inputs.
    """

    before: float
    after: float
    low: float
    high: float
    p: float
    noise: float = 0.0

    @property
    def difference(self) -> float:
        """After - before."""
        return self.after - self.before


class Drawn(NamedTuple):
    """A metric of two runs at every seed.

    Attributes:
        before: [S].
        after: [S].
        before_drawn: On each resample of the inputs [S, resamples].
        after_drawn: Likewise.
        pairs: Size of the smallest group of inputs.
    """

    before: Floats
    after: Floats
    before_drawn: Floats
    after_drawn: Floats
    pairs: int

    @property
    def difference(self) -> Floats:
        """After - before [S]."""
        return self.after - self.before

    @property
    def drawn(self) -> Floats:
        """The same on each resample [S, resamples]."""
        return self.after_drawn - self.before_drawn


def tolerance(metric: str, like: bool, noise: float) -> float:
    """Return by how much a metric may differ and be no more than what floats do.

    Args:
        metric: A ranking metric, or "accuracy".
        like: Whether the runs are of one class of machine, number of threads and release of torch: equal bytes are
            promised then, and nothing but the rounding of a sum is allowed.
        noise: Standard deviation of the number over test inputs: a share at a threshold may move within its own 95 %
            interval.
    """
    if like:
        return ROUNDING
    if metric in SHARES_AT_A_THRESHOLD:
        return max(AREA, -float(special.ndtri((1 - LEVEL) / 2)) * noise)
    return ACCURACY if metric == "accuracy" else AREA


def drawn(pairs: Sequence[tuple[Cell, Cell]], metric: str, *, apart: bool = False) -> Drawn:
    """Return a metric of the cells of two runs, one pair a seed, and the same on resamples.

    Args:
        pairs: Cells before and after.
        metric: A ranking metric.
        apart: Whether their inputs are others, and are drawn apart.
    """
    before, after = (
        np.array([RANKING[metric](count(cell.good, cell.bad)) for cell in cells]) for cells in zip(*pairs, strict=True)
    )
    return Drawn(
        before,
        after,
        np.array([drawn_mean([a], metric) for a, _ in pairs]),
        np.array([drawn_mean([b], metric, seed=int(apart)) for _, b in pairs]),
        min(min(len(cell.good), len(cell.bad)) for pair in pairs for cell in pair),
    )


def mean_of(sets: Sequence[Drawn]) -> Drawn:
    """Return the mean over several sets of one metric, each weighing the same."""
    parts = zip(*(one[:4] for one in sets), strict=True)
    before, after, before_drawn, after_drawn = (np.mean(np.array(part), axis=0) for part in parts)
    return Drawn(before, after, before_drawn, after_drawn, min(one.pairs for one in sets))


def same_model(found: Drawn) -> Change:
    """Return how the mean over seeds changed, the models given: inputs alone vary."""
    mean = found.drawn.mean(axis=0)
    return _change(found, Variance(float(mean.var(ddof=1)), RESAMPLES - 1))


def other_model(found: Drawn, *, again: bool = False) -> Change:
    """Return how the mean over seeds changed, the models being others: inputs and, of several, seeds vary.

    Args:
        found: What was drawn of all seeds.
        again: Whether these are two trainings of one row, rather than two methods that may share a model.
    """
    seeds = len(found.before)
    if seeds == 1:
        return same_model(found)
    if not again:
        return _change(found, variance(found.difference, found.drawn))
    of_seeds = Variance(_of_trainings(found.before, found.after) / seeds, 2 * (seeds - 1))
    return _change(found, with_inputs(of_seeds, found.drawn))


def _of_trainings(before: Floats, after: Floats) -> float:
    """Return the variance over trainings of the difference between one of each run."""
    return float(before.var(ddof=1) + after.var(ddof=1))


def at_seed(pair: tuple[Cell, Cell], found: Drawn, place: int, metric: str, *, apart: bool = False) -> Change:
    """Return how a metric changed at one seed, the model given; AUROC on the same inputs by DeLong.

    Args:
        pair: Its cells.
        found: What was drawn of all seeds.
        place: Of the seed.
        metric: A ranking metric.
        apart: Whether the inputs are others.
    """
    before, after, before_drawn, after_drawn = (part[place : place + 1] for part in found[:4])
    change = same_model(Drawn(before, after, before_drawn, after_drawn, found.pairs))
    if metric != "auroc" or apart:
        return change
    first, second = pair
    return change._replace(p=delong_test((second.good, second.bad), (first.good, first.bad)).p)


def astray(found: Drawn) -> list[Change]:
    """Return for each seed how its number changed beside those of the other seeds; nothing of fewer than three."""
    seeds = len(found.before)
    if seeds < FEWEST:
        return []
    changes = []
    for place in range(seeds):
        before, after = (np.delete(side, place) for side in (found.before, found.after))
        value = _of_trainings(before, after) * seeds / (seeds - 1) + float(found.drawn[place].var(ddof=1))
        df = 2 * (seeds - 2)
        beyond = float(found.difference[place] - (after - before).mean())
        p = p_value(beyond, value, found.pairs, df)
        reach = -float(special.stdtrit(df, (1 - LEVEL) / 2)) * value**0.5
        difference = float(found.difference[place])
        low, high = difference - reach, difference + reach
        changes.append(Change(float(found.before[place]), float(found.after[place]), low, high, p))
    return changes


def _change(found: Drawn, sure: Variance) -> Change:
    before, after = float(found.before.mean()), float(found.after.mean())
    difference = after - before
    value = sure.value if sure.value > ROUNDING**2 else 0.0
    difference = difference if abs(difference) > ROUNDING else 0.0
    reach = -float(special.stdtrit(sure.df, (1 - LEVEL) / 2)) * value**0.5
    if not value:  # all disjoint pairs of a good and a bad input agree: Clopper and Pearson's bound, to each side
        reach = 1 - agreeing(found.pairs)
    noise = float(found.before_drawn.mean(axis=0).std(ddof=1))
    p = p_value(difference, value, found.pairs, sure.df)
    return Change(before, after, difference - reach, difference + reach, p, noise)


def right_or_wrong(before: Sequence[NDArray[np.bool_]], after: Sequence[NDArray[np.bool_]]) -> Drawn:
    """Return the accuracy of a classifier at every seed, before and after, on the same resamples of its test inputs."""
    values = [np.array([one.mean() for one in side]) for side in (before, after)]
    resampled = [np.array([resampled_mean(one, "good") for one in side]) for side in (before, after)]
    return Drawn(values[0], values[1], resampled[0], resampled[1], min(len(one) for one in before))


class Ratio(NamedTuple):
    """How a cost changed.

    Attributes:
        ratio: After over before, the geometric mean over units.
        low: Lower end of its 95 % interval; None of fewer than three units.
        high: Upper end.
        p: Two-sided p-value of a ratio of 1; None likewise.
        n: Units.
    """

    ratio: float
    low: float | None
    high: float | None
    p: float | None
    n: int


def ratio(logarithms: Sequence[float], pooled: Variance | None = None) -> Ratio:
    """Return the geometric mean of ratios, given their logarithms, with Student's t.

    Args:
        logarithms: Of after / before, a unit each.
        pooled: The variance of one unit, estimated from more than these; theirs by default.
    """
    values, n = np.array(logarithms), len(logarithms)
    mean = float(values.mean())
    if pooled is None and n >= FEWEST:
        pooled = Variance(float(values.var(ddof=1)), n - 1)
    if pooled is None or n < FEWEST:
        return Ratio(float(np.exp(mean)), None, None, None, n)
    sd = (max(pooled.value, ROUNDING**2) / n) ** 0.5
    reach = -float(special.stdtrit(pooled.df, (1 - LEVEL) / 2)) * sd
    p = float(2 * special.stdtr(pooled.df, -abs(mean) / sd))
    return Ratio(float(np.exp(mean)), float(np.exp(mean - reach)), float(np.exp(mean + reach)), p, n)


def pooled_variance(groups: Sequence[Sequence[float]]) -> Variance | None:
    """Return the variance of one unit about its group's mean; None where no group has two."""
    df = sum(len(group) - 1 for group in groups)
    if not df:
        return None
    return Variance(sum(float(np.var(group)) * len(group) for group in groups) / df, df)
