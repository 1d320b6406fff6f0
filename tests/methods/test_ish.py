"""ISH: the head's derivative is that of shaped features and nothing else moves; the score by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lab import Lab
from oodbench.methods.ish import METHODS, Ish, ScaledEnergy, logits_learning_from, shaped
from torch.nn.functional import cross_entropy

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, HEAD, Head
from oodbench.models.train import start
from oodbench.recipes import Plain
from oodbench.training import TrainBatch

RECIPE = Ish().sized("tiny", TRAINING)


def by_loops(f: list[float], q: float) -> tuple[list[float], float]:
    """The shaped features and e^r, a feature at a time."""
    k = max(1, len(f) - round(len(f) * q / 100))
    top = sorted(range(len(f)), key=lambda i: -f[i])[:k]
    total, kept = sum(max(v, 0) for v in f), sum(max(f[i], 0) for i in top)
    factor = math.exp(total / kept) if kept > 0 else math.e
    return [v * factor if i in top else 0.0 for i, v in enumerate(f)], factor


@pytest.mark.parametrize("q", [0.0, 65.0, 85.0, 100.0])
def test_features_are_pruned_and_scaled(q: float) -> None:
    f = torch.rand(5, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.2
    f[3] = 0
    torch.testing.assert_close(shaped(f, q), torch.tensor([by_loops(row, q)[0] for row in f.tolist()]).double())


def test_the_derivative_by_w_is_of_the_shaped_features_and_every_other_is_ordinary() -> None:
    chance = torch.Generator().manual_seed(1)
    f, y = torch.rand(6, 10, generator=chance, dtype=torch.float64), torch.arange(6) % 4
    W, b = (torch.randn(*shape, generator=chance, dtype=torch.float64) for shape in ((4, 10), (4,)))
    got, usual = ([t.clone().requires_grad_() for t in (f, W, b)] for _ in range(2))
    z = logits_learning_from(shaped(got[0], 85.0), got[0], Head(got[1], got[2]))
    plain = usual[0] @ usual[1].T + usual[2]
    torch.testing.assert_close(z, plain, rtol=1e-12, atol=0)
    for logits in (z, plain):
        cross_entropy(logits, y).backward()
    for place in (0, 2):
        torch.testing.assert_close(got[place].grad, usual[place].grad)
    p = plain.detach().softmax(dim=1).tolist()
    expected = np.zeros((4, 10))
    for i, row in enumerate(f.tolist()):
        a, _ = by_loops(row, 85.0)
        for c in range(4):
            expected[c] += (p[i][c] - (c == int(y[i]))) * np.array(a) / 6
    np.testing.assert_allclose(got[1].grad, expected, rtol=1e-9)
    assert not np.allclose(got[1].grad, usual[1].grad)


def test_the_loss_is_the_plain_one_and_its_derivative_reaches_every_layer() -> None:
    net: Any = start(RECIPE, IN_SET, torch.zeros(0), 0).net
    x, y = torch.from_numpy(blobs(12, 0).batch(slice(None))), torch.arange(12) % 3
    loss = RECIPE.loss(net, TrainBatch(x, y, torch.arange(12), 0, 0.0))
    assert loss.item() == pytest.approx(cross_entropy(net(x), y).item(), rel=1e-6)
    loss.backward()
    ours = {name: weight.grad.clone() for name, weight in net.named_parameters()}
    net.zero_grad()
    Plain(TRAINING).loss(net, TrainBatch(x, y, torch.arange(12), 0, 0.0)).backward()
    for name, weight in net.named_parameters():
        same = torch.allclose(weight.grad, ours[name], rtol=1e-4, atol=1e-6)
        assert same == (name != "head.weight"), name


def test_the_score_is_the_energy_of_scaled_features(lab: Lab) -> None:
    detector = ScaledEnergy(q=60.0)
    given = lab.all(lab.test)
    W, b = (t.detach().numpy() for t in lab.net.constants[HEAD])
    expected = []
    for f in given[FEATURES].tolist():
        _, factor = by_loops(f, 60.0)
        expected.append(math.log(sum(math.exp(v) for v in W @ (np.array(f) * factor) + b)))
    np.testing.assert_allclose(lab.score(detector, lab.test), expected, rtol=1e-9)


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["ish", "ish-energy"]
    assert METHODS[0].recipe == METHODS[1].recipe
    assert METHODS[0].detector.q == METHODS[0].recipe.q == 85.0
    assert RECIPE.parts(3, (0, 3)) == ((Plain(TRAINING), 3),)
    paper = Ish().sized("paper", replace(TRAINING, epochs=100, lr=0.1)).training
    assert (paper.epochs, paper.schedule) == (10, "cosine") and paper.lr == pytest.approx(0.003)
