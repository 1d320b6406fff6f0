"""Selective prediction: what a classifier that may abstain still gets wrong, lowest scores out first.

Good inputs are those that the classifier gets right (n), bad ones those that it gets wrong (m), N = n + m. Coverage is
the share of inputs that are accepted, risk the share of the accepted that are wrong (El-Yaniv & Wiener, On the
Foundations of Noise-free Selective Classification, JMLR 2010).

Ties. A threshold stands between distinct scores, so the curve and `coverage_at_risk_5` accept equal scores together.
The areas are means over all coverages k / N, k = 1 ... N, and where k falls amid equal scores they take the expected
risk over the orders in which these may come: with a inputs and e errors above the tie, t inputs and w errors in it,

    E risk(k) = (e + (k - a) w / t) / k,   a < k <= a + t

A constant score has the AURC of a coin then, the error rate, and no area depends on the order of a file.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oodbench.measure.ranking import Counts

Floats = NDArray[np.float64]


class RiskCoverage(NamedTuple):
    """Coverage and risk at each of the k thresholds, both in [0, 1], strictest first [k]; the last accepts all."""

    coverage: Floats
    risk: Floats


def risk_coverage(counts: Counts) -> RiskCoverage:
    """Return the risk-coverage curve, inputs of equal scores accepted together.

    Example:
        >>> coverage, risk = risk_coverage(count(good=[3.0, 2.0], bad=[1.0]))
    """
    accepted, wrong = _accepted(counts)
    return RiskCoverage(accepted / accepted[-1], wrong / accepted)


def aurc(counts: Counts) -> float:
    """Return the area under the risk-coverage curve, 1/N sum_k E risk(k): in [0, 1], lower is better.

    Source: Geifman, Uziel & El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019.
    Others take trapezoids, and differ by terms in 1 / N, r_k the risk of the k highest: torch-uncertainty has
    (sum_k r_k - (r_1 + r_N) / 2) / (N - 1), with ties in the order of a sort; fd-shifts, without ties,
    (sum_k r_k + (r_1 - r_N) / 2) / N.

    Example:
        >>> aurc(count(good=[3.0, 2.0], bad=[1.0]))  # risks 0, 0 and 1/3
        0.1111111111111111
    """
    return _mean_risk(*_accepted(counts))


def e_aurc(counts: Counts) -> float:
    """Return by how much `aurc` exceeds that of the perfect ranking of the same inputs, in [0, 1].

    The perfect one accepts all m wrong inputs last: 1/N sum_{k > n} (k - n) / k. Geifman et al. 2019 and fd-shifts
    subtract its limit for large N, r + (1 - r) ln(1 - r) at the error rate r, so that no ranking has quite 0.

    Example:
        >>> e_aurc(count(good=[3.0, 2.0], bad=[1.0]))
        0.0
    """
    perfect = _mean_risk(np.array([counts.n_good, counts.n_good + counts.n_bad]), np.array([0, counts.n_bad]))
    return max(0.0, aurc(counts) - perfect)  # rounding may leave a perfect ranking below 0


def augrc(counts: Counts) -> float:
    """Return the area under the generalised risk-coverage curve, in [0, 1/2], lower is better.

    The generalised risk is the share of all inputs that are accepted and wrong, k / N risk(k); the area is by
    trapezoids from 0 at coverage 0, which is the expectation over orders of ties, and equals

        (1 - AUROC) n m / N^2 + (m / N)^2 / 2

    Source: Traub et al., Overcoming Common Flaws in the Evaluation of Selective Classification Systems, NeurIPS 2024;
    their fd-shifts computes the same. torch-uncertainty leaves out the first trapezoid and divides by 1 - 1 / N.

    Example:
        >>> round(augrc(count(good=[3.0, 2.0], bad=[1.0])), 4)  # AUROC is 1: (1/3)^2 / 2 is left
        0.0556
    """
    n, m = counts.n_good, counts.n_bad
    return (n * m - counts.sums.pairs + 0.5 * m * m) / (n + m) ** 2


def coverage_at_risk_5(counts: Counts) -> float:
    """Return the largest coverage of a threshold at which at most 5 % of the accepted are wrong, in [0, 1].

    Equal scores are accepted together, 5 % is meant exactly (20 wrong <= accepted, in whole numbers), and a larger
    coverage counts even if a smaller one exceeds 5 %. It is 0, nothing accepted, where no threshold keeps to 5 %:
    torch-uncertainty has NaN there, and cuts ties in the order of a sort.

    Example:
        >>> coverage_at_risk_5(count(good=[3.0, 2.0], bad=[1.0]))
        0.6666666666666666
    """
    accepted, wrong = _accepted(counts)
    kept = accepted[20 * wrong <= accepted]
    return float(kept[-1] / accepted[-1]) if len(kept) else 0.0


SELECTIVE = {metric.__name__: metric for metric in (aurc, e_aurc, augrc, coverage_at_risk_5)}
"""The metrics of selective prediction by name."""


def selective(counts: Counts) -> dict[str, float]:
    """Return every metric of selective prediction of right (good) and wrong (bad) inputs, by name.

    Example:
        >>> sorted(selective(count(good=[3.0, 2.0], bad=[1.0])))
        ['augrc', 'aurc', 'coverage_at_risk_5', 'e_aurc']
    """
    return {name: metric(counts) for name, metric in SELECTIVE.items()}


def _accepted(counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many inputs each threshold accepts and how many of them are wrong [k], strictest first."""
    wrong = counts.bad_from[::-1].astype(np.int64)
    return counts.good_from[::-1] + wrong, wrong


def _mean_risk(accepted: NDArray[np.int64], wrong: NDArray[np.int64]) -> float:
    """Return the mean over k = 1 ... N of the expected errors among the k highest, over k: linear within a tie."""
    k = np.arange(1, accepted[-1] + 1)
    errors = np.interp(k, np.append(0, accepted), np.append(0, wrong))
    return float((errors / k).mean())
