"""doctor against a loop; D_beta ranks as the softmax; where probabilities are 1."""

import math

import numpy as np
import torch
from given import Given
from oodbench.methods.doctor import METHODS

from oodbench import formulas
from oodbench.contract import LOGITS

DETECTOR = METHODS[0].detector


def probabilities(row: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(u) for u in row) for v in row]


def test_score_by_loops(lab) -> None:
    z = lab.all(lab.test)[LOGITS] / 20
    expected = []
    for row in z.tolist():
        g = sum(q**2 for q in probabilities(row))
        expected.append(-math.log((1 - g) / g))
    np.testing.assert_allclose(DETECTOR.score((), Given({LOGITS: z})), expected, rtol=1e-5, atol=1e-6)


def test_d_beta_would_rank_as_msp(lab) -> None:
    z = lab.all(lab.test)[LOGITS] / 20
    beta = [(1 - max(probabilities(row))) / max(probabilities(row)) for row in z.tolist()]
    assert list(np.argsort(-np.array(beta))) == formulas.msp_key(z).argsort().tolist()


def test_it_ranks_where_probabilities_are_1() -> None:
    z = torch.zeros(3, 5)
    z[:, 1] = torch.tensor([50.0, 51.0, 2000.0])
    s = DETECTOR.score((), Given({LOGITS: z}))
    assert (s.diff() > 0).all()
    assert math.isclose(s[0], 50 - math.log(4) - math.log(2), rel_tol=1e-6)  # 1 - g = 2 (1 - p) to first order


def test_equal_logits_score_lowest() -> None:
    assert math.isclose(DETECTOR.score((), Given({LOGITS: torch.ones(1, 6)})), -math.log(5), rel_tol=1e-6)
