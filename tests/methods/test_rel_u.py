"""rel-u against loops over the paper's formula."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.doctor import alpha
from oodbench.methods.rel_u import METHODS, RelU
from torch import Tensor

from oodbench.contract import LOGITS


def some(n: int = 200, C: int = 4) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    y = torch.randint(C, (n,), generator=chance)
    z = 2 * torch.randn(n, C, generator=chance, dtype=torch.float64)
    z[torch.arange(n), y] += 2
    return z, y


def fit(z: Tensor, y: Tensor, lam: float = 0.5) -> Any:
    return RelU(lam).fit(SimpleNamespace(validation=SimpleNamespace(logits=z, labels=y)))  # type: ignore[arg-type]


def score(state: Any, z: Tensor) -> Tensor:
    return RelU().score(state, Given({LOGITS: z}))  # type: ignore[arg-type]


def pairs_by_loops(z: np.ndarray, y: np.ndarray, lam: float) -> np.ndarray:
    C = z.shape[1]
    sums, count = {True: np.zeros((C, C)), False: np.zeros((C, C))}, {True: 0, False: 0}
    for row, label in zip(z, y, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        wrong = bool(row.argmax() != label)
        count[wrong] += 1
        for i in range(C):
            for j in range(C):
                sums[wrong][i, j] += p[i] * p[j]
    D = np.zeros((C, C))
    for i in range(C):
        for j in range(C):
            if i != j:
                D[i, j] = max(0, lam * sums[True][i, j] / count[True] - (1 - lam) * sums[False][i, j] / count[False])
    return D / np.sqrt((D**2).sum())


@pytest.mark.parametrize("lam", [0.5, 0.8])
def test_score_by_loops(lam: float) -> None:
    z, y = some()
    D = pairs_by_loops(z.numpy(), y.numpy(), lam)
    state = fit(z, y, lam)
    np.testing.assert_allclose(state.D, D, rtol=1e-9, atol=1e-12)
    expected = []
    for row in z.numpy():
        p = np.exp(row) / np.exp(row).sum()
        expected.append(-math.log(sum(p[i] * D[i, j] * p[j] for i in range(4) for j in range(4))))
    np.testing.assert_allclose(score(state, z), expected, rtol=1e-6)


def test_without_wrong_predictions_it_ranks_as_doctor() -> None:
    z, _ = some()
    state = fit(z, z.argmax(dim=1))
    assert score(state, z).argsort().tolist() == alpha(Given({LOGITS: z})).argsort().tolist()  # type: ignore[arg-type]


def test_all_predictions_wrong_two_classes_and_saturation_are_finite() -> None:
    z, y = some()
    assert score(fit(z, (z.argmax(dim=1) + 1) % 4), z).isfinite().all()
    assert score(fit(z[:, :2], y % 2), z[:, :2]).isfinite().all()
    sure = torch.zeros(3, 4)
    sure[:, 0] = torch.tensor([40.0, 41.0, 2000.0])
    s = score(fit(z, z.argmax(dim=1)), sure)
    assert s.isfinite().all()
    assert (s.diff() > 0).all()


def test_it_is_fitted_on_labelled_validation(lab) -> None:
    z, y = lab.all(lab.validation[0])[LOGITS], lab.validation[1]
    np.testing.assert_allclose(lab.score(METHODS[0].detector, lab.test), score(fit(z, y), lab.all(lab.test)[LOGITS]))
