"""fdbd against a loop over classes, and heads and features at the edges."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods.fdbd import BoundaryDistance
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS, Head
from oodbench.errors import BadData


def by_loops(W: np.ndarray, f: np.ndarray, z: np.ndarray, mu: np.ndarray) -> list[float]:
    scores = []
    for row, logits in zip(f, z, strict=True):
        y = int(np.argmax(logits))
        ways = [
            (logits[y] - logits[c]) / np.sqrt(((W[y] - W[c]) ** 2).sum())
            for c in range(len(W))
            if c != y and (W[y] != W[c]).any()
        ]
        scores.append(sum(ways) / len(ways) / np.sqrt(((row - mu) ** 2).sum()))
    return scores


def outputs(f: Tensor, head: Head) -> SimpleNamespace:
    return SimpleNamespace(features=f, logits=f @ head.weight.T + head.bias, head=head)


def scores(train: Tensor, test: Tensor, head: Head) -> Tensor:
    state = BoundaryDistance().fit(SimpleNamespace(train=outputs(train, head)))
    return BoundaryDistance().score(state, outputs(test, head))


def drawn(n: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_score_by_loops(lab) -> None:
    train, test = lab.all(lab.train[0]), lab.all(lab.test)
    mu = train[FEATURES].numpy().mean(axis=0)
    expected = by_loops(lab.net.head.weight.detach().numpy(), test[FEATURES].numpy(), test[LOGITS].numpy(), mu)
    np.testing.assert_allclose(lab.score(BoundaryDistance(), lab.test), expected, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 1000])
def test_two_and_a_thousand_classes(classes: int) -> None:
    head = Head(drawn(classes, 7, seed=1), drawn(classes, 1, seed=2)[:, 0])
    train, test = drawn(40, 7), drawn(5, 7, seed=3)
    expected = by_loops(head.weight.numpy(), test.numpy(), outputs(test, head).logits.numpy(), train.numpy().mean(0))
    np.testing.assert_allclose(scores(train, test, head), expected, rtol=1e-6)


def test_equal_rows_of_the_head_have_no_boundary_and_do_not_count() -> None:
    W, b = drawn(5, 7, seed=1), drawn(5, 1, seed=2)[:, 0]
    W[3] = W[1]
    head, train, test = Head(W, b), drawn(40, 7), drawn(60, 7, seed=3)
    z = outputs(test, head).logits
    assert (z.argmax(dim=1) == 1).any() or (z.argmax(dim=1) == 3).any()
    expected = by_loops(W.numpy(), test.numpy(), z.numpy(), train.numpy().mean(0))
    np.testing.assert_allclose(scores(train, test, head), expected, rtol=1e-6)


def test_a_head_without_any_boundary_is_refused() -> None:
    with pytest.raises(BadData, match="all 3 rows of the head's weight are equal"):
        scores(drawn(4, 2), drawn(4, 2), Head(torch.ones(3, 2).double(), torch.arange(3.0).double()))


def test_at_the_training_mean_the_score_is_finite_and_highest() -> None:
    head, train = Head(drawn(3, 4, seed=1), torch.zeros(3).double()), drawn(50, 4)
    at_mean = scores(train, torch.cat([train.mean(dim=0, keepdim=True), train]), head)
    assert at_mean.isfinite().all()
    assert at_mean.argmax() == 0


def test_dead_features_are_finite() -> None:
    head = Head(drawn(3, 4, seed=1), torch.arange(3.0).double())
    assert scores(torch.zeros(9, 4).double(), torch.zeros(2, 4).double(), head).isfinite().all()
