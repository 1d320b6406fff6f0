"""H(U; p) against a loop, and where the softmax is saturated."""

import math

import numpy as np
import torch
from given import Given
from oodbench.methods.uniform_cross_entropy import METHODS

from oodbench.contract import LOGITS

DETECTOR = METHODS[0].detector


def score(z: torch.Tensor) -> torch.Tensor:
    return DETECTOR.score((), Given({LOGITS: z}))


def test_score_by_loops(lab) -> None:
    expected = []
    for row in lab.all(lab.test)[LOGITS].numpy() / 20:
        p = [math.exp(v) / sum(math.exp(u) for u in row) for v in row]
        expected.append(-sum(math.log(q) for q in p) / len(p))
    np.testing.assert_allclose(score(lab.all(lab.test)[LOGITS] / 20), expected, rtol=1e-5, atol=1e-6)


def test_equal_logits_are_least_certain() -> None:
    assert math.isclose(score(torch.ones(1, 7))[0], math.log(7), rel_tol=1e-6)
    assert score(torch.tensor([[0.0, 0.0, 1e-2]]))[0] > math.log(3)


def test_unlikely_classes_count_and_a_saturated_softmax_ranks() -> None:
    s = score(torch.tensor([[9.0, 8.0, 0.0], [9.0, 8.0, -300.0], [9.0, -300.0, -300.0]]))
    assert (s.diff() > 0).all()
    assert math.isclose(s[2], 206.0, rel_tol=1e-6)  # logsumexp 9, mean -197
