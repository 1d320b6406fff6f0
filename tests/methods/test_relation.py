"""relation against a loop over all pairs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods import relation
from oodbench.methods.relation import Graph, Relation
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


@pytest.mark.parametrize(("t", "threshold"), [(1, 0.03), (4, 0.03), (2, 0.4)])
@pytest.mark.parametrize("block", [7, 2048])
def test_score_by_loops(lab, monkeypatch, t: int, threshold: float, block: int) -> None:
    monkeypatch.setattr(relation, "ROWS", block)
    train, test = lab.all(lab.train[0]), lab.all(lab.test)
    expected, edges = [], 0
    for f, z in zip(test[FEATURES].numpy(), test[LOGITS].numpy(), strict=True):
        total = 0.0
        for g, v in zip(train[FEATURES].numpy(), train[LOGITS].numpy(), strict=True):
            cosine = sum(f * g) / np.sqrt(sum(f * f) * sum(g * g))
            k = max(0.0, cosine) * sum(softmax(z) * softmax(v))
            total += k**t if k > threshold else 0
            edges += k > threshold
        expected.append(total)
    assert 0 < edges < 15 * 90
    np.testing.assert_allclose(lab.score(Relation(t, threshold), lab.test), expected, rtol=1e-6)


def outputs(f: Tensor, z: Tensor) -> SimpleNamespace:
    class Train(SimpleNamespace):
        def __len__(self) -> int:
            return len(f)

    return Train(features=f, logits=z)


def test_opposite_and_dead_features_have_no_relation() -> None:
    state = Graph(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    test = outputs(torch.tensor([[-2.0, 0.0], [0.0, 0.0], [0.5, 0.0]]), torch.tensor([[50.0, 0.0]] * 3))
    assert Relation().score(state, test).tolist() == [0.0, 0.0, 1.0]


def test_a_large_training_set_is_drawn_from_at_random() -> None:
    f, data_seed = torch.eye(10).repeat_interleave(20, dim=0), 3
    state = Relation(most=30).fit(SimpleNamespace(train=outputs(f, f), seed=data_seed))
    assert state.u.shape == (30, 10)
    assert (state.u.sum(dim=0) > 0).sum() > 5
