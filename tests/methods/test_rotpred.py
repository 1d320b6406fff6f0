"""rotpred: turned images by their pixels, the loss and the score by loops, and images that cannot be turned."""

import math
from dataclasses import replace

import pytest
import torch
from oodbench.methods.rotpred import METHODS, ROTATION, RotPred, turned
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.contract import FEATURES, LOGITS
from oodbench.errors import BadSetting
from oodbench.models.outputs import Access, ModelOutputs
from oodbench.models.train import start
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch

(METHOD,) = METHODS
RECIPE = RotPred().sized("tiny", TRAINING)
IMAGES = blobs(6, 0)
X, LABELS = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)


def log_softmax(row: list[float]) -> list[float]:
    total = math.log(sum(math.exp(v) for v in row))
    return [v - total for v in row]


def model() -> nn.Module:
    return start(RECIPE, IN_SET, LABELS, 0).net.eval()


def by_pixels(image: Tensor, r: int) -> Tensor:
    """Turn one image [c n n] r quarters against the clock, a pixel at a time."""
    n = image.shape[1]
    for _ in range(r):
        after = torch.empty_like(image)
        for i in range(n):
            for j in range(n):
                after[:, n - 1 - j, i] = image[:, i, j]
        image = after
    return image


@pytest.mark.parametrize("r", range(4))
def test_a_quarter_is_a_quarter(r: int) -> None:
    assert torch.equal(turned(X, r), torch.stack([by_pixels(x, r) for x in X]))


@pytest.mark.parametrize("kappa", [1.0, 0.5])
def test_the_loss_by_loops_in_one_pass(kappa: float) -> None:
    net = model()
    passes: list[int] = []
    net.body.trunk.register_forward_hook(lambda module, args, out: passes.append(len(args[0])))
    loss = replace(RECIPE, kappa=kappa).loss(net, TrainBatch(X, LABELS, torch.arange(6), 0, 0.0))
    assert passes == [24]
    classes = rotations = 0.0
    for x, y in zip(X, LABELS.tolist(), strict=True):
        for r in range(4):
            given = net.answers(by_pixels(x, r)[None])
            rotations -= log_softmax(given[ROTATION][0].tolist())[r] / 24
            classes -= log_softmax(given[LOGITS][0].tolist())[y] / 6 if r == 0 else 0
    assert loss.item() == pytest.approx(classes + kappa * rotations, rel=1e-5)


def test_the_score_by_loops() -> None:
    world = toy(RotPred())
    x = world.examples["test"].x[:5]
    got = METHOD.detector.score((), ModelOutputs(world.model, x, Access(METHOD.detector.reads)))
    net = world.model.net
    for i in range(5):
        z = net(x[i : i + 1])[0].double().tolist()
        kl = sum(1 / 3 * (math.log(1 / 3) - value) for value in log_softmax(z))
        turns = sum(
            -log_softmax(net.answers(by_pixels(x[i], r)[None])[ROTATION][0].double().tolist())[r] for r in range(4)
        )
        assert got[i].item() == pytest.approx(kl - turns / 4, rel=1e-5, abs=1e-6)


def test_it_costs_four_passes() -> None:
    world = toy(RotPred())
    before = world.model.passes.forward
    x = world.examples["test"].x[:5]
    METHOD.detector.score((), ModelOutputs(world.model, x, Access(METHOD.detector.reads)))
    assert world.model.passes.forward - before == 20


def test_both_answers_are_rows_of_one_layer() -> None:
    net = model()
    with torch.no_grad():
        given = net.outputs(X, RECIPE.provides)
        both = given[FEATURES] @ net.body.head.weight.T + net.body.head.bias
    assert both.shape == (6, 7)
    torch.testing.assert_close(given[LOGITS], both[:, :3])
    torch.testing.assert_close(given[ROTATION], both[:, 3:])


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(BadSetting, match=r"rotpred turns images by quarters.*\(8, 6\)"):
        start(RECIPE, InSet(Images((1, 8, 6), (0.5,), (0.25,)), 3), LABELS, 0)
