"""scale against a loop over the paper's formula, on features and at the last feature map."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.ash import Ash
from oodbench.methods.scale import METHODS, Scale, ScaleAtMap
from scipy.special import logsumexp

from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, LOGITS, Head


def factor_by_loops(row: np.ndarray, q: float) -> float:
    positive = sorted((max(float(v), 0.0) for v in row), reverse=True)
    top = sum(positive[: max(1, len(row) - round(len(row) * q / 100))])
    return float(np.exp(sum(positive) / top if top else 1.0))


def energies(lab, features: np.ndarray) -> np.ndarray:
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    return logsumexp(features @ w.T + b, axis=1)


@pytest.mark.parametrize("q", [0.0, 30.0, 65.0, 85.0, 100.0])
def test_score_by_loops(lab, q: float) -> None:
    f = lab.all(lab.test)[FEATURES].numpy()
    expected = energies(lab, np.array([row * factor_by_loops(row, q) for row in f]))
    np.testing.assert_allclose(lab.score(Scale(q), lab.test), expected, rtol=1e-10)


@pytest.mark.parametrize("q", [65.0, 85.0])
def test_score_at_the_map_by_loops(lab, q: float) -> None:
    a = lab.all(lab.test)[FEATURE_MAP].numpy()
    factors = [factor_by_loops(one.ravel(), q) for one in a]
    expected = energies(lab, np.array(factors)[:, None] * a.mean(axis=(2, 3)))
    np.testing.assert_allclose(lab.score(ScaleAtMap(q), lab.test), expected, rtol=1e-10)


def test_it_is_not_ash_s(lab) -> None:
    assert not np.allclose(lab.score(Scale(65.0), lab.test), lab.score(Ash("s", 65.0), lab.test))


def test_negative_features_are_scaled_and_not_summed() -> None:
    head = Head(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.zeros(2))
    f = torch.tensor([[3.0, 1.0, -4.0], [-3.0, -1.0, -4.0], [0.0, 0.0, 0.0]])
    r = np.array([4 / 3, 1.0, 1.0])  # a plain ratio of the first row would be 0
    expected = logsumexp([np.exp(r) * [4, -4, 0], np.exp(r) * [-4, -4, 0]], axis=0)
    scores = Scale(67.0).score((), Given({FEATURES: f, HEAD: head}))
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_no_prediction_changes_where_the_head_has_no_bias(lab) -> None:
    f = lab.all(lab.test)[FEATURES]
    z = lab.all(lab.test)[LOGITS] - lab.net.head.bias.detach()
    factors = torch.tensor([factor_by_loops(row, 85.0) for row in f.numpy()])[:, None]
    assert torch.equal((factors * z).argmax(dim=1), z.argmax(dim=1))


def test_rows() -> None:
    assert METHODS[0].detector == METHODS[1].detector == Scale(85)
    assert METHODS[2].detector == ScaleAtMap(85)
