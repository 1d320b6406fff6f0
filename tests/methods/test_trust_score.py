"""trust-score against loops over classes and training features."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods import trust_score
from oodbench.methods.trust_score import Dense, TrustScore
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS
from oodbench.errors import BadData


def dense_by_loops(own: np.ndarray, alpha: float, k: int) -> list[np.ndarray]:
    """Return the features but for the share alpha whose k-th nearest, themselves counted, is farthest."""
    radius = [sorted(float(np.sqrt(((a - b) ** 2).sum())) for b in own)[k - 1] for a in own]
    limit = np.percentile(radius, 100 * (1 - alpha))
    return [a for a, r in zip(own, radius, strict=True) if r <= limit + 1e-12]


@pytest.mark.parametrize(("alpha", "k"), [(0.0, 10), (0.0625, 10), (0.25, 3), (0.5, 30)])
@pytest.mark.parametrize("entries", [1, 2**22])
def test_score_by_loops(lab, monkeypatch, alpha: float, k: int, entries: int) -> None:
    monkeypatch.setattr(trust_score, "ENTRIES", entries)
    train, test, labels = lab.all(lab.train[0])[FEATURES].numpy(), lab.all(lab.test), lab.train[1].numpy()
    kept = [dense_by_loops(train[labels == c], alpha, k) for c in range(3)]
    assert sum(map(len, kept)) == pytest.approx(90 * (1 - alpha), abs=4)
    expected = []
    for f, z in zip(test[FEATURES].numpy(), test[LOGITS].numpy(), strict=True):
        y = int(np.argmax(z))
        d = [min(float(np.sqrt(((f - h) ** 2).sum())) for h in own) for own in kept]
        r = min(d[c] for c in range(3) if c != y) / d[y]
        expected.append((r - 1) / (r + 1))
    np.testing.assert_allclose(lab.score(TrustScore(alpha, k), lab.test), expected, rtol=1e-6, atol=1e-7)


def outputs(f: Tensor, z: Tensor) -> SimpleNamespace:
    return SimpleNamespace(features=f, logits=z)


LINE = Dense(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([2, 0, 1]))
"""Class 0 at 0 and 1, class 2 at 4, class 1 nowhere."""


def test_by_hand() -> None:
    """At 2 class 0 is 1 away, class 2 is 2 away: r is 2 or 1/2. Class 1 has no training input: trusted least."""
    z = torch.tensor([[3.0, 1.0, 2.0], [2.0, 1.0, 3.0], [1.0, 3.0, 2.0]])
    got = TrustScore().score(LINE, outputs(torch.full((3, 1), 2.0), z))
    assert got.tolist() == pytest.approx([1 / 3, -1 / 3, -1.0])


def test_a_training_feature_of_the_predicted_class_is_trusted_most_and_of_another_least() -> None:
    z = torch.tensor([[3.0, 1.0, 2.0], [2.0, 1.0, 3.0]])
    assert TrustScore().score(LINE, outputs(torch.ones(2, 1), z)).tolist() == [1.0, -1.0]


def test_two_classes_that_share_a_feature_are_as_near_as_each_other() -> None:
    state = Dense(torch.tensor([[1.0], [1.0]]), torch.tensor([1, 1]))
    got = TrustScore().score(state, outputs(torch.tensor([[1.0], [5.0]]), torch.tensor([[1.0, 0.0]] * 2)))
    assert got.tolist() == [0.0, 0.0]


def test_the_least_dense_of_each_class_are_dropped() -> None:
    """Ten in a heap and one outlier, and a class of one image, which is kept."""
    f = torch.cat([0.01 * torch.arange(10.0), torch.tensor([100.0, 7.0])])[:, None]
    train = SimpleNamespace(features=f, logits=torch.zeros(12, 4), labels=torch.tensor([2] * 11 + [0]))
    state = TrustScore(alpha=0.1, k=2).fit(SimpleNamespace(train=train, seed=0))
    assert state.sizes.tolist() == [1, 0, 10, 0]
    assert state.f.max() == 7


def test_one_class_is_refused() -> None:
    train = SimpleNamespace(features=torch.rand(5, 2), logits=torch.zeros(5, 3), labels=torch.ones(5, dtype=torch.long))
    with pytest.raises(BadData, match="training images are of 1 class"):
        TrustScore().fit(SimpleNamespace(train=train, seed=0))


def test_a_large_training_set_is_drawn_from_at_random() -> None:
    labels = torch.arange(100) // 10
    train = SimpleNamespace(features=torch.rand(100, 2), logits=torch.zeros(100, 10), labels=labels)
    state = TrustScore(alpha=0.0, most=60).fit(SimpleNamespace(train=train, seed=0))
    assert len(state.f) == 30
    assert (state.sizes > 0).sum() > 5
