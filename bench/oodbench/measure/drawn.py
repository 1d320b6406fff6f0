"""Numbers as papers take them that do not take ours: at another recall, or of as many inputs of each group as they had.

AUPR depends on how many inputs of each group there are. Where a paper has another ratio of them than a matrix, inputs
of the group that is too large are drawn, ten times, and the mean is taken: what Hendrycks et al. (2019) do.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodbench.measure.ranking import RANKING, Counts, count, finite
from oodbench.measure.summary import Spread, spread

DRAWS = 10

OF_SIZES = frozenset({"aupr_in", "aupr_out"})
"""Metrics that depend on the sizes of the groups."""

NEAR = 0.01
"""Ratios of sizes that differ by less than this share are the same."""


def fpr90_ood_positive(counts: Counts) -> float:
    """Return P(s_good <= t) at the smallest distinct t with P(s_bad <= t) >= 0.9 (Hendrycks et al. 2019, texts)."""
    flagged = -(-9 * counts.n_bad // 10)
    place = int(np.searchsorted(counts.bad_upto, flagged))
    return int(counts.good_upto[place]) / counts.n_good


def at_sizes(metric: str, good: ArrayLike, bad: ArrayLike, n_good: int, n_bad: int, seed: int = 0) -> Spread:
    """Return a ranking metric where good and bad inputs stand as n_good to n_bad; over draws where they do not.

    Args:
        metric: Of `RANKING`.
        good: Scores of what should be accepted.
        bad: Scores of what should be flagged.
        n_good: As many good inputs
        n_bad: to as many bad ones.
        seed: Of the draws.

    Raises:
        BadData: A group is empty, or holds a NaN or an infinity.

    Example:
        >>> at_sizes("aupr_out", good, bad, n_good=5, n_bad=1).mean
    """
    groups = finite(good, "good"), finite(bad, "bad")
    sizes = _drawn(len(groups[0]), len(groups[1]), n_good, n_bad)
    if sizes == (len(groups[0]), len(groups[1])):
        return Spread(RANKING[metric](count(*groups)), None, 1)
    rng = np.random.default_rng(seed)
    values = [
        RANKING[metric](count(*(_some(rng, *one) for one in zip(groups, sizes, strict=True)))) for _ in range(DRAWS)
    ]
    found = spread(values)
    assert found is not None
    return found


def _drawn(have_good: int, have_bad: int, n_good: int, n_bad: int) -> tuple[int, int]:
    """Return how many of each group are drawn: all of one, of the other as many as the ratio wants, at least one."""
    if abs(have_good * n_bad / (have_bad * n_good) - 1) < NEAR:
        return have_good, have_bad
    if have_bad * n_good > have_good * n_bad:
        return have_good, max(1, round(have_good * n_bad / n_good))
    return max(1, round(have_bad * n_good / n_bad)), have_bad


def _some(rng: np.random.Generator, scores: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return scores if n == len(scores) else rng.choice(scores, n, replace=False)
