"""vra against a loop over the authors' piecewise function."""

from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods import vra
from oodbench.methods.vra import METHODS, Ends, Vra
from scipy.special import logsumexp

from oodbench.contract import FEATURES, HEAD, Head


def by_loops(bank: np.ndarray, w: np.ndarray, b: np.ndarray, f: np.ndarray, detector: Vra) -> list[float]:
    low = [np.percentile(bank[:, i], detector.lo) for i in range(bank.shape[1])]
    high = [np.percentile(bank[:, i], detector.hi) for i in range(bank.shape[1])]
    scores = []
    for row in f:
        g = []
        for value, alpha, beta in zip(row, low, high, strict=True):
            g.append(0.0 if value < alpha else beta if value > beta else value + detector.gamma)
        scores.append(float(logsumexp(w @ np.array(g) + b)))
    return scores


@pytest.mark.parametrize(
    "detector", [Vra(), Vra(lo=10.0, hi=99.0), Vra(hi=95.0, gamma=0.6), Vra(lo=0.0, hi=100.0, gamma=-0.2)]
)
def test_score_by_loops(lab, detector: Vra) -> None:
    bank, f = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    np.testing.assert_allclose(lab.score(detector, lab.test), by_loops(bank, w, b, f, detector), rtol=1e-10)


def test_units_are_sorted_in_blocks(lab, monkeypatch: Any) -> None:
    whole = lab.fit(Vra())
    monkeypatch.setattr(vra, "BLOCK", 200)  # two units of ninety inputs
    for one, other in zip(whole, lab.fit(Vra()), strict=True):
        assert torch.equal(one, other)


def test_between_the_ends_it_may_pass_the_upper_one_and_below_a_negative_one_it_is_0() -> None:
    ends = Ends(torch.tensor([-1.0], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64))
    f = torch.tensor([[-3.0], [-1.0], [0.0], [1.9], [2.0], [2.1]])
    head = Head(torch.tensor([[1.0], [0.0]]), torch.tensor([0.0, -1e9]))
    scores = Vra(gamma=0.5).score(ends, Given({FEATURES: f, HEAD: head}))
    np.testing.assert_allclose(scores, [0, -0.5, 0.5, 2.4, 2.5, 2.0], rtol=1e-6)


def test_rows() -> None:
    detectors = {method.name: method.detector for method in METHODS}
    assert detectors["vra"] == detectors["vra-tuned"] == Vra(lo=60, hi=90, gamma=0)
    assert detectors["vra-plus"] == Vra(lo=60, hi=95, gamma=0.6)
