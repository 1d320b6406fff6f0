"""The difference between two rows, or between a row and a number: its variance over inputs and over training runs.

Both rows are judged on the same resampled inputs, so what they share cancels out. With S seeds, d_s the difference at
each and d_s* the same on a resample of the inputs:

    V_inputs = var over resamples of mean_s d_s*,   V_seeds = s^2(d_s) / S
    V_both = (mean_s var d_s* - V_inputs) / (S - 1)
    V = V_inputs + max(0, V_seeds - V_both)

as in an analysis of variance with crossed effects: V_both is what an input and a training run do together, which is in
the other two, and counts once. The degrees of freedom are S - 1, as if seeds made all of it. Welch and Satterthwaite's
are largest where s^2 is small by chance, and there V is too small: of pages of 94 claims that are all null, 20 to 26 %
had a verdict by them, where 5 % may (`tests/report/test_claims.py`). Of many differences s^2 is moderated over all.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import LEVEL, agreeing, p_value
from oodbench.measure.pairs import Prior, towards
from oodbench.measure.ranking import RANKING, count
from oodbench.measure.resamples import RESAMPLES, drawn_mean, weights_of

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""A standard deviation below this is what rounding leaves of none."""


class Variance(NamedTuple):
    """The variance of a mean difference, and its degrees of freedom."""

    value: float
    df: float


def variance(difference: Floats, drawn: Floats | None) -> Variance:
    """Return the variance of the mean difference; see the module.

    Args:
        difference: Of each seed [S], two at least.
        drawn: Of each seed on each resample of the inputs [S, resamples]; None where no input has a number of its own,
            and the variance is that over seeds.
    """
    seeds = len(difference)
    of_seeds = Variance(float(difference.var(ddof=1)) / seeds, seeds - 1)
    return of_seeds if drawn is None else with_inputs(of_seeds, drawn)


def unseen(drawn: Floats, pairs: int) -> float:
    """Return how far a mean may be off where resamples show nothing, as a share; 0 where they do.

    At a seed at which all of `pairs` disjoint pairs of a good and a bad input agree, every resample says the same:
    Clopper and Pearson's bound of what they leave open.

    Args:
        drawn: Of each seed on each resample of the inputs [S, resamples], as a share.
        pairs: Size of the smallest group of inputs.

    Example:
        >>> round(unseen(np.array([[1.0, 1.0, 1.0], [0.9, 0.8, 1.0]]), 60), 3)
        0.06
    """
    return 1 - agreeing(pairs) if (np.ptp(drawn, axis=1) <= ROUNDING).any() else 0.0


def over_inputs(difference: Floats, drawn: Floats) -> float:
    """Return s^2 / V_one: how much more a difference varies over training runs than one seed's does over inputs.

    Args:
        difference: Of each seed [S], two at least.
        drawn: Of each seed on each resample of the inputs [S, resamples].
    """
    of_one = float(drawn.var(axis=1, ddof=1).mean())
    return float(difference.var(ddof=1)) / of_one if of_one > ROUNDING**2 else np.inf


def moderated(difference: Floats, drawn: Floats, common: Prior) -> Variance:
    """Return the variance of the mean difference with s^2 moderated towards what many differences have in common.

    As `oodbench.measure.pairs` does for the pairs of a table: s^2 / V_one moves towards the common scale, by the
    degrees of freedom that this is worth, and is never taken to be less than it is.

    Args:
        difference: Of each seed [S], two at least.
        drawn: Of each seed on each resample of the inputs [S, resamples].
        common: What the ratios s^2 / V_one of such differences have in common.
    """
    seeds, of_one = len(difference), drawn.var(axis=1, ddof=1).mean()
    of_seeds = float(towards(common, difference.var(ddof=1), of_one, seeds - 1))
    return with_inputs(Variance(of_seeds / seeds, common.df + seeds - 1), drawn)


def with_inputs(of_seeds: Variance, drawn: Floats) -> Variance:
    """Return the variance of a mean difference over inputs and seeds from that over seeds; see the module.

    Args:
        of_seeds: V_seeds, and its degrees of freedom.
        drawn: Of each seed on each resample of the inputs [S, resamples].
    """
    of_inputs = float(drawn.mean(axis=0).var(ddof=1))
    of_both = (float(drawn.var(axis=1, ddof=1).mean()) - of_inputs) / (len(drawn) - 1)
    return Variance(of_inputs + max(0.0, of_seeds.value - of_both), of_seeds.df)


class Comparison(NamedTuple):
    """Two methods on one failure set.

    Attributes:
        first: The metric of one.
        second: Of the other.
        difference: first - second.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Two-sided p-value of no difference.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float


def comparison(a: Cell, b: Cell, metric: str) -> Comparison:
    """Return how two methods differ on the same inputs of one set, the model given.

    Both are judged on the same resampled inputs; the interval is difference +- t sd, of the differences over resamples.
    Where no resample changes the difference the sd is 0, though another sample might: all of k = min(n, m) disjoint
    pairs of a good and a bad input agree, so that by Clopper and Pearson at most a share 1 - (alpha / 2)^(1 / k) of all
    pairs does not; as much is left open to each side.

    Args:
        a: One method's scores.
        b: The other's, of the same inputs in the same order.
        metric: A ranking metric.

    Raises:
        UnknownName: There is no such ranking metric.
        BadData: The methods scored different numbers of inputs, or a group is empty.

    Example:
        >>> a = Cell("ood", "far", good=np.arange(10.0, 60.0), bad=np.arange(30.0))
        >>> b = Cell("ood", "far", good=np.arange(40.0, 90.0), bad=np.arange(30.0))
        >>> found = comparison(a, b, "fpr95")
        >>> round(found.difference, 2), found.second, found.low > 0
        (0.6, 0.0, True)
    """
    if metric not in RANKING:
        raise UnknownName("ranking metric", metric, RANKING)
    sizes = [(len(cell.good), len(cell.bad)) for cell in (a, b)]
    if sizes[0] != sizes[1]:
        raise BadData(f"{a.failure}/{a.name}: a paired comparison needs the same inputs: got {sizes[0]} and {sizes[1]}")
    first, second = (RANKING[metric](count(cell.good, cell.bad)) for cell in (a, b))
    difference = first - second
    drawn = drawn_mean([a], metric) - drawn_mean([b], metric)
    sd, pairs = float(drawn.std(ddof=1)), min(sizes[0])
    sd = sd if sd > ROUNDING else 0.0
    reach = -float(special.stdtrit(RESAMPLES - 1, (1 - LEVEL) / 2)) * sd
    if not sd:
        reach = (1 + abs(difference)) * (1 - agreeing(pairs))
    low, high = max(-1.0, difference - reach), min(1.0, difference + reach)
    return Comparison(first, second, difference, low, high, p_value(difference, sd**2, pairs, RESAMPLES - 1))


def resampled_mean(values: NDArray[np.generic], name: str) -> Floats:
    """Return the mean of a number that each input has [n], on each resample of the inputs [resamples]."""
    drawn: Floats = values.astype(np.float64) @ weights_of(name, len(values)) / len(values)
    return drawn
