"""confbranch: hints and their price by loops, the budget, and training that resumes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from given import Given
from oodbench.methods import confbranch as module
from oodbench.methods.confbranch import CONFIDENCE, METHODS, ConfidenceBranch, hinted
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, LOGITS
from oodbench.models.train import start
from oodbench.training import TrainBatch

(METHOD,) = METHODS
RECIPE = ConfidenceBranch().sized("tiny", replace(TRAINING, epochs=4))
IMAGES = blobs(96, 0)
X, LABELS = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)
BATCH = TrainBatch(X, LABELS, torch.arange(96), 0, 0.0)


def drawn(n: int = 20, classes: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    z, t = 3 * torch.randn(n, classes, generator=chance), 2 * torch.randn(n, generator=chance)
    return z, t, torch.arange(n) % classes, torch.rand(n, generator=chance) < 0.5


def model(recipe: ConfidenceBranch = RECIPE) -> nn.Module:
    return start(recipe, IN_SET, LABELS, 0).net


def test_half_are_helped_towards_the_answer_and_all_pay() -> None:
    z, t, labels, hint = drawn()
    task = price = 0.0
    for row, log_odds, y, helped in zip(z.tolist(), t.tolist(), labels.tolist(), hint.tolist(), strict=True):
        total = sum(math.exp(v) for v in row)
        p, c = math.exp(row[y]) / total, 1 / (1 + math.exp(-log_odds))
        task += -math.log(c * p + 1 - c) if helped else -math.log(p)
        price += -math.log(c)
    got = hinted(z, t, labels, hint)
    assert [value.item() for value in got] == pytest.approx([task / 20, price / 20], rel=1e-5)


def test_certainty_and_despair_are_finite() -> None:
    z = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    t = torch.tensor([150.0, -150.0], requires_grad=True)
    task, price = hinted(z, t, torch.tensor([1, 0]), torch.ones(2, dtype=torch.bool))
    assert task.item() == pytest.approx(150 / 2)  # log(c p + 1 - c): -150 of the sure one, 0 of the one that asks
    assert price.item() == pytest.approx(150 / 2)
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(task + price, (z, t)))


@pytest.mark.parametrize(("beta", "factor"), [(1e-9, 1 / 0.99), (1e9, 1 / 1.01)])
def test_hints_become_dearer_while_the_budget_is_overspent(beta: float, factor: float) -> None:
    recipe = replace(RECIPE, beta=beta)
    net = model(recipe)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        recipe.loss(net, BATCH)
        assert float(net.top.lam) == pytest.approx(0.1 * factor)
        recipe.loss(net, BATCH)
    assert float(net.top.lam) == pytest.approx(0.1 * factor**2)


def test_the_loss_is_made_of_both_at_the_price_before_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def watched(z: Tensor, t: Tensor, labels: Tensor, hint: Tensor) -> Any:
        seen.append(hint)
        return hinted(z, t, labels, hint)

    monkeypatch.setattr(module, "hinted", watched)
    net = model().eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = RECIPE.loss(net, BATCH)
    assert 0.3 < seen[0].float().mean() < 0.7
    answers = net.answers(X)
    task, price = hinted(answers[LOGITS], answers[CONFIDENCE], LABELS, seen[0])
    assert loss.item() == pytest.approx((task + 0.1 * price).item(), rel=1e-6)


def test_branch_and_logits_are_rows_of_one_layer() -> None:
    net = model().eval()
    with torch.no_grad():
        given = net.outputs(X, RECIPE.provides)
        both = given[FEATURES] @ net.body.head.weight.T + net.body.head.bias
    torch.testing.assert_close(given[LOGITS], both[:, :3])
    torch.testing.assert_close(given[CONFIDENCE], both[:, 3])
    assert torch.equal(METHOD.detector.score((), Given(given)), given[CONFIDENCE])


def test_killed_and_resumed_it_ends_with_the_same_price(killed_and_resumed: Any) -> None:
    resumed, whole = killed_and_resumed(RECIPE, IMAGES, IN_SET)
    assert {name: tensor.numpy().tobytes() for name, tensor in resumed.items()} == {
        name: tensor.numpy().tobytes() for name, tensor in whole.items()
    }
    assert whole["top.lam"] != pytest.approx(0.1)
