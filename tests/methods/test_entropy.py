"""entropy against a loop, and where the softmax is saturated."""

import math

import numpy as np
import torch
from given import Given
from oodbench.methods.entropy import METHODS

from oodbench import formulas
from oodbench.contract import LOGITS

DETECTOR = METHODS[0].detector


def test_score_by_loops(lab) -> None:
    expected = []
    for row in lab.all(lab.test)[LOGITS].numpy() / 20:
        p = [math.exp(v) / sum(math.exp(u) for u in row) for v in row]
        expected.append(-math.log(-sum(q * math.log(q) for q in p)))
    z = lab.all(lab.test)[LOGITS] / 20
    np.testing.assert_allclose(DETECTOR.score((), Given({LOGITS: z})), expected, rtol=1e-5, atol=1e-6)


def test_it_orders_inputs_as_the_entropy_does(lab) -> None:
    s = lab.score(DETECTOR, lab.test)
    assert s.argsort().tolist() == (-formulas.entropy(lab.all(lab.test)[LOGITS])).argsort().tolist()


def test_it_ranks_where_the_entropy_vanishes() -> None:
    z = torch.zeros(4, 10)
    z[:, 2] = torch.tensor([120.0, 121.0, 900.0, 30000.0])
    assert (formulas.entropy(z) == 0).all()
    s = DETECTOR.score((), Given({LOGITS: z}))
    assert (s.diff() > 0).all()
    # H = r - r log(r/9) + O(r^2), r = 9 e^-120
    assert math.isclose(s[0], -(math.log(9) - 120 + math.log(1 + 120)), rel_tol=1e-6)


def test_equal_logits_are_least_certain() -> None:
    assert math.isclose(DETECTOR.score((), Given({LOGITS: torch.ones(1, 7)})), -math.log(math.log(7)), rel_tol=1e-6)
