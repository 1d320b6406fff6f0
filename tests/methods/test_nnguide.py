"""nnguide against a loop over its bank, and which inputs are in it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods.nnguide import NearestNeighbourGuidance
from scipy.special import logsumexp
from torch import Tensor

from oodbench import banks
from oodbench.contract import FEATURES, LOGITS


def by_loops(f: np.ndarray, z: np.ndarray, bank_f: np.ndarray, bank_z: np.ndarray, k: int) -> list[float]:
    bank = [row / np.sqrt(sum(row**2)) * logsumexp(logits) for row, logits in zip(bank_f, bank_z, strict=True)]
    scores = []
    for row, logits in zip(f, z, strict=True):
        u = row / np.sqrt(sum(row**2))
        scores.append(logsumexp(logits) * np.mean(sorted(sum(u * b) for b in bank)[-k:]))
    return scores


@pytest.mark.parametrize(("alpha", "k"), [(1.0, 10), (1.0, 200), (0.3, 4), (0.01, 10)])
def test_score_by_loops(lab, alpha: float, k: int) -> None:
    train, test = lab.all(lab.train[0]), lab.all(lab.test)
    rows = banks.drawn(90, max(k, round(alpha * 90)), lab.seed).numpy()
    expected = by_loops(
        test[FEATURES].numpy(), test[LOGITS].numpy(), train[FEATURES].numpy()[rows], train[LOGITS].numpy()[rows], k
    )
    np.testing.assert_allclose(lab.score(NearestNeighbourGuidance(alpha, k), lab.test), expected, rtol=1e-9)


def outputs(f: Tensor) -> SimpleNamespace:
    class Train(SimpleNamespace):
        def __len__(self) -> int:
            return len(f)

    return Train(features=f, logits=f)


def test_the_bank_of_a_sorted_training_set_has_every_class() -> None:
    """The first 1 % of it is one class: a bank of these would know nothing of the other nine."""
    f = torch.eye(10).repeat_interleave(500, dim=0)
    guides = NearestNeighbourGuidance(0.01, k=10).fit(SimpleNamespace(train=outputs(f), seed=0)).b
    assert guides.shape == (50, 10)
    assert (guides.sum(dim=0) > 0).sum() >= 8
    other = NearestNeighbourGuidance(0.01, k=10).fit(SimpleNamespace(train=outputs(f), seed=1)).b
    assert not torch.equal(guides, other)


def test_features_of_zeros_are_finite() -> None:
    detector = NearestNeighbourGuidance(1.0, k=3)
    state = detector.fit(SimpleNamespace(train=outputs(torch.rand(9, 4)), seed=0))
    assert detector.score(state, outputs(torch.zeros(2, 4))).tolist() == [0.0, 0.0]
