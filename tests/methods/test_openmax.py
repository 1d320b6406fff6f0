"""openmax against loops over the paper's algorithm, its Weibull fit against scipy's."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.openmax import ORIGIN, OpenMax, weibull
from scipy.optimize import minimize_scalar
from scipy.stats import weibull_min
from torch import Tensor

from oodbench.contract import LOGITS


def some(n: int = 240, C: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    y = torch.randint(C, (n,), generator=chance)
    z = 2 * torch.randn(n, C, generator=chance, dtype=torch.float64)
    z[torch.arange(n), y] += 3
    return z, y


def fit(detector: OpenMax, z: Tensor, y: Tensor) -> Any:
    return detector.fit(SimpleNamespace(train=SimpleNamespace(logits=z, labels=y)))  # type: ignore[arg-type]


def score(detector: OpenMax, state: Any, z: Tensor) -> np.ndarray:
    return detector.score(state, Given({LOGITS: z})).numpy()  # type: ignore[arg-type]


def weibull_by_search(x: np.ndarray) -> tuple[float, float]:
    """Scale and k of greatest likelihood, by a search of the profile."""

    def scale(k: float) -> float:
        return float(x.max() * np.mean((x / x.max()) ** k) ** (1 / k))

    def loss(log_k: float) -> float:
        k = math.exp(log_k)
        return -float(weibull_min.logpdf(x, k, scale=scale(k)).sum())

    grid = np.linspace(0, 14, 71)
    near = grid[int(np.argmin([loss(v) for v in grid]))]
    k = math.exp(minimize_scalar(loss, bounds=(near - 0.2, near + 0.2), method="bounded", options={"xatol": 1e-10}).x)
    return scale(k), k


def by_loops(train: np.ndarray, labels: np.ndarray, z: np.ndarray, alpha: int, tail: int) -> list[float]:
    C = z.shape[1]
    fits = []
    for c in range(C):
        own = np.array([row for row, y in zip(train, labels, strict=True) if y == c and row.argmax() == c])
        mu = own.mean(axis=0)
        d = np.sort(np.sqrt(((own - mu) ** 2).sum(axis=1)))[-tail:]
        fits.append((mu, d[0], *weibull_by_search(10_000 + d - d[0])))
    found = []
    for row in z:
        ranked = list(np.argsort(-row))
        revised, unknown = list(row), 0.0
        for i, c in enumerate(ranked[:alpha], start=1):
            mu, low, scale, k = fits[c]
            w = weibull_min.cdf(10_000 + np.sqrt(((row - mu) ** 2).sum()) - low, k, scale=scale)
            omega = w * (alpha + 1 - i) / alpha
            revised[c] = row[c] * (1 - omega)
            unknown += row[c] * omega
        p = math.exp(unknown) / (sum(math.exp(v) for v in revised) + math.exp(unknown))
        found.append(math.log((1 - p) / p))
    return found


@pytest.mark.parametrize(("alpha", "tail"), [(4, 20), (2, 10), (1, 20)])
def test_score_by_loops(alpha: int, tail: int) -> None:
    train, y = some()
    z = 2 * some(40, seed=1)[0]
    detector = OpenMax(alpha, tail)
    expected = by_loops(train.numpy(), y.numpy(), z.numpy(), alpha, tail)
    np.testing.assert_allclose(score(detector, fit(detector, train, y), z), expected, rtol=1e-4, atol=1e-4)


def test_weibull_of_a_known_sample() -> None:
    x = weibull_min.rvs(3.0, scale=2.0, size=5000, random_state=0)
    k, _, scale = weibull_min.fit(x, floc=0)
    padded = torch.ones(2, 6000, dtype=torch.float64)
    padded[0, :5000] = torch.from_numpy(x)
    log_scale, ours = weibull(padded, torch.tensor([5000, 0]))
    assert float(ours[0]) == pytest.approx(k, rel=1e-3)
    assert math.exp(log_scale[0]) == pytest.approx(scale, rel=1e-3)
    assert ours.isfinite().all()
    assert log_scale.isfinite().all()


def test_ranks_above_the_number_of_classes_are_all_of_them() -> None:
    train, y = some()
    z = some(40, seed=1)[0]
    np.testing.assert_array_equal(
        score(OpenMax(10), fit(OpenMax(10), train, y), z), score(OpenMax(4), fit(OpenMax(4), train, y), z)
    )


def test_a_class_without_right_images_is_unknown() -> None:
    train, y = some()
    state = fit(OpenMax(1), train[y != 2], y[y != 2])
    z = torch.tensor([[0.0, 0.0, 5.0, 0.0]])
    # omega_2 = 1: z' = 0 for all classes, z'_0 = 5
    np.testing.assert_allclose(score(OpenMax(1), state, z), [math.log(4) - 5], rtol=1e-6)


def test_equal_distances_one_image_and_far_logits_are_finite() -> None:
    y = torch.tensor([0, 0, 1])
    train = torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    state = fit(OpenMax(), train, y)
    z = torch.tensor([[3.0, 0.0], [0.0, 2.5], [1e4, -1e4], [0.0, 0.0]])
    s = score(OpenMax(), state, z)
    assert np.isfinite(s).all()
    assert all(part.isfinite().all() for part in state)
    assert ORIGIN + float(state.low[0]) == ORIGIN


def test_certain_inputs_do_not_tie() -> None:
    train, y = some()
    z = torch.zeros(2, 4)
    z[:, 1] = torch.tensor([7.0, 7.001])
    assert len(set(score(OpenMax(2), fit(OpenMax(2), train, y), z))) == 2
