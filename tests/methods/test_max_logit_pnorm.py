"""max-logit-pnorm against loops over the paper's formula and over the definition of AURC."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.max_logit_pnorm import MaxLogitPNorm, aurc, key
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS

DETECTOR = MaxLogitPNorm()


def confidence_by_loops(z: np.ndarray, p: int) -> list[float]:
    values = []
    for row in z:
        c = [v - sum(row) / len(row) for v in row]
        values.append(max(c) / (sum(abs(v) ** p for v in c) ** (1 / p) if p else 1))
    return values


def aurc_by_loops(confidence: list[float], wrong: list[bool]) -> float:
    """Images of equal confidence count as in any order: each as the mean of them."""
    rounded = [round(v, 12) for v in confidence]
    equals = {v: [w for u, w in zip(rounded, wrong, strict=True) if u == v] for v in set(rounded)}
    expected = [sum(equals[v]) / len(equals[v]) for v in sorted(rounded, reverse=True)]
    risks = [sum(expected[:k]) / k for k in range(1, len(wrong) + 1)]
    return sum(risks) / len(risks)


def some_logits(n: int = 300, C: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Logits of many lengths, and labels: sure and long ones are as often wrong as short ones."""
    chance = torch.Generator().manual_seed(seed)
    y = torch.randint(C, (n,), generator=chance)
    z = torch.randn(n, C, generator=chance, dtype=torch.float64)
    z[torch.arange(n), y] += 1.5
    return z * (3 * torch.rand(n, 1, generator=chance, dtype=torch.float64)).exp(), y


def fit(z: Tensor, y: Tensor) -> Any:
    return DETECTOR.fit(SimpleNamespace(validation=SimpleNamespace(logits=z, labels=y)))  # type: ignore[arg-type]


@pytest.mark.parametrize("p", range(9))
def test_the_key_orders_inputs_as_the_score_does(p: int) -> None:
    z, _ = some_logits()
    s = np.array(confidence_by_loops(z.numpy(), p))
    expected = np.log(s**p / (1 - s**p)) if p else s
    np.testing.assert_allclose(key(z, p), expected, rtol=1e-6, atol=1e-9)


def test_the_exponent_is_that_of_least_aurc() -> None:
    z, y = some_logits()
    wrong = (z.argmax(dim=1) != y).tolist()
    found = [aurc_by_loops(confidence_by_loops(z.numpy(), p), wrong) for p in range(9)]
    state = fit(z, y)
    assert state.p == int(np.argmin(found)) > 0
    assert state.aurc == pytest.approx(min(found), rel=1e-9)
    assert state.aurc_msp == pytest.approx(aurc_by_loops(z.softmax(dim=1).amax(dim=1).tolist(), wrong), rel=1e-9)
    assert state.aurc < state.aurc_msp
    s = DETECTOR.score(state, Given({LOGITS: z}))  # type: ignore[arg-type]
    np.testing.assert_allclose(s, key(z, state.p).float())


def test_it_falls_back_to_msp_where_that_is_no_worse() -> None:
    z, y = some_logits()
    for state in (fit(z, z.argmax(dim=1)), fit(z[:, :2], y % 2)):  # nothing wrong; two classes
        s = DETECTOR.score(state, Given({LOGITS: z}))  # type: ignore[arg-type]
        np.testing.assert_allclose(s, formulas.msp_key(z).float())


def test_aurc_of_ties_is_the_mean_over_their_orders() -> None:
    wrong = [True, False, False, True, False]
    confidence = [2.0, 2.0, 2.0, 1.0, 3.0]
    orders = [[4, *middle, 3] for middle in itertools.permutations([0, 1, 2])]
    each = [aurc_by_loops([-order.index(i) for i in range(5)], wrong) for order in orders]
    assert aurc(torch.tensor(confidence), torch.tensor(wrong)) == pytest.approx(np.mean(each), rel=1e-12)


def test_at_p_1_inputs_with_a_single_logit_above_the_mean_tie() -> None:
    z, _ = some_logits()
    single = (z > z.mean(dim=1, keepdim=True)).sum(dim=1) == 1
    assert single.sum() > 10
    assert (key(z, 1)[single] == 0).all()
    assert (key(z, 1)[~single] < 0).all()
    assert len(key(z, 2)[single].unique()) == single.sum()


def test_edges() -> None:
    z = torch.zeros(4, 1000)
    z[1:, 3] = torch.tensor([1.0, 500.0, 1e6])
    for p in range(9):
        s = key(z.double(), p)
        assert s.isfinite().all()
        assert s[0] < s[1]  # equal logits are least sure
    tied = torch.tensor([[900.0, 0.0, 0.0], [901.0, 0.5, 0.0]]).double()
    assert key(tied, 8)[0] != key(tied, 8)[1]
