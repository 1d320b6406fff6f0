"""neco against plain numpy."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from oodbench.methods.neco import METHODS, Neco, NecoMaxLogit, collapsed
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS
from oodbench.errors import BadData


def by_loops(train: np.ndarray, f: np.ndarray, d: int) -> list[float]:
    mu, sigma = train.mean(axis=0), train.std(axis=0)
    sigma[sigma == 0] = 1
    g = (train - mu) / sigma
    values, vectors = np.linalg.eig(np.cov(g.T, bias=True))
    first = [vectors[:, j].real for j in np.argsort(-values.real)[:d]]
    shares = []
    for row in (f - mu) / sigma:
        shares.append(float(np.sqrt(sum((v @ row) ** 2 for v in first)) / np.sqrt(sum(row**2))))
    return shares


@dataclass
class Set:
    features: Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Data:
    train: Set
    classes: int


def share(train: Tensor, classes: int, f: Tensor, times: float = 1.0) -> Tensor:
    return collapsed(Data(Set(train), classes), times).share(f)  # type: ignore[arg-type]


@pytest.mark.parametrize(("times", "d"), [(0.4, 1), (0.5, 1), (1.0, 2), (1.5, 3), (2.0, 4), (2.5, 2), (9.0, 2)])
def test_scores_by_loops(lab, times: float, d: int) -> None:
    train, test = (lab.all(x) for x in (lab.train[0], lab.test))
    shares = by_loops(train[FEATURES].numpy(), test[FEATURES].numpy(), d)
    np.testing.assert_allclose(lab.score(Neco(times), lab.test), shares, rtol=1e-8)
    largest = test[LOGITS].numpy().max(axis=1)
    np.testing.assert_allclose(lab.score(NecoMaxLogit(times), lab.test), shares * largest, rtol=1e-8)


def test_the_default_is_the_simplex_of_the_classes(lab) -> None:
    assert lab.fit(METHODS[0].detector).P.shape == (5, 2)
    assert METHODS[0].detector == Neco(times=1.0)


@pytest.mark.parametrize(("classes", "F", "d"), [(2, 64, 1), (1000, 64, 32), (65, 64, 32), (64, 64, 63), (10, 2, 1)])
def test_every_number_of_classes_and_features_has_a_space(classes: int, F: int, d: int) -> None:
    f = torch.randn(200, F, generator=torch.Generator().manual_seed(0))
    assert collapsed(Data(Set(f), classes), 1.0).P.shape == (F, d)  # type: ignore[arg-type]


def test_one_feature_is_refused() -> None:
    with pytest.raises(BadData, match="expected 2 features or more"):
        share(torch.ones(5, 1), 2, torch.ones(1, 1))


def test_an_awakened_dead_unit_lowers_the_share() -> None:
    train = torch.randn(100, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    train[:, 3] = 0
    x = train[:1].clone()
    awake = x.clone()
    awake[0, 3] = 5
    assert share(train, 3, awake) < share(train, 3, x)


def test_features_that_are_all_0_score_0() -> None:
    assert share(torch.zeros(9, 4), 3, torch.zeros(1, 4)).item() == 0


def test_scores_do_not_depend_on_the_unit_of_a_feature() -> None:
    f = torch.randn(100, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = torch.tensor([1.0, 100.0, 0.01, -3.0, 7.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(share(f, 4, f[:9]), share(f * unit + 5, 4, f[:9] * unit + 5))
