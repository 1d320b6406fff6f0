"""g-odin: the quotient by loops, weights that do not decay, and a step that is chosen without outliers."""

import math
from dataclasses import replace

import pytest
import torch
from oodbench.methods.g_odin import COSINES, METHODS, STEPS, GOdin, Quotient, Step, SteppedCosine, largest_cosine
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.check.trial import Trial
from oodbench.contract import LOGITS
from oodbench.models.outputs import Access, ModelOutputs
from oodbench.models.train import start
from oodbench.training import TrainBatch

STEPPED, STILL = METHODS
RECIPE = GOdin().sized("tiny", TRAINING)
IMAGES = blobs(96, 0)
X, LABELS = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quotient() -> tuple[Quotient, nn.Linear]:
    top, head = Quotient(), nn.Linear(5, 4)
    with torch.no_grad():
        head.weight.copy_(randn(4, 5, seed=1))
        head.bias.copy_(randn(4, seed=2))
        top.bn.running_mean.fill_(0.3)
        top.bn.running_var.fill_(2.0)
        top.bn.weight.fill_(1.5)
        top.bn.bias.fill_(-0.7)
    return top.eval(), head


def test_logits_are_cosines_over_the_divisor_by_loops() -> None:
    top, head = quotient()
    f = randn(6, 5, seed=3)
    with torch.no_grad():
        got = top(f, head)
    W, b = head.weight.tolist(), head.bias.tolist()

    def dot(a: list[float], c: list[float]) -> float:
        return sum(u * v for u, v in zip(a, c, strict=True))

    for i, row in enumerate(f.tolist()):
        t = (dot(W[3], row) + b[3] - 0.3) / math.sqrt(2.0 + 1e-5) * 1.5 - 0.7
        g = 1 / (1 + math.exp(-t))
        for c in range(3):
            h = dot(W[c], row) / math.sqrt(dot(W[c], W[c]) * dot(row, row))
            assert got[COSINES][i, c].item() == pytest.approx(h, abs=1e-6)
            assert got[LOGITS][i, c].item() == pytest.approx(h / g, rel=1e-4, abs=1e-6)


def test_a_batch_of_one_trains_by_the_running_statistics() -> None:
    top, head = quotient()
    f = randn(1, 5, seed=3)
    with torch.no_grad():
        torch.testing.assert_close(top.train()(f, head)[LOGITS], top.eval()(f, head)[LOGITS])


def test_features_of_0_have_cosines_of_0() -> None:
    top, head = quotient()
    with torch.no_grad():
        assert (top(torch.zeros(2, 5), head)[COSINES] == 0).all()


def test_the_cosine_weights_do_not_decay_and_all_others_do() -> None:
    """Weights under a loss that is flat in them: only decay moves them, and w it does not."""
    how = replace(TRAINING, weight_decay=0.01, lr=0.1)
    recipe = GOdin(training=how)
    net = start(recipe, IN_SET, LABELS, 0).net
    before = net.body.head.weight.detach().clone()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    batch = TrainBatch(X, LABELS, torch.arange(96), 0, 0.0)
    for _ in range(3):
        optimiser.zero_grad()
        loss = recipe.loss(net, batch)
        (loss - cross_entropy(net(X), LABELS)).backward()  # the cross-entropy's own slope is taken out
        optimiser.step()
    moved = net.body.head.weight.detach()
    torch.testing.assert_close(moved[:3], before[:3], rtol=0, atol=1e-7)
    assert (moved[3].norm() < 0.999 * before[3].norm()).all()


def test_the_loss_is_cross_entropy_less_the_decay() -> None:
    net = start(RECIPE, IN_SET, LABELS, 0).net.eval()
    w = net.body.head.weight[:3]
    expected = cross_entropy(net(X), LABELS) - 0.5 * TRAINING.weight_decay * w.square().sum()
    assert RECIPE.loss(net, TrainBatch(X, LABELS, torch.arange(96), 0, 0.0)).item() == pytest.approx(expected.item())


def outputs(rows: slice = slice(None)) -> ModelOutputs:
    world = toy(GOdin())
    return ModelOutputs(world.model, world.examples["test"].x[rows], Access(SteppedCosine().reads))


def test_the_score_is_the_largest_cosine_after_a_step_towards_it() -> None:
    net, x = toy(GOdin()).model.net, toy(GOdin()).examples["test"].x[:4]
    got = SteppedCosine().score(Step(0.02), outputs(slice(4)))
    for i in range(4):
        one = x[i : i + 1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net.answers(one)[COSINES].max(), one)
        with torch.no_grad():
            after = net.answers(one + 0.02 * slope.sign())[COSINES].max()
        assert got[i].item() == pytest.approx(after.item(), abs=1e-5)
    assert SteppedCosine().score(Step(1e-3), outputs()).mean() > largest_cosine(outputs()).mean()


def test_without_a_step_it_is_the_other_row() -> None:
    assert torch.equal(SteppedCosine().score(Step(0.0), outputs()), STILL.detector.score((), outputs()))


def test_the_step_is_the_one_that_raises_validation_scores_most() -> None:
    trial = Trial(STEPPED)
    world = toy(GOdin())
    x = world.examples["validation"].x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(world.model.net.answers(x)[COSINES].amax(dim=1).sum(), x)
    with torch.no_grad():
        means = [world.model.net.answers(x + eps * slope.sign())[COSINES].amax(dim=1).mean().item() for eps in STEPS]
    assert trial.fitted.state.eps == STEPS[means.index(max(means))]
    assert max(means) > means[0]
    least = trial.fit(replace(STEPPED.detector, steps=(0.01, 1e-9)))
    assert least.eps == 0.01
