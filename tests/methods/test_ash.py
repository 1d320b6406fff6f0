"""ash-p, ash-b and ash-s against loops over the paper's formulas, on features and at the last feature map."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.ash import METHODS, SHAPES, Ash, AshAtMap
from scipy.special import logsumexp

from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, Head


def shaped_by_loops(row: np.ndarray, variant: str, q: float) -> list[float]:
    k = max(1, len(row) - round(len(row) * q / 100))
    kept = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
    positive = [max(float(v), 0.0) for v in row]
    total, of_kept = sum(positive), sum(positive[i] for i in kept)
    factor = np.exp(total / of_kept if of_kept else 1.0)
    value = {"p": lambda i: row[i], "b": lambda i: total / k, "s": lambda i: row[i] * factor}[variant]
    return [float(value(i)) if i in kept else 0.0 for i in range(len(row))]


def energies(lab, features: np.ndarray) -> np.ndarray:
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    return logsumexp(features @ w.T + b, axis=1)


@pytest.mark.parametrize("q", [0.0, 30.0, 65.0, 90.0, 100.0])
@pytest.mark.parametrize("variant", ["p", "b", "s"])
def test_score_by_loops(lab, variant: str, q: float) -> None:
    f = [shaped_by_loops(row, variant, q) for row in lab.all(lab.test)[FEATURES].numpy()]
    np.testing.assert_allclose(lab.score(Ash(variant, q), lab.test), energies(lab, np.array(f)), rtol=1e-10)


@pytest.mark.parametrize("q", [65.0, 90.0])
@pytest.mark.parametrize("variant", ["p", "b", "s"])
def test_score_at_the_map_by_loops(lab, variant: str, q: float) -> None:
    a = lab.all(lab.test)[FEATURE_MAP].numpy()
    assert a.shape[2] > 1
    shaped = np.array([shaped_by_loops(one.ravel(), variant, q) for one in a]).reshape(a.shape)
    expected = energies(lab, shaped.mean(axis=(2, 3)))
    np.testing.assert_allclose(lab.score(AshAtMap(variant, q), lab.test), expected, rtol=1e-10)


@pytest.mark.parametrize("variant", ["p", "b", "s"])
def test_ties_negative_features_and_rows_of_zeros_by_loops(variant: str) -> None:
    x = torch.randint(-2, 3, (60, 9), generator=torch.Generator().manual_seed(0)).float()
    x[0], x[1] = 0, -1
    before = x.clone()
    shaped = SHAPES[variant](x, 65.0)
    assert torch.equal(x, before)  # the authors' functions write into their argument
    np.testing.assert_allclose(shaped, [shaped_by_loops(row, variant, 65.0) for row in x.numpy()], rtol=1e-6)


def test_sixty_four_even_features_at_90_percent_are_scaled_by_exp_10_and_more() -> None:
    head = Head(torch.eye(2, 64), torch.zeros(2))
    even, peaked = torch.ones(1, 64), torch.zeros(1, 64)
    peaked[0, 0] = 64
    scores = [float(Ash("s", 90.0).score((), Given({FEATURES: f, HEAD: head}))) for f in (even, peaked)]
    assert scores[0] == pytest.approx(np.exp(64 / 6) + np.log(2), rel=1e-9)
    assert scores[1] == pytest.approx(64 * np.e, rel=1e-9)


def test_rows() -> None:
    detectors = {method.name: method.detector for method in METHODS}
    assert detectors["ash-p"] == detectors["ash-p-tuned"] == Ash("p", 65)
    assert detectors["ash-b"] == detectors["ash-b-tuned"] == Ash("b", 65)
    assert detectors["ash-s"] == detectors["ash-s-tuned"] == Ash("s", 90)
    assert detectors["ash-s-map"] == AshAtMap("s", 90)
