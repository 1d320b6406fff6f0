"""How well one score separates good inputs from bad ones: every ranking metric from one sort.

All of them are functions of `Counts`: how many good and bad inputs score at most each distinct score. Thresholds stand
at distinct scores only, so tied inputs move together; accept x when s(x) >= t, flag it when s(x) <= t. Good inputs are
what a detector should accept, bad ones what it should flag.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodbench.errors import BadData

Integers = NDArray[np.signedinteger[Any]]

_STRETCH = 16_384  # thresholds at a time: what stays in a processor's cache


class Sums(NamedTuple):
    """What is added up over all thresholds, in one pass.

    Attributes:
        pairs: Pairs of a good and a bad input in which the good one scores higher, ties half; exact below 2^52.
        least_error: Least m (good inputs below t) + n (bad inputs from t on); exact below 2^53.
        precise_in: Sum over good inputs of the precision of accepting at their score.
        precise_out: Sum over bad inputs of the precision of flagging at their score.
        precise_in_balanced: `precise_in` with both groups weighted to equal mass.
        precise_out_balanced: `precise_out` with both groups weighted to equal mass.
    """

    pairs: float
    least_error: float
    precise_in: float
    precise_out: float
    precise_in_balanced: float
    precise_out_balanced: float


@dataclass(frozen=True, eq=False)
class Counts:
    """Good and bad inputs at most as high as each of the k distinct scores, ascending.

    Attributes:
        good_upto: Number of good inputs with s <= t [k].
        bad_upto: Number of bad inputs with s <= t [k].
    """

    good_upto: Integers
    bad_upto: Integers

    @property
    def n_good(self) -> int:
        """Number of good inputs."""
        return int(self.good_upto[-1])

    @property
    def n_bad(self) -> int:
        """Number of bad inputs."""
        return int(self.bad_upto[-1])

    @cached_property
    def good_at(self) -> Integers:
        """Number of good inputs with s = t [k]."""
        return _steps(self.good_upto)

    @cached_property
    def bad_at(self) -> Integers:
        """Number of bad inputs with s = t [k]."""
        return _steps(self.bad_upto)

    @cached_property
    def good_from(self) -> Integers:
        """Number of good inputs with s >= t: accepted, rightly [k]."""
        return self.n_good - self.good_upto + self.good_at

    @cached_property
    def bad_from(self) -> Integers:
        """Number of bad inputs with s >= t: accepted, wrongly [k]."""
        return self.n_bad - self.bad_upto + self.bad_at

    @cached_property
    def sums(self) -> Sums:
        """What the metrics that look at every threshold are made of."""
        starts = range(0, len(self.good_upto), _STRETCH)
        pairs, errors, *precise = zip(*(_sums(self, start) for start in starts), strict=True)
        return Sums(sum(pairs), min(errors), *map(sum, precise))


def ranking(good: ArrayLike, bad: ArrayLike) -> dict[str, float]:
    """Return every ranking metric of the scores of good [n] and bad [m] inputs, by name, and `n_good`, `n_bad`.

    Raises:
        BadData: A group is empty, is no vector of numbers, or holds a NaN or an infinity.

    Example:
        >>> numbers = ranking(good=[3.0, 2.0, 1.0], bad=[2.0, 0.0])
        >>> round(numbers["auroc"], 4), numbers["n_good"], numbers["n_bad"]
        (0.75, 3, 2)
    """
    counts = count(good, bad)
    return {**evaluate(counts), "n_good": counts.n_good, "n_bad": counts.n_bad}


def evaluate(counts: Counts) -> dict[str, float]:
    """Return every ranking metric of `counts`, by name.

    Example:
        >>> evaluate(count(good=[3.0, 2.0], bad=[1.0, 0.0]))["fpr95"]
        0.0
    """
    return {name: metric(counts) for name, metric in RANKING.items()}


def count(good: ArrayLike, bad: ArrayLike) -> Counts:
    """Sort the scores of good [n] and bad [m] inputs, once, and count them up to each distinct score.

    Raises:
        BadData: As `ranking`.

    Example:
        >>> counts = count(good=[3.0, 2.0, 1.0], bad=[2.0, 0.0])
        >>> counts.good_upto.tolist(), counts.bad_upto.tolist()  # at most 0, 1, 2 and 3
        ([0, 1, 2, 3], [1, 1, 2, 2])
    """
    checked_good, checked_bad = finite(good, "good"), finite(bad, "bad")
    n, both = len(checked_good), len(checked_good) + len(checked_bad)
    scores = np.concatenate((checked_good, checked_bad))
    scores[:n].sort()
    scores[n:].sort()
    # Of two sorted runs the stable sort makes one by merging, in linear time.
    order = np.argsort(scores, kind="stable")
    scores = scores[order]
    last_of_ties = np.append(scores[1:] != scores[:-1], True)
    integer = np.int32 if both < 2**31 else np.int64  # halves the memory that every metric walks through
    good_upto = np.cumsum(order < n, dtype=integer)[last_of_ties]
    both_upto = np.arange(1, both + 1, dtype=integer)[last_of_ties]
    return Counts(good_upto, both_upto - good_upto)


def finite(scores: ArrayLike, group: str) -> NDArray[Any]:
    """Return `scores` as a vector of float32, where they are that, else of float64.

    Raises:
        BadData: It is empty, is no vector of numbers, or holds a NaN or an infinity; names `group`.
    """
    array = np.asarray(scores)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise BadData(f"{group}: got {array.dtype}{list(array.shape)}, expected a vector of real scores")
    if not len(array):
        raise BadData(f"{group}: no scores, a one-class set: every metric needs at least one good and one bad input")
    broken = np.flatnonzero(~np.isfinite(array))
    if len(broken):
        raise BadData(
            f"{group}: {len(broken)} of {len(array)} scores are NaN or infinite, the first at index {broken[0]} "
            f"({array[broken[0]]}); every score must be finite"
        )
    return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)


def auroc(counts: Counts) -> float:
    """Return P(s_good > s_bad) + P(s_good = s_bad) / 2, the area under the ROC curve.

    Example:
        >>> auroc(count(good=[3.0, 2.0], bad=[2.0, 0.0]))  # of four pairs three are right, and one is a tie
        0.875
    """
    return counts.sums.pairs / (counts.n_good * counts.n_bad)


def fpr95(counts: Counts) -> float:
    """Return P(s_bad >= t) at the largest distinct t with P(s_good >= t) >= 0.95 (Liang et al. 2018).

    Example:
        >>> fpr95(count(good=[3.0, 1.0], bad=[2.0, 0.0]))  # accepts from 1 on
        0.5
    """
    return (counts.n_bad - _below(counts.bad_upto, _accepts_95(counts))) / counts.n_bad


def fpr95_ood_positive(counts: Counts) -> float:
    """Return P(s_good <= t) at the smallest distinct t with P(s_bad <= t) >= 0.95 (Hendrycks et al. 2019).

    Example:
        >>> fpr95_ood_positive(count(good=[3.0, 1.0], bad=[2.0, 0.0]))  # flags up to 2
        0.5
    """
    flags_95 = _first_at_least(at_least_95_percent(counts.n_bad), counts.bad_upto)
    return int(counts.good_upto[flags_95]) / counts.n_good


def fpr90_ood_positive(counts: Counts) -> float:
    """Return P(s_good <= t) at the smallest distinct t with P(s_bad <= t) >= 0.9 (Hendrycks et al. 2019, of texts).

    Example:
        >>> fpr90_ood_positive(count(good=[5.0, 0.5], bad=[1.0, *range(-8, 1)]))  # nine of ten bad ones are at most 0
        0.0
    """
    flags_90 = _first_at_least(-(-9 * counts.n_bad // 10), counts.bad_upto)
    return int(counts.good_upto[flags_90]) / counts.n_good


def detection_error(counts: Counts) -> float:
    """Return (1 - TPR) / 2 + FPR / 2 at the threshold of `fpr95`, with the TPR that is reached there.

    Example:
        >>> detection_error(count(good=[3.0, 1.0], bad=[2.0, 0.0]))  # no good one is lost, half the bad ones come in
        0.25
    """
    lost = _below(counts.good_upto, _accepts_95(counts))
    return 0.5 * lost / counts.n_good + 0.5 * fpr95(counts)


def min_detection_error(counts: Counts) -> float:
    """Return the least (1 - TPR) / 2 + FPR / 2 over all thresholds; 1 - it is Lee's detection accuracy.

    The lowest score as threshold accepts everything, at 1 / 2; so would one above all scores, which flags everything.

    Example:
        >>> min_detection_error(count(good=[3.0, 2.5], bad=[2.0, 0.0]))
        0.0
    """
    return counts.sums.least_error / (2 * counts.n_good * counts.n_bad)


def aupr_in(counts: Counts) -> float:
    """Return the average precision of accepting good inputs: the sum over thresholds of step in recall x precision.

    Example:
        >>> aupr_in(count(good=[3.0, 1.0], bad=[2.0]))  # 1/2 at a precision of 1, 1/2 at one of 2/3
        0.8333333333333333
    """
    return counts.sums.precise_in / counts.n_good


def aupr_out(counts: Counts) -> float:
    """Return the average precision of flagging bad inputs: the sum over thresholds of step in recall x precision.

    Example:
        >>> aupr_out(count(good=[3.0, 1.0], bad=[2.0]))  # flagging up to 2 is right in one of two
        0.5
    """
    return counts.sums.precise_out / counts.n_bad


def aupr_in_balanced(counts: Counts) -> float:
    """Return `aupr_in` with both groups weighted to equal mass.

    Example:
        >>> aupr_in_balanced(count(good=[3.0, 1.0], bad=[2.0]))  # the bad one counts twice: 1/2 at 1, 1/2 at 1/2
        0.75
    """
    return counts.sums.precise_in_balanced / counts.n_good


def aupr_out_balanced(counts: Counts) -> float:
    """Return `aupr_out` with both groups weighted to equal mass.

    Example:
        >>> round(aupr_out_balanced(count(good=[3.0, 1.0], bad=[2.0])), 4)  # each good one counts half
        0.6667
    """
    return counts.sums.precise_out_balanced / counts.n_bad


RANKING: dict[str, Callable[[Counts], float]] = {
    metric.__name__: metric
    for metric in (
        auroc,
        fpr95,
        fpr95_ood_positive,
        detection_error,
        min_detection_error,
        aupr_in,
        aupr_out,
        aupr_in_balanced,
        aupr_out_balanced,
    )
}
"""The ranking metrics by name."""


def at_least_95_percent(n: int) -> int:
    """Return the least whole number k with k / n >= 0.95, in integers: 0.95 itself is no binary fraction."""
    return -(-19 * n // 20)


def _accepts_95(counts: Counts) -> int:
    """Return the place of the largest distinct score t with P(s_good >= t) >= 0.95.

    P(s_good >= t) >= 0.95 as long as the good inputs below t are at most the n - k that may be lost.
    """
    may_be_lost = counts.n_good - at_least_95_percent(counts.n_good)
    return _first_at_least(may_be_lost + 1, counts.good_upto)


def _first_at_least(value: int, upto: Integers) -> int:
    """Return the first place where a cumulative count reaches `value`."""
    return int(np.searchsorted(upto, upto.dtype.type(value)))  # its own integer type, or numpy copies the whole array


def _below(upto: Integers, place: int) -> int:
    """Return the number of inputs below the distinct score at `place`."""
    return int(upto[place - 1]) if place else 0


def _sums(counts: Counts, start: int) -> Sums:
    """Return `Sums` over the stretch of thresholds from `start` on.

    Added up by numpy and not by BLAS, so that every machine gets the same bits.
    """
    n, m, stretch = float(counts.n_good), float(counts.n_bad), slice(start, start + _STRETCH)
    good_upto, bad_upto = counts.good_upto[stretch], counts.bad_upto[stretch]
    good_at = np.diff(good_upto, prepend=good_upto.dtype.type(_below(counts.good_upto, start)))
    bad_at = np.diff(bad_upto, prepend=bad_upto.dtype.type(_below(counts.bad_upto, start)))
    good_from, bad_from = n - (good_upto - good_at), m - (bad_upto - bad_at)
    return Sums(
        pairs=float((bad_at * (good_from - 0.5 * good_at)).sum()),
        least_error=float((m * (n - good_from) + n * bad_from).min()),
        precise_in=float((good_at * (good_from / (good_from + bad_from))).sum()),
        precise_out=float((bad_at * (bad_upto / (bad_upto + good_upto))).sum()),
        precise_in_balanced=float((good_at * (good_from / (good_from + n / m * bad_from))).sum()),
        precise_out_balanced=float((bad_at * (bad_upto / (bad_upto + m / n * good_upto))).sum()),
    )


def _steps(upto: Integers) -> Integers:
    """Return the increments of a cumulative count, in its own integers."""
    return np.diff(upto, prepend=upto.dtype.type(0))
