"""How well one score separates good inputs from bad ones: every ranking metric from one sort.

All of them are functions of `Counts`: how many good and bad inputs score at most each distinct score. Thresholds stand
at distinct scores only, so tied inputs move together; accept x when s(x) >= t, flag it when s(x) <= t. Good inputs are
what a detector should accept, bad ones what it should flag.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BadData

Integers = NDArray[np.signedinteger[Any]]

_BLOCK = 16_384  # thresholds at a time: temporaries that stay in the processor's cache


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


def ranking(good: ArrayLike, bad: ArrayLike) -> dict[str, float]:
    """Return every ranking metric of the scores of good [n] and bad [m] inputs, by name, and `n_good`, `n_bad`.

    Raises:
        BadData: A group is empty, is no vector of numbers, or holds a NaN or an infinity.
    """
    counts = count(good, bad)
    return {**evaluate(counts), "n_good": counts.n_good, "n_bad": counts.n_bad}


def evaluate(counts: Counts) -> dict[str, float]:
    """Return every ranking metric of `counts`, by name."""
    return {name: metric(counts) for name, metric in RANKING.items()}


def count(good: ArrayLike, bad: ArrayLike) -> Counts:
    """Sort the scores of good [n] and bad [m] inputs, once, and count them up to each distinct score.

    Raises:
        BadData: As `ranking`.
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
    """Return P(s_good > s_bad) + P(s_good = s_bad) / 2, the area under the ROC curve."""
    # 2 U = sum of bad_at (2 good_from - good_at), in integers and hence exact; U is Mann and Whitney's.
    twice_u = 2 * _products(counts.bad_at, counts.good_from) - _products(counts.bad_at, counts.good_at)
    return twice_u / (2 * counts.n_good * counts.n_bad)


def fpr95(counts: Counts) -> float:
    """Return P(s_bad >= t) at the largest distinct t with P(s_good >= t) >= 0.95 (Liang et al. 2018)."""
    return float(counts.bad_from[_accepts_95(counts)] / counts.n_bad)


def fpr95_bad(counts: Counts) -> float:
    """Return P(s_good <= t) at the smallest distinct t with P(s_bad <= t) >= 0.95 (Hendrycks et al. 2019)."""
    flags_95 = _first_at_least(at_least_95_percent(counts.n_bad), counts.bad_upto)
    return float(counts.good_upto[flags_95] / counts.n_good)


def detection_error(counts: Counts) -> float:
    """Return (1 - TPR) / 2 + FPR / 2 at the threshold of `fpr95`, with the TPR that is reached there."""
    at_95 = _accepts_95(counts)
    return _least_error(counts, slice(at_95, at_95 + 1))


def min_detection_error(counts: Counts) -> float:
    """Return the least (1 - TPR) / 2 + FPR / 2 over all thresholds; 1 - it is Lee's detection accuracy."""
    above_all_scores = 0.5
    return min(above_all_scores, *(_least_error(counts, block) for block in _blocks(counts.good_upto)))


def aupr_in(counts: Counts) -> float:
    """Return the average precision of accepting good inputs."""
    return _average_precision(counts.good_at, counts.good_from, counts.bad_from)


def aupr_out(counts: Counts) -> float:
    """Return the average precision of flagging bad inputs."""
    return _average_precision(counts.bad_at, counts.bad_upto, counts.good_upto)


def aupr_in_balanced(counts: Counts) -> float:
    """Return `aupr_in` with both groups weighted to equal mass."""
    return _average_precision(counts.good_at, counts.good_from, counts.bad_from, counts.n_good / counts.n_bad)


def aupr_out_balanced(counts: Counts) -> float:
    """Return `aupr_out` with both groups weighted to equal mass."""
    return _average_precision(counts.bad_at, counts.bad_upto, counts.good_upto, counts.n_bad / counts.n_good)


RANKING: dict[str, Callable[[Counts], float]] = {
    metric.__name__: metric
    for metric in (
        auroc,
        fpr95,
        fpr95_bad,
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


def _least_error(counts: Counts, block: slice) -> float:
    """Return the least (1 - TPR) / 2 + FPR / 2 at a block of the distinct scores."""
    good_below = counts.good_upto[block] - counts.good_at[block]
    # Whole numbers in float64: exact, and a product of two counts may need more than 32 bits.
    n, m = float(counts.n_good), float(counts.n_bad)
    return float((m * good_below + n * counts.bad_from[block]).min()) / (2 * n * m)


def _average_precision(at: Integers, hits: Integers, false: Integers, weight: float = 1.0) -> float:
    """Return the sum of precision times step of recall over the distinct thresholds.

    At each: `at` wanted inputs stand there, `hits` wanted and `false` unwanted ones have been taken; an unwanted one
    weighs `weight`. Summed by numpy and not by BLAS, so that every machine gets the same bits.
    """
    total = 0.0
    for block in _blocks(at):
        precision = hits[block] / (hits[block] + weight * false[block])
        total += float((at[block] * precision).sum())
    return total / int(at.sum())


def _blocks(thresholds: Integers) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, len(thresholds), _BLOCK)]


def _steps(upto: Integers) -> Integers:
    """Return the increments of a cumulative count, in its own integers."""
    return np.diff(upto, prepend=upto.dtype.type(0))


def _products(a: Integers, b: Integers) -> int:
    """Return sum a b; the products are larger than 32 bits."""
    return int(np.einsum("i,i", a, b, dtype=np.int64))
