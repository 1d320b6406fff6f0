"""cf-ood against a loop over references and their neighbours."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods.cf_ood import ConcentrationFree
from torch import Tensor

from oodbench import banks
from oodbench.contract import FEATURES
from oodbench.errors import BadData


def unit(f: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt(sum(row**2)) for row in f])


def smallest_neighbourhoods(references: np.ndarray, rows: np.ndarray, rho: float) -> list[int]:
    """Return the smallest k for which a share rho of the references have a row among their k nearest."""
    found = []
    for x in rows:
        k = 0
        counted = -1
        while counted < rho * len(references):
            k += 1
            counted = 0
            for i, a in enumerate(references):
                others = sorted(np.linalg.norm(a - b) for j, b in enumerate(references) if j != i)
                counted += k > len(others) or np.linalg.norm(a - x) <= others[k - 1]
        found.append(k)
    return found


@pytest.mark.parametrize(("alpha", "rho"), [(0.25, 0.05), (0.3, 0.3), (0.2, 0.9)])
def test_rounded_up_it_is_the_smallest_neighbourhood(lab, alpha: float, rho: float) -> None:
    train, test = (unit(lab.all(x)[FEATURES].numpy()) for x in (lab.train[0], lab.test))
    rows = banks.drawn(90, max(round(alpha * 90), math.ceil(1 / rho)), lab.seed).numpy()
    score = lab.score(ConcentrationFree(alpha, rho), lab.test)
    assert np.ceil(-score * len(rows)).tolist() == smallest_neighbourhoods(train[rows], test, rho)


class Some(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.features)


def scores(train: Tensor, test: Tensor, detector: ConcentrationFree) -> Tensor:
    return detector.score(detector.fit(SimpleNamespace(train=Some(features=train), seed=0)), Some(features=test))


def circle(*degrees: float) -> Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_between_two_neighbours_and_beyond_the_last() -> None:
    """References at 0, 10 and 20 degrees; all of them, and one third of them, count the input a neighbour."""
    train = circle(0, 10, 20)
    all_of_them, one = ConcentrationFree(1.0, 0.9), ConcentrationFree(1.0, 0.3)
    assert torch.ceil(-3 * scores(train, circle(5, 21, 80), all_of_them)).tolist() == [2, 3, 3]
    assert torch.ceil(-3 * scores(train, circle(5, 15, 19), one)).tolist() == [1, 1, 1]
    falling = scores(train, circle(20.5, 21, 25, 31, 60, 179), one)
    assert (falling.diff() < 0).all()


@pytest.mark.parametrize("train", [circle(*[5.0] * 200), torch.zeros(200, 2)])
def test_references_that_are_all_the_same_are_finite(train: Tensor) -> None:
    got = scores(train, torch.cat([circle(5.0, 50.0), torch.zeros(1, 2)]).to(train.dtype), ConcentrationFree())
    assert got.isfinite().all()


def test_the_references_are_drawn_at_random_and_enough_and_not_too_many() -> None:
    f = torch.eye(10).repeat_interleave(200, dim=0)
    for detector, n in ((ConcentrationFree(), 200), (ConcentrationFree(most=50), 50), (ConcentrationFree(0.01), 100)):
        state = detector.fit(SimpleNamespace(train=Some(features=f), seed=0))
        assert state.ascending.shape == (n, n - 1)
        assert (state.u.sum(dim=0) > 0).all()


def test_one_training_input_is_refused() -> None:
    with pytest.raises(BadData, match="two at least"):
        scores(circle(5), circle(5), ConcentrationFree())
