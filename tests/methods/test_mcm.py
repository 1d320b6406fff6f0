"""mcm against a loop, and what it is on a zero-shot head."""

import math

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.mcm import METHODS, ConceptMatching
from torch.nn.functional import normalize

from oodbench import formulas
from oodbench.contract import FEATURES, HEAD, Head


@pytest.mark.parametrize("tau", [1.0, 0.1])
def test_score_by_loops(lab, tau: float) -> None:
    W = lab.net.head.weight.detach().numpy()
    expected = []
    for f in lab.all(lab.test)[FEATURES].numpy():
        cos = [float(f @ w / np.sqrt((f @ f) * (w @ w))) for w in W]
        p = max(math.exp(v / tau) for v in cos) / sum(math.exp(v / tau) for v in cos)
        expected.append(tau * math.log(2 * p / (1 - p)))
    np.testing.assert_allclose(lab.score(ConceptMatching(tau), lab.test), expected, rtol=1e-5, atol=1e-6)


def test_on_a_zero_shot_head_it_is_the_softmax_of_the_logits_at_100_tau() -> None:
    chance = torch.Generator().manual_seed(0)
    f, w = (normalize(torch.randn(n, 16, generator=chance), dim=1) for n in (30, 8))
    z = 100 * f @ w.T
    s = ConceptMatching(1.0).score((), Given({FEATURES: f, HEAD: Head(100 * w, torch.zeros(8))}))  # type: ignore[arg-type]
    np.testing.assert_allclose(s, formulas.tempered_margin(z, 100.0) / 100, rtol=1e-4, atol=1e-6)


def test_zeros_and_equal_rows_are_finite() -> None:
    f = torch.tensor([[0.0, 0.0], [1.0, 2.0], [-1.0, -2.0]])
    head = Head(torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]]), torch.zeros(3))
    s = ConceptMatching(0.01).score((), Given({FEATURES: f, HEAD: head}))  # type: ignore[arg-type]
    assert s.isfinite().all()
    assert s[0] == pytest.approx(0, abs=1e-6)


def test_rows() -> None:
    assert METHODS[0].detector == ConceptMatching(tau=1.0)
    assert METHODS[1].search.over == (("tau", (0.01, 0.1, 1.0, 10.0)),)
