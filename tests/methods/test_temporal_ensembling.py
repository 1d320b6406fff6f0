"""Temporal ensembling: the loss of a naive loop, targets keyed by image, and the labels that may be seen."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from oodbench.methods.temporal_ensembling import METHODS, TemporalEnsembling, labelled
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.check.toy import CLASSES, IN_SET, blobs, toy
from oodbench.check.trial import Trial
from oodbench.contract import FEATURES, LOGITS
from oodbench.errors import BadData
from oodbench.estimators import fit_gaussians
from oodbench.models.outputs import to_store
from oodbench.models.train import labels_of, start, train
from oodbench.training import TrainBatch, Training

CPU = torch.device("cpu")
IMAGES = blobs(96, 0)
HOW = Training(
    network="toy-cnn", epochs=6, batch=32, optimiser="adam", lr=0.01, dropout=0.2, augment=("flip", "shift2")
)
RECIPE = TemporalEnsembling(training=HOW, per_class=10)
STILL = dataclasses.replace(RECIPE, noise=0.0, training=dataclasses.replace(HOW, dropout=0.0))


def step(index: Tensor, epoch: int) -> TrainBatch:
    x, y = torch.from_numpy(IMAGES.pixels), torch.from_numpy(IMAGES.labels)
    return TrainBatch(x[index], y[index], index, epoch, 0.0)


def model(recipe: TemporalEnsembling = STILL) -> nn.Module:
    return start(recipe, IN_SET, labels_of(IMAGES), 0).net


def test_loss_is_that_of_a_naive_loop_over_four_epochs() -> None:
    net = model()
    mask = net.labelled.tolist()
    Z = [[0.0] * CLASSES for _ in range(len(IMAGES))]
    labelled_share = sum(mask) / len(IMAGES)
    assert labelled_share == 30 / 96
    chance = torch.Generator().manual_seed(3)
    for t in range(4):
        rise = 80 / 300 * 6
        w = 0.0 if t == 0 else 100 * labelled_share * (math.exp(-5 * (1 - t / rise) ** 2) if t < rise else 1.0)
        net.head.weight.data += torch.randn(net.head.weight.shape, generator=chance)  # so that the predictions change
        for index in torch.split(torch.randperm(96, generator=chance), 36):  # the last batch is smaller
            batch = step(index, t)
            logits = net(batch.inputs).tolist()
            expected = 0.0
            for z, y, i in zip(logits, batch.labels.tolist(), index.tolist(), strict=True):
                total = sum(math.exp(v) for v in z)
                p = [math.exp(v) / total for v in z]
                if mask[i]:
                    expected += -math.log(p[y]) / len(index)
                for c in range(CLASSES):
                    if w:
                        expected += w * (p[c] - Z[i][c] / (1 - 0.6**t)) ** 2 / (len(index) * CLASSES)
                    Z[i][c] = 0.6 * Z[i][c] + 0.4 * p[c]
            assert STILL.loss(net, batch).item() == pytest.approx(expected, rel=1e-5)
        assert torch.allclose(net.Z, torch.tensor(Z), rtol=1e-5)


def test_weight_is_0_in_the_first_epoch_and_rises_to_its_share_of_labels() -> None:
    recipe = TemporalEnsembling(training=dataclasses.replace(HOW, epochs=300))
    assert recipe.weight(0, 0.2) == 0
    assert recipe.weight(40, 0.2) == pytest.approx(20 * math.exp(-5 / 4))
    assert recipe.weight(80, 0.2) == recipe.weight(299, 0.2) == pytest.approx(20)


def test_only_the_labels_of_the_mask_matter() -> None:
    net, other = model(), model()
    batch = step(torch.arange(96), 2)
    wrong = torch.where(net.labelled, batch.labels, (batch.labels + 1) % CLASSES)
    assert torch.equal(STILL.loss(net, batch), STILL.loss(other, dataclasses.replace(batch, labels=wrong)))
    assert not torch.equal(STILL.loss(net, batch), STILL.loss(net, dataclasses.replace(batch, labels=1 - wrong // 2)))


def test_loss_and_targets_are_float32_in_half_precision_too() -> None:
    net = model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = STILL.loss(net, step(torch.arange(96), 2))
    assert loss.dtype == net.Z.dtype == torch.float32
    assert torch.allclose(net.Z.sum(dim=1), torch.tensor(0.4), atol=1e-6)


def test_target_is_no_way_for_the_gradient() -> None:
    net = model()
    STILL.loss(net, step(torch.arange(96), 0))
    assert not net.Z.requires_grad
    weights = tuple(net.parameters())
    got = torch.autograd.grad(STILL.loss(net, step(torch.arange(96), 5)), weights)
    assert all(g.isfinite().all() for g in got)


def test_targets_are_keyed_by_image_and_survive_shuffling() -> None:
    nets = model().eval(), model().eval()
    for epoch in range(3):
        for net, batch_size in zip(nets, (32, 48), strict=True):
            order = torch.randperm(96, generator=torch.Generator().manual_seed(epoch + batch_size))
            for index in torch.split(order, batch_size):
                STILL.loss(net, step(index, epoch))
    assert torch.allclose(nets[0].Z, nets[1].Z, rtol=1e-5)
    p = nets[0](torch.from_numpy(IMAGES.pixels)).softmax(dim=1)
    assert torch.allclose(nets[0].Z / (1 - 0.6**3), p, atol=1e-6)  # of equal predictions the corrected mean is each


@pytest.mark.parametrize("after", [1, 4])
def test_killed_and_resumed_weights_and_targets_end_with_the_same_bits(tmp_path: Path, after: int) -> None:
    class Killed(Exception):
        pass

    def killer(text: str, done: int, total: int) -> None:
        if done == after + 1:
            raise Killed

    def trained(**more: Any) -> dict[str, bytes]:
        net = train(RECIPE, IMAGES, IN_SET, 0, device=CPU, **more)
        return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}

    resume = tmp_path / "resume.safetensors"
    with pytest.raises(Killed):
        trained(resume_from=resume, report=killer)
    resumed, whole = trained(resume_from=resume), trained()
    assert resumed == whole
    assert {"Z", "labelled"} <= whole.keys()
    assert any(whole["Z"])


def test_noise_has_its_deviation_after_standardisation() -> None:
    net = model()
    seen: list[Tensor] = []
    net.standardise.register_forward_hook(lambda module, args, out: seen.append(out.detach()))
    batch = step(torch.arange(96), 0)
    RECIPE.loss(net, batch)
    assert float((seen[0] - net.standardise(batch.inputs)).std()) == pytest.approx(0.15, rel=0.05)


def test_mask_has_exactly_so_many_of_each_class_and_depends_on_the_seed() -> None:
    labels = torch.randint(7, (3000,), generator=torch.Generator().manual_seed(0))
    mask = labelled(labels, 7, 100, seed=0)
    assert labels[mask].bincount().tolist() == [100] * 7
    assert torch.equal(mask, labelled(labels, 7, 100, seed=0))
    assert not torch.equal(mask, labelled(labels, 7, 100, seed=1))


def test_a_class_with_too_few_images_is_named() -> None:
    labels = torch.tensor([0] * 100 + [1] * 100 + [2] * 32)
    with pytest.raises(BadData, match="class 2 has 32 training images; training with few labels needs 100"):
        labelled(labels, 3, 100, 0)


def test_gaussians_are_of_the_images_whose_labels_training_saw() -> None:
    method = next(row for row in METHODS if row.name == "te-mahalanobis-a")
    world = toy(method.recipe)
    examples = world.examples["train"]
    mask = world.model.net.labelled
    assert examples.y[mask].bincount().tolist() == [100] * CLASSES
    expected = fit_gaussians(examples.outputs[FEATURES][mask], examples.y[mask], method.detector.rtol)
    trial = Trial(method)
    for got, want in zip(trial.fitted.state, expected, strict=True):
        assert torch.equal(got, want)
    f = world.examples["test"].outputs[FEATURES]
    nearest = [min(float(((x - mu) @ expected.root).square().sum()) for mu in expected.mu) for x in f.double()]
    assert torch.allclose(-trial.scores.double(), torch.tensor(nearest, dtype=torch.float64), rtol=1e-5)


def test_the_running_mean_is_not_shown() -> None:
    net = model().eval()
    given = net.outputs(torch.zeros(2, 1, 8, 8), to_store(RECIPE.provides))
    net.Z.fill_(torch.nan)
    net.labelled.fill_(False)
    again = net.outputs(torch.zeros(2, 1, 8, 8), to_store(RECIPE.provides))
    assert torch.equal(given[LOGITS], again[LOGITS])
    assert torch.equal(given[FEATURES], again[FEATURES])


def test_paper_and_small_scales() -> None:
    matrix = Training(network="wrn-28-10", epochs=200, augment=("flip", "crop4"), precision="bfloat16", lr=0.1)
    paper, cpu = (TemporalEnsembling().sized(scale, matrix) for scale in ("paper", "cpu"))
    assert (paper.training.epochs, paper.training.batch, paper.training.lr, paper.w_max) == (300, 100, 0.003, 100)
    assert paper.training.augment == ("flip", "shift2")
    assert (cpu.training.epochs, cpu.training.augment, cpu.w_max) == (200, ("flip", "crop4"), 10)
    assert paper.training.optimiser == cpu.training.optimiser == "adam"
    plain = TemporalEnsembling().sized("paper", dataclasses.replace(matrix, augment=()))
    assert plain.training.augment == ("shift2",)
    assert all(TemporalEnsembling(w_max=0.0).sized(scale, matrix).w_max == 0 for scale in ("paper", "cpu", "tiny"))


def test_labels_alone_train_as_temporal_ensembling_does_but_for_the_weight() -> None:
    rows = {row.name: row for row in METHODS}
    alone, ensembled = rows["few-labels-msp"], rows["te-msp"]
    assert dataclasses.replace(alone.recipe, w_max=100.0) == ensembled.recipe
    assert alone.detector == ensembled.detector
    torch.manual_seed(0)
    net, without = model(), model(dataclasses.replace(STILL, w_max=0.0))
    assert torch.equal(net.labelled, without.labelled)
    for epoch in (0, 5):
        batch = step(torch.arange(96), epoch)
        z = without(batch.inputs)
        expected = (without.labelled * cross_entropy(z, batch.labels, reduction="none")).mean()
        loss = dataclasses.replace(STILL, w_max=0.0).loss(without, batch)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        assert (loss.item() == pytest.approx(STILL.loss(net, batch).item(), rel=1e-6)) == (epoch == 0)
