"""react against a loop over the paper's formula."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.react import METHODS, Ceiling, ReAct
from scipy.special import logsumexp

from oodbench.contract import FEATURES, HEAD, Head


def by_loops(lab, q: float) -> list[float]:
    bank, f = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    entries = sorted(bank.ravel())
    place = q / 100 * (len(entries) - 1)
    low = int(place)
    c = entries[low] + (place - low) * (entries[min(low + 1, len(entries) - 1)] - entries[low])
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    return [float(logsumexp(w @ np.array([min(v, c) for v in row]) + b)) for row in f]


@pytest.mark.parametrize("q", [0.0, 50.0, 85.0, 90.0, 99.0, 100.0])
def test_score_by_loops(lab, q: float) -> None:
    np.testing.assert_allclose(lab.score(ReAct(q), lab.test), by_loops(lab, q), rtol=1e-10)


def test_the_ceiling_is_one_for_all_units(lab) -> None:
    (c,) = lab.fit(ReAct(90.0))
    assert c == pytest.approx(float(np.percentile(lab.all(lab.train[0])[FEATURES].numpy(), 90)), rel=1e-12)


def test_negative_features_are_not_clipped_from_below() -> None:
    head = Head(torch.eye(2), torch.zeros(2))
    f = torch.tensor([[-3.0, 2.0], [-3.0, 0.5], [-4.0, 0.5]])
    s = ReAct().score(Ceiling(0.5), Given({FEATURES: f, HEAD: head}))
    np.testing.assert_allclose(s, [np.logaddexp(-3, 0.5), np.logaddexp(-3, 0.5), np.logaddexp(-4, 0.5)], rtol=1e-12)


def test_rows() -> None:
    assert METHODS[0].detector == ReAct(q=90)
    assert METHODS[1].search.over == (("q", (85, 90, 95, 99)),)
