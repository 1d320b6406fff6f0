"""knn against a loop over the training set."""

import numpy as np
import pytest
import torch
from oodbench.methods.knn import METHODS, NearestNeighbours
from torch.nn.functional import normalize

from oodbench import banks
from oodbench.contract import FEATURES


def distances_by_loops(bank: np.ndarray, f: np.ndarray, k: int) -> list[float]:
    unit = [row / np.sqrt((row**2).sum()) for row in bank]
    values = []
    for row in f:
        u = row / np.sqrt((row**2).sum())
        values.append(-sorted(float(np.sqrt(((u - v) ** 2).sum())) for v in unit)[k - 1])
    return values


@pytest.mark.parametrize("k", [1, 5, 50, 90])
def test_score_by_loops(lab, k: int) -> None:
    bank, f = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    np.testing.assert_allclose(
        lab.score(NearestNeighbours(k), lab.test), distances_by_loops(bank, f, k), rtol=1e-9, atol=1e-12
    )


def test_a_neighbour_that_does_not_exist_is_the_farthest(lab) -> None:
    np.testing.assert_array_equal(
        lab.score(NearestNeighbours(91), lab.test), lab.score(NearestNeighbours(90), lab.test)
    )


def test_close_neighbours_do_not_cancel_in_float32() -> None:
    """2 - 2 u.v has an absolute error of 1e-7, so products alone give a distance of 0.01 three digits."""
    generator = torch.Generator().manual_seed(0)
    centres = normalize(torch.randn(20, 64, generator=generator))
    bank = normalize(centres.repeat(300, 1) + 1.25e-3 * torch.randn(6000, 64, generator=generator))
    exact = (bank[None].double() - centres[:, None].double()).norm(dim=2).kthvalue(50, dim=1).values
    products = (2 - 2 * (centres @ bank.T).topk(50, dim=1).values[:, -1]).clamp_min(0).sqrt()
    ours = banks.neighbours(centres, bank, 50).distance[:, -1]
    assert exact.mean() == pytest.approx(0.01, rel=0.2)
    assert ((products - exact) / exact).abs().max() > 1e-4
    np.testing.assert_allclose(ours, exact, rtol=1e-6)


def test_a_feature_vector_of_zeros_is_finite() -> None:
    bank = normalize(torch.rand(60, 5, generator=torch.Generator().manual_seed(0)))
    assert banks.neighbours(torch.zeros(1, 5), bank, 50).distance.isfinite().all()


def test_defaults() -> None:
    assert METHODS[0].detector == NearestNeighbours(k=50)
