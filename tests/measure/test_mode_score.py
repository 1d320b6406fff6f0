"""The MODE score against a loop, its bounds, and what it has in common with the Inception score."""

import math

import numpy as np
import pytest

from oodbench.measure.mode_score import mode_score


def kl(p, q) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)


def test_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    p, train = rng.dirichlet(np.full(5, 0.3), 40), rng.dirichlet(np.full(5, 4.0))
    marginal = [sum(row[c] for row in p) / len(p) for c in range(5)]
    single = sum(kl(row, marginal) for row in p) / len(p)
    assert mode_score(p, train) == pytest.approx(math.exp(single - kl(marginal, train)), rel=1e-12)


def test_the_reference_cancels_where_it_stands_in_both_terms() -> None:
    """E KL(p(y|x) || p*) - KL(p || p*), as Flow-GAN's code has it, is the Inception score's exponent for any p*."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(4, 0.5), 30)
    marginal = p.mean(axis=0)
    inception = sum(kl(row, marginal) for row in p) / len(p)
    for train in rng.dirichlet(np.full(4, 3.0), 3):
        twice = sum(kl(row, train) for row in p) / len(p) - kl(marginal, train)
        assert twice == pytest.approx(inception, rel=1e-9)


def test_one_class_alone_scores_its_share_and_all_in_their_shares_score_their_number() -> None:
    train = np.array([0.5, 0.25, 0.25])
    assert mode_score(np.tile([0.0, 1.0, 0.0], (7, 1)), train) == pytest.approx(0.25)
    surely = np.eye(3)[[0, 0, 1, 2]]
    assert mode_score(surely, train) == pytest.approx(math.exp(1.5 * math.log(2)))
    assert mode_score(np.eye(3), np.full(3, 1 / 3)) == pytest.approx(3)
