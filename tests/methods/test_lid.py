"""lid against loops over neighbours, and what it says where distances are degenerate."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.lid import METHODS, LocalDimensionality, lid

from oodbench import banks
from oodbench.contract import LAYERS
from oodbench.estimators import fit_log_odds


def lid_by_loops(x: np.ndarray, reference: np.ndarray, k: int) -> float:
    r = sorted(float(np.sqrt(((x - other) ** 2).sum())) for other in reference)[:k]
    return -1 / (sum(math.log(one / r[-1]) for one in r) / len(r))


@pytest.mark.parametrize("k", [2, 5, 20])
def test_lid_by_loops(lab, k: int) -> None:
    reference, test = (lab.all(x)[LAYERS] for x in (lab.train[0], lab.test))
    for layer in range(2):
        expected = [lid_by_loops(x, reference[layer].numpy(), k) for x in test[layer].numpy()]
        np.testing.assert_allclose(lid(test[layer], reference[layer], k), expected, rtol=1e-9)


def test_lid_is_the_dimension_of_a_ball() -> None:
    """Distances to uniform points of a ball of d dimensions have d log r uniform: the estimate tends to d."""
    generator = torch.Generator().manual_seed(0)
    for d in (1, 4):
        points = torch.randn(20000, d, generator=generator, dtype=torch.float64)
        points *= torch.rand(20000, 1, generator=generator, dtype=torch.float64) ** (1 / d) / points.norm(
            dim=1, keepdim=True
        )
        assert float(lid(torch.zeros(1, d), points, 20000)[0]) == pytest.approx(d, rel=0.03)


def test_score_by_loops(lab) -> None:
    detector = LocalDimensionality(k=6, size=30)
    rows = banks.drawn(90, 30, lab.seed)
    bank = [layer[rows].numpy() for layer in lab.all(lab.train[0])[LAYERS]]

    def confidences(x: torch.Tensor) -> torch.Tensor:
        layers = [layer.numpy() for layer in lab.all(x)[LAYERS]]
        return torch.tensor(
            [[-lid_by_loops(layers[i][j], bank[i], 6) for i in range(2)] for j in range(len(x))], dtype=torch.float64
        )

    alpha, beta = fit_log_odds(confidences(lab.validation[0]), confidences(lab.attacked), folds=3, seed=lab.seed)
    expected = confidences(lab.test) @ alpha + beta
    np.testing.assert_allclose(lab.score(detector, lab.test), expected, rtol=1e-5)


def test_larger_dimensionality_is_less_to_be_trusted(lab) -> None:
    state = lab.fit(LocalDimensionality())
    assert (state.alpha >= 0).all()
    assert len(state.layers[0]) == 90  # fewer training images than 100


def test_degenerate_distances_are_defined() -> None:
    corners = torch.eye(4)
    assert lid(torch.zeros(1, 4), corners, 3).item() == 1000  # all as far: no dimension is too large
    assert lid(torch.zeros(1, 4), torch.zeros(5, 4), 3).item() == 1000  # a dead layer
    twice = torch.tensor([[0.0], [1.0]])
    assert lid(torch.zeros(1, 1), twice, 2).item() == pytest.approx(2 / math.log(1e6))  # itself, and one other


def test_rows() -> None:
    assert METHODS[0].detector == LocalDimensionality(k=20, size=100)
    assert [row.tuning_access for row in METHODS] == ["adversarial_val", "adversarial_val"]
