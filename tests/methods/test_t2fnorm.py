"""t2fnorm: two ways through one head, by loops; which of them trains, classifies and scores."""

import math

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.t2fnorm import FREE, METHODS, Normalised, T2FNorm
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, LOGITS
from oodbench.models.train import start
from oodbench.training import TrainBatch

(METHOD,) = METHODS
RECIPE = T2FNorm().sized("tiny", TRAINING)
IMAGES = blobs(9, 0)
X, LABELS = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)


def heads() -> tuple[Tensor, nn.Linear]:
    chance = torch.Generator().manual_seed(0)
    head = nn.Linear(5, 3).double()
    with torch.no_grad():
        head.weight.copy_(torch.randn(3, 5, generator=chance))
        head.bias.copy_(torch.randn(3, generator=chance))
    return torch.randn(8, 5, generator=chance, dtype=torch.float64), head


def test_both_ways_through_the_head_by_loops() -> None:
    f, head = heads()
    with torch.no_grad():
        got = Normalised(0.1)(f, head)
    W, b = head.weight.tolist(), head.bias.tolist()
    for i, row in enumerate(f.tolist()):
        norm = math.sqrt(sum(v * v for v in row))
        for c in range(3):
            product = sum(w * v for w, v in zip(W[c], row, strict=True))
            assert got[LOGITS][i, c].item() == pytest.approx(product / (0.1 * norm) + b[c], rel=1e-9)
            assert got[FREE][i, c].item() == pytest.approx(product / 0.1 + b[c], rel=1e-9)


def test_length_moves_the_score_and_not_the_class() -> None:
    f, head = heads()
    with torch.no_grad():
        once, twice = (Normalised(0.1)(length * f, head) for length in (1, 2))
    torch.testing.assert_close(once[LOGITS], twice[LOGITS])
    s, longer = (METHOD.detector.score((), Given(one)) for one in (once, twice))
    assert (s != longer).all()


def test_features_of_0_are_defined() -> None:
    _, head = heads()
    f = torch.zeros(2, 5, dtype=torch.float64)
    with torch.no_grad():
        made = Normalised(0.1)(f, head)
    assert torch.equal(made[LOGITS], head.bias.expand(2, 3))
    assert torch.equal(made[FREE], made[LOGITS])


def test_training_is_cross_entropy_of_the_normalised() -> None:
    net = start(RECIPE, IN_SET, LABELS, 0).net.eval()
    given = net.outputs(X, RECIPE.provides)
    loss = RECIPE.loss(net, TrainBatch(X, LABELS, torch.arange(9), 0, 0.0))
    assert loss.item() == pytest.approx(cross_entropy(given[LOGITS], LABELS).item(), rel=1e-6)
    f = given[FEATURES].double()
    assert torch.allclose(given[FREE].double(), f / 0.1 @ net.body.head.weight.double().T + net.body.head.bias.double())
    assert not torch.allclose(given[FREE], given[LOGITS])


def test_the_score_ranks_as_the_softmax_of_the_free_logits() -> None:
    u = 4 * torch.randn(30, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    s = METHOD.detector.score((), Given({FREE: u, LOGITS: -u}))
    p = u.softmax(dim=1).amax(dim=1).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-s.numpy())), p, rtol=1e-9)
