"""Whether a score is lower on a classifier's misclassifications: the Mann-Whitney test, by log p."""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from oodbench.measure.ranking import Counts, auroc, count


class MannWhitney(NamedTuple):
    """The outcome of a test.

    Attributes:
        n: Good inputs (the classifier is right).
        m: Bad inputs (it is wrong).
        auroc: U / (n m), with U counting the pairs in which the good input scores higher, ties half.
        log10_p: Decimal logarithm of the two-sided p-value, at most 0.
    """

    n: int
    m: int
    auroc: float
    log10_p: float


def mann_whitney(good: ArrayLike, bad: ArrayLike) -> MannWhitney:
    """Test whether good [n] and bad [m] inputs score alike, by the normal approximation with ties taken into account.

    z = (U - n m / 2) / sd, sd^2 = n m / 12 (N + 1 - sum (t^3 - t) / (N (N - 1))), N = n + m, over groups of t equal
    scores. No continuity correction.

    Raises:
        BadData: As `oodbench.measure.ranking.ranking`.

    Example:
        >>> found = mann_whitney(good=range(10, 40), bad=range(10))
        >>> found.auroc, found.log10_p < -4
        (1.0, True)
    """
    return of_counts(count(good, bad))


def of_counts(counts: Counts) -> MannWhitney:
    """Return the same from good and bad inputs that are counted already.

    Example:
        >>> from oodbench.measure.ranking import count
        >>> of_counts(count([1.0, 1.0], [1.0])).log10_p  # all scores are equal
        0.0
    """
    n, m, area = counts.n_good, counts.n_bad, auroc(counts)
    both, tied = n + m, (counts.good_at + counts.bad_at).astype(np.float64)
    correction = float((tied**3 - tied).sum()) / (both * (both - 1))
    variance = n * m / 12 * (both + 1 - correction)
    if variance <= 0:  # all scores are equal
        return MannWhitney(n, m, area, 0.0)
    z = abs(area - 0.5) * n * m / variance**0.5
    return MannWhitney(n, m, area, min(0.0, (log(2) + float(special.log_ndtr(-z))) / log(10)))
