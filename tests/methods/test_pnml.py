"""pnml against loops over the paper's formula."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from given import Given
from oodbench.methods.pnml import Pnml
from torch import Tensor
from torch.nn.functional import normalize

from oodbench.contract import FEATURES, HEAD, Head

DETECTOR = Pnml()


def fit(f: Tensor) -> Any:
    return DETECTOR.fit(SimpleNamespace(train=SimpleNamespace(features=f)))  # type: ignore[arg-type]


def score(state: Any, f: Tensor, head: Head) -> np.ndarray:
    return DETECTOR.score(state, Given({FEATURES: f, HEAD: head})).numpy()  # type: ignore[arg-type]


def regrets_by_loops(train: np.ndarray, f: np.ndarray, W: np.ndarray, b: np.ndarray) -> list[float]:
    """log sum_c t_c, for features that are not 0."""
    X = np.array([row / np.sqrt((row**2).sum()) for row in train])
    inverse = np.linalg.pinv(X.T @ X, rcond=1e-10)
    found = []
    for row in f:
        u = row / np.sqrt((row**2).sum())
        g = u @ inverse @ u
        kappa = g / (1 + g)
        z = W @ u + b
        p = np.exp(z) / np.exp(z).sum()
        found.append(math.log(sum(q / (q + (1 - q) * q**kappa) for q in p)))
    return found


def some(n: int, seed: int) -> Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


HEAD_ = Head(some(3, 2) * 2, some(3, 3)[:, 0])


def test_score_by_loops() -> None:
    train, f = some(20, 0), some(15, 1)
    regrets = regrets_by_loops(train.numpy(), f.numpy(), HEAD_.weight.numpy(), HEAD_.bias.numpy())
    expected = [-math.log(math.expm1(r)) for r in regrets]
    np.testing.assert_allclose(score(fit(train), f, HEAD_), expected, rtol=1e-5, atol=1e-6)


def test_it_reads_the_lab(lab) -> None:
    train, f = (lab.all(x)[FEATURES] for x in (lab.train[0], lab.test))
    head = Head(lab.net.head.weight.detach(), lab.net.head.bias.detach())
    np.testing.assert_allclose(lab.score(DETECTOR, lab.test), score(fit(train), f, head))


def test_inputs_of_many_training_images_do_not_tie_in_float32() -> None:
    """With kappa of 1e-5 and a sure softmax the regret is below float32's step at 1."""
    train = some(20, 0).repeat(5000, 1).float()
    f, head = some(15, 1).float(), Head(20 * HEAD_.weight.float(), HEAD_.bias.float())
    s = score(fit(train), f, head)
    assert np.isfinite(s).all()
    assert len(np.unique(s)) == 15
    assert len(np.unique(np.float32(1) + np.exp(-s))) < 15


def test_zeros_are_trusted_least_and_a_dead_unit_costs_nothing() -> None:
    train = some(20, 0)
    train[:, 4] = 0
    f = torch.cat([some(15, 1)[:, :4], torch.zeros(15, 1, dtype=torch.float64)], dim=1)
    f[0] = 0
    head = Head(torch.zeros(3, 5).double(), torch.zeros(3).double())  # p = 1/3 for all
    s = score(fit(train), f, head)
    assert s.argmin() == 0
    # kappa = 1: t = p / (p + (1 - p) p) = 1 / (2 - p)
    np.testing.assert_allclose(s[0], -math.log(3 / (2 - 1 / 3) - 1), rtol=1e-6)
    awake = f[1:2].clone()
    awake[0, 4] = 100.0
    assert score(fit(train), awake, head)[0] > s[1:].max()


def test_a_large_training_set_is_summed_block_by_block() -> None:
    train = some(20_000, 0)
    u = normalize(train, dim=1)
    R = fit(train).R
    torch.testing.assert_close(R @ R.T, torch.linalg.inv(u.T @ u))
