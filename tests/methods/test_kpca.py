"""Kernel PCA against plain numpy: the map, the mean, the share of the variance and what is left."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from oodbench.methods.kpca import Cop, Corp, fourier, reconstruction, waves
from torch import Tensor

from oodbench.contract import FEATURES
from oodbench.errors import BadMethod


def errors_by_loops(train: np.ndarray, test: np.ndarray, share: float) -> list[float]:
    mu = train.mean(axis=0)
    centred = train - mu
    values, vectors = np.linalg.eig(centred.T @ centred)
    order = np.argsort(-values.real)
    q, held = 0, 0.0
    while held < share * values.real.sum() and q < len(order) - 1:
        held += values.real[order[q]]
        q += 1
    kept = [vectors[:, j].real for j in order[:q]]
    errors = []
    for row in test - mu:
        rebuilt = sum(((v @ row) * v for v in kept), np.zeros_like(row))
        errors.append(-float(np.sqrt(((row - rebuilt) ** 2).sum())))
    return errors


def unit(x: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt((row**2).sum()) for row in x])


@pytest.mark.parametrize("share", [0.3, 0.7, 0.85, 0.999999])
def test_cop_by_loops(lab, share: float) -> None:
    train, test = (unit(lab.all(x)[FEATURES].numpy()) for x in (lab.train[0], lab.test))
    np.testing.assert_allclose(lab.score(Cop(share), lab.test), errors_by_loops(train, test, share), atol=1e-9)


@pytest.mark.parametrize(("share", "gamma", "M"), [(0.5, 2.0, 20), (0.8, 0.5, 12), (0.9, 4.0, 30)])
def test_corp_by_loops(lab, share: float, gamma: float, M: int) -> None:
    state = lab.fit(Corp(share, gamma, M))
    omega, theta = state.omega.double().numpy(), state.theta.double().numpy()
    train, test = (unit(lab.all(x)[FEATURES].numpy()) for x in (lab.train[0], lab.test))

    def phi(rows: np.ndarray) -> np.ndarray:
        return np.array(
            [[np.sqrt(2 / M) * np.cos(w @ row + t) for w, t in zip(omega, theta, strict=True)] for row in rows]
        )

    expected = errors_by_loops(phi(train), phi(test), share)
    np.testing.assert_allclose(lab.score(Corp(share, gamma, M), lab.test, state), expected, atol=2e-6)


def test_random_features_stand_for_the_gaussian_kernel_of_unit_vectors() -> None:
    """The inner product of 40,000 random features is exp(-gamma ||u - v||^2) to a few hundredths."""
    f = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    phi, u = fourier(f, *waves(40_000, 5, gamma=1.5, seed=1)), f / f.norm(dim=1, keepdim=True)
    torch.testing.assert_close(phi @ phi.T, (-1.5 * torch.cdist(u, u).square()).exp(), atol=0.02, rtol=0)


def test_the_draw_is_by_the_seed_and_four_times_the_features(lab) -> None:
    state = lab.fit(Corp(gamma=3.0))
    assert state.omega.shape == (20, 5)
    for drawn, expected in zip(state[:2], waves(20, 5, 3.0, lab.seed), strict=True):
        assert torch.equal(drawn, expected)
    assert not torch.equal(waves(20, 5, 3.0, 8)[0], state.omega)


def test_the_length_of_features_does_not_count(lab) -> None:
    f = lab.all(lab.test)[FEATURES]

    @dataclass
    class Batch:
        features: Tensor

    for detector in (Cop(), Corp()):
        state = lab.fit(detector)
        short, long = (detector.score(state, Batch(c * f)) for c in (0.01, 100.0))  # type: ignore[attr-defined]
        torch.testing.assert_close(short, long, rtol=1e-4, atol=1e-6)
        assert detector.score(state, Batch(0 * f)).isfinite().all()  # type: ignore[attr-defined]


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_a_share_of_all_or_nothing_is_refused(share: float) -> None:
    with pytest.raises(BadMethod, match="expected 0 < share < 1"):
        reconstruction([torch.eye(3)], share)


def test_features_that_do_not_vary_leave_every_other_direction_to_err_in() -> None:
    found = reconstruction([torch.ones(5, 3)], 0.8)
    errors = found.error(torch.tensor([[1.0, 1, 1], [2, 1, 0]]))
    assert errors[0] < 1e-12 < errors[1]
    assert reconstruction([torch.ones(5, 1)], 0.8).U.shape == (1, 0)
