"""How sure a number is: DeLong's interval of AUROC, the stratified bootstrap, and Holm's correction.

Intervals speak of other test inputs from the same sources, one model given. What another training run would change is
the spread over seeds (`oodbench.measure.summary`), and `oodbench.measure.pairs` takes both into account.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from oodbench.errors import BadData, UnknownName
from oodbench.measure.ranking import RANKING, Counts, at_least_95_percent, auroc, finite

Interval = tuple[float, float]

LEVEL = 0.95


class Difference(NamedTuple):
    """A difference between two methods on the same inputs, and its two-sided p-value."""

    value: float
    p: float


def delong(counts: Counts, level: float = LEVEL) -> Interval:
    """Return a confidence interval of AUROC: DeLong's variance on the logit scale, with Student's t.

    With A = AUROC and v = DeLong's variance, the interval is the logistic function of

        logit A +- t sqrt(v) / (A (1 - A)),   t the quantile of Student's t with `delong_df` degrees of freedom

        low, high = delong(count(good, bad))

    The plain interval A +- z sqrt(v) leaves [0, 1] and covers 83 to 87 % at AUROC .999 with 500 bad inputs: few inputs
    are on the wrong side, and samples with fewer of them give a higher AUROC and a smaller variance at once. The logit
    mends most of that and not all (90 % there, against 10,000 good ones), since v itself then stands on those few
    inputs; hence t. What is covered is in `tests/measure/test_coverage.py` and, whole, in
    `benchmarks/test_interval_coverage.py`.

    Where the groups do not overlap (AUROC 0 or 1) there is no logit; then the k = min(n, m) disjoint pairs of a good
    and a bad input that all agree bound it as in Clopper and Pearson: AUROC >= (alpha / 2)^(1 / k). A group of one has
    no variance either: if it overlaps the other group, the interval is [0, 1].

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); on the logit scale: Qin
    and Hotilovac, Statistical Methods in Medical Research 17 (2008).

    Example:
        >>> low, high = delong(count(good=range(2, 32), bad=range(10)))
        >>> low < auroc(count(good=range(2, 32), bad=range(10))) < high
        True
    """
    area, pairs = auroc(counts), min(counts.n_good, counts.n_bad)
    if area in (0.0, 1.0):
        bound = agreeing(pairs, level)
        return (bound, 1.0) if area == 1.0 else (0.0, 1 - bound)
    if pairs == 1:
        return 0.0, 1.0
    variance = delong_variance(counts)
    if not variance:
        return area, area
    t = -float(special.stdtrit(delong_df(counts), (1 - level) / 2))
    reach = t * variance**0.5 / (area * (1 - area))
    low, high = special.expit(special.logit(area) + np.array([-reach, reach]))
    return float(low), float(high)


def delong_variance(counts: Counts) -> float:
    """Return DeLong's variance of AUROC; needs at least two good and two bad inputs.

    With V10(x) = P(s_bad < s(x)) + P(s_bad = s(x)) / 2 for each good x, and V01 alike for each bad one,
    var AUROC = var V10 / n + var V01 / m.
    """
    return sum(group.squares / (group.n - 1) / group.n for group in _groups(counts))


def delong_df(counts: Counts) -> float:
    """Return the degrees of freedom of DeLong's variance v, for its interval on the logit scale.

    Welch and Satterthwaite: df = 2 v^2 / var(v). The placements are far from normal (at AUROC .999 hardly any differs
    from 1), so the variance of each group's s^2 is not 2 s^4 / (n - 1) but that with its fourth moment m4,

        var(s^2) = (m4 - s^4 (n - 3) / (n - 1)) / n.

    Two corrections are from simulation and not from theory. The sample's fourth moment is too small, because the inputs
    that would make it large are too rare to be in the sample: var(v) / v^2 counts twice. And part of v's error is
    AUROC's own, which the logit takes into account: a quarter of v / (A (1 - A))^2, the relative variance of as many
    errors as carry this AUROC, is taken off first. Without them coverage is 92 % at .999 with 10,000 good and 500 bad
    inputs, and 97.5 % at .95 with 40 against 20. Where nothing remains t is normal.

    Source: Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    area, variance = auroc(counts), delong_variance(counts)
    of_variance = sum(group.variance_of_square() / group.n**2 for group in _groups(counts))
    relative = of_variance / variance**2 - 0.25 * variance / (area * (1 - area)) ** 2
    return max(1.0, 1 / relative) if relative > 0 else np.inf


class _Group(NamedTuple):
    """The placements of one group about AUROC: how many, and sums of their second and fourth powers."""

    n: int
    squares: float
    fourths: float

    def variance_of_square(self) -> float:
        """Return the variance of s^2, the placements' variance with ddof = 1."""
        s2 = self.squares / (self.n - 1)
        return max(0.0, self.fourths / self.n - s2**2 * (self.n - 3) / (self.n - 1)) / self.n


def _groups(counts: Counts) -> tuple[_Group, _Group]:
    """Return the good inputs' placements and the bad ones'."""
    n, m, area = counts.n_good, counts.n_bad, auroc(counts)
    good = ((counts.bad_upto - 0.5 * counts.bad_at) / m - area) ** 2
    bad = ((counts.good_from - 0.5 * counts.good_at) / n - area) ** 2
    return (
        _Group(n, float((counts.good_at * good).sum()), float((counts.good_at * good**2).sum())),
        _Group(m, float((counts.bad_at * bad).sum()), float((counts.bad_at * bad**2).sum())),
    )


def delong_test(a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike]) -> Difference:
    """Return AUROC(a) - AUROC(b) and its p-value for two methods' scores of the same inputs.

    Args:
        a: One method's scores of the good [n] and the bad [m] inputs.
        b: The other's, in the same order.

    Raises:
        BadData: The methods scored different numbers of inputs, or as `oodbench.measure.ranking.ranking`.

    Example:
        >>> good, bad = [3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 3.5]
        >>> delong_test((good, bad), (good, bad))
        Difference(value=0.0, p=1.0)
    """
    (v10_a, v01_a), (v10_b, v01_b) = placements(*a), placements(*b)
    n, m = len(v10_a), len(v01_a)
    if (n, m) != (len(v10_b), len(v01_b)):
        raise BadData(f"a paired test needs the same inputs: got {n} good, {m} bad against {len(v10_b)}, {len(v01_b)}")
    difference = float(v10_a.mean() - v10_b.mean())
    variance = float(np.var(v10_a - v10_b, ddof=1) / n + np.var(v01_a - v01_b, ddof=1) / m) if min(n, m) > 1 else 0.0
    return Difference(difference, p_value(difference, variance, min(n, m)))


def placements(good: ArrayLike, bad: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return V10 of each good input [n] and V01 of each bad one [m], in the order given (see `delong_variance`)."""
    checked_good, checked_bad = finite(good, "good"), finite(bad, "bad")
    return _share_below(checked_good, checked_bad), 1 - _share_below(checked_bad, checked_good)


def agreeing(pairs: int, level: float = LEVEL) -> float:
    """Return the least share of all pairs that agree, where as many disjoint ones all do (Clopper & Pearson 1934).

    Example:
        >>> round(agreeing(3), 4)
        0.2924
    """
    return float(((1 - level) / 2) ** (1 / pairs))


def p_value(difference: float, variance: float, pairs: int, df: float = np.inf) -> float:
    """Return the two-sided p-value of a difference by the t distribution (the normal one for infinite `df`).

    Without variance every input says the same: each of the `pairs` independent ones speaks for one method, which by the
    sign test happens by chance with 2 / 2^pairs.
    """
    if variance > 0:
        return float(2 * special.stdtr(df, -abs(difference) / variance**0.5))
    return min(1.0, 2.0 ** (1 - pairs)) if difference else 1.0


def bootstrap(counts: Counts, metric: str, resamples: int = 200, seed: int = 0, level: float = LEVEL) -> Interval:
    """Return the percentile interval of a metric over resamples of the good inputs and, apart, of the bad ones.

    A bootstrap cannot see what no input shows: where every bad input is flagged with room to spare it returns [0, 0].

    Raises:
        UnknownName: There is no such ranking metric.

    Example:
        >>> bootstrap(count(good=range(50, 100), bad=range(40)), "fpr95")  # no bad one comes near
        (0.0, 0.0)
    """
    if metric not in RANKING:
        raise UnknownName("ranking metric", metric, RANKING)
    rng = np.random.default_rng(seed)
    drawn = _fpr95_drawn(counts, resamples, rng) if metric == "fpr95" else _drawn(counts, metric, resamples, rng)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def fpr95_interval(counts: Counts, resamples: int = 200, seed: int = 0, level: float = LEVEL) -> Interval:
    """Return an interval of fpr95, over both groups: Clopper and Pearson's of a share, at thresholds that are drawn.

    The threshold is that of resampled good inputs, and of m bad inputs k lie above it: the ends are quantiles of
    Beta(k, m - k + 1) and of Beta(k + 1, m - k), drawn at each threshold. Resampled bad inputs, of which none or all
    are above, would leave an interval of no width.

    Example:
        >>> low, high = fpr95_interval(count(good=range(50, 100), bad=range(40)))  # no bad one comes near
        >>> low, 0.05 < high < 0.1
        (0.0, True)
    """
    rng, m = np.random.default_rng(seed), counts.n_bad
    k = counts.bad_from[_thresholds(counts, resamples, rng)]
    low = np.where(k > 0, rng.beta(np.maximum(k, 1), m - k + 1), 0.0)
    high = np.where(k < m, rng.beta(k + 1, np.maximum(m - k, 1)), 1.0)
    return float(np.quantile(low, (1 - level) / 2)), float(np.quantile(high, (1 + level) / 2))


def every_interval(counts: Counts, resamples: int = 200, seed: int = 0, level: float = LEVEL) -> dict[str, Interval]:
    """Return the percentile interval of every ranking metric, by name, all from the same resamples.

    As `bootstrap`, which draws its own resamples of one metric.
    """
    rng = np.random.default_rng(seed)
    drawn = [[metric(again) for metric in RANKING.values()] for again in _resamples(counts, resamples, rng)]
    lows, highs = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(RANKING, lows, highs, strict=True)}


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values, in the order given: the family-wise error is at most what they are held against.

    The i-th smallest of k becomes (k - i + 1) p, never less than the one before, never above 1.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).

    Example:
        >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())


def _share_below(scores: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return for each score the share of the others below it, ties counted half."""
    others = np.sort(others)
    below, upto = np.searchsorted(others, scores, "left"), np.searchsorted(others, scores, "right")
    share: NDArray[np.float64] = (below + upto) / (2 * len(others))
    return share


def _fpr95_drawn(counts: Counts, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw fpr95 of resamples from its own distribution, without drawing the resamples.

    Of m resampled bad inputs, a binomial number lies at or above a given threshold.
    """
    m = counts.n_bad
    return rng.binomial(m, counts.bad_from[_thresholds(counts, resamples, rng)] / m) / m


def _thresholds(counts: Counts, resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the thresholds of resampled good inputs, as places among the distinct scores.

    At most `lost` good inputs may fall below the threshold, so it is the (lost + 1)-th smallest of the n resampled
    scores. Resampling picks places floor(n U) in the sorted scores, with U uniform, and the (lost + 1)-th smallest of n
    uniform numbers has a Beta(lost + 1, n - lost) distribution.
    """
    n = counts.n_good
    lost = n - at_least_95_percent(n)
    place = np.minimum(n * rng.beta(lost + 1, n - lost, resamples), n - 1).astype(np.int64)
    return np.searchsorted(counts.good_upto, place, side="right")


def _drawn(counts: Counts, metric: str, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.array([RANKING[metric](again) for again in _resamples(counts, resamples, rng)])


def _resamples(counts: Counts, resamples: int, rng: np.random.Generator) -> Iterator[Counts]:
    """Draw resamples as weights of the sorted scores: nothing is sorted again."""
    places = np.arange(len(counts.good_upto))
    good, bad = np.repeat(places, counts.good_at), np.repeat(places, counts.bad_at)
    for _ in range(resamples):
        yield weighted(_again(good, len(places), rng), _again(bad, len(places), rng))


def _again(places: NDArray[np.int64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw as many inputs as there are, with replacement, and count them at each of the k distinct scores."""
    return np.bincount(places[rng.integers(len(places), size=len(places))], minlength=k)


def weighted(good_at: NDArray[np.int64], bad_at: NDArray[np.int64]) -> Counts:
    """Return the counts of inputs that stand, some of them repeatedly, at k distinct ascending scores."""
    present = good_at + bad_at > 0
    return Counts(np.cumsum(good_at[present]), np.cumsum(bad_at[present]))
