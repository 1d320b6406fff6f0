"""oe-pixelcnn++: its loss by loops over pairs, where fine-tuning begins, and what it does to outliers."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from oodbench.methods.pixelcnn_oe import METHODS, OePixelCnn
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blends, blobs
from oodbench.contract import LOG_DENSITY
from oodbench.data.images import ArrayImages
from oodbench.data.matrix import load_matrices
from oodbench.errors import BadMethod
from oodbench.models.train import train
from oodbench.networks.pixelcnn import PixelCnnPlusPlus
from oodbench.report.reported import load_reported
from oodbench.training import TrainBatch

CPU = torch.device("cpu")
(ROW,) = METHODS
SHAPE, D = (3, 8, 8), 192


def levels(n: int, low: float, high: float, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    x = low + (high - low) * torch.rand(n, *SHAPE, generator=chance, dtype=torch.float64)
    return (255 * x).round() / 255


@pytest.fixture(scope="module")
def net() -> PixelCnnPlusPlus:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = PixelCnnPlusPlus(SHAPE, stages=1, blocks=1, filters=4, mixtures=2).double()
        net(levels(16, 0.3, 0.5))
    return net.eval()


def step(inputs: Tensor, outliers: Tensor | None) -> TrainBatch:
    n = len(inputs)
    return TrainBatch(inputs, torch.zeros(n, dtype=torch.int64), torch.arange(n), 0, 0.0, outliers)


def nll(net: nn.Module, x: Tensor) -> list[float]:
    """-log P of grey levels, from the density of which it is 256^-D."""
    with torch.no_grad():
        return [D * math.log(256) - float(value) for value in net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]]


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.5), (0.0, 1.0), (0.45, 0.46)])
def test_the_loss_is_the_papers_sum_over_pairs(net: PixelCnnPlusPlus, lam: float, low: float, high: float) -> None:
    inputs, outliers = levels(5, 0.3, 0.5), levels(5, low, high, seed=1)
    total = 0.0
    for inside, outside in zip(nll(net, inputs), nll(net, outliers), strict=True):
        total += inside + lam * max(0, D + inside - outside)
    got = replace(OePixelCnn(), lam=lam).loss(net, step(inputs, outliers))
    assert got.item() == pytest.approx(total / 5 / (D * math.log(2)), rel=1e-5)


def test_the_margin_is_a_nat_a_dimension(net: PixelCnnPlusPlus) -> None:
    """Outliers as likely as the inputs cost D nats, outliers D nats less likely nothing."""
    x = levels(4, 0.3, 0.5)
    plain = sum(nll(net, x)) / 4
    loss = OePixelCnn().loss(net, step(x, x)).item() * D * math.log(2)
    assert loss - plain == pytest.approx(D, rel=1e-4)
    far = levels(4, 0.0, 1.0, seed=2)
    assert min(nll(net, far)) > max(nll(net, x)) + D
    assert OePixelCnn().loss(net, step(x, far)).item() * D * math.log(2) == pytest.approx(plain, rel=1e-5)


def test_the_gradient_pushes_outliers_away_until_the_margin(net: PixelCnnPlusPlus) -> None:
    x = levels(4, 0.3, 0.5)
    near = x.flip(3).requires_grad_()
    (slope,) = torch.autograd.grad(OePixelCnn().loss(net, step(x, near)), near)
    assert (slope.flatten(1).abs().sum(dim=1) > 0).all()
    far = levels(4, 0.0, 1.0, seed=2).requires_grad_()
    (slope,) = torch.autograd.grad(OePixelCnn().loss(net, step(x, far)), far)
    assert (slope == 0).all()


@pytest.mark.parametrize("outliers", [None, levels(3, 0, 1), levels(8, 0, 1)])
def test_a_step_without_pairs_is_told(net: PixelCnnPlusPlus, outliers: Tensor | None) -> None:
    with pytest.raises(BadMethod, match=r"got [038] outliers for 4 inputs; it takes pairs"):
        OePixelCnn().loss(net, step(levels(4, 0, 1), outliers))


# Fine-tuning.

RECIPE = OePixelCnn().sized("tiny", replace(TRAINING, epochs=4))
IMAGES, OUTLIERS = blobs(96, 0), blends(70, 1)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    return train(RECIPE.plain, IMAGES, IN_SET, 3, device=CPU)


def tuned(recipe: Any, plain: nn.Module) -> nn.Module:
    return train(recipe, IMAGES, IN_SET, 3, device=CPU, outliers=OUTLIERS, parts=[plain])


def test_it_begins_with_the_bits_of_the_plain_model_of_its_seed(plain: nn.Module) -> None:
    assert RECIPE.parts(3, (0, 3)) == ((RECIPE.plain, 3),)
    before = bits(plain)
    untouched = replace(RECIPE, training=replace(RECIPE.training, epochs=0))
    assert bits(tuned(untouched, plain)) == before
    assert bits(tuned(RECIPE, plain)) != before
    assert bits(plain) == before, "the part stays as it is"


def test_the_first_batch_does_not_initialise_again(plain: nn.Module) -> None:
    """A rate of next to nothing moves next to nothing: a second initialisation would."""
    still = replace(RECIPE, training=replace(RECIPE.training, lr=1e-9))
    before, after = dict(plain.named_parameters()), dict(tuned(still, plain).named_parameters())
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=1e-4, atol=1e-5)


def test_it_widens_the_gap_between_inputs_and_outliers(plain: nn.Module) -> None:
    """Images of less contrast, and less noise, are more likely than those that it was trained on: until it is told."""
    longer = replace(RECIPE, training=replace(RECIPE.training, epochs=20, lr=0.01, average=0.0))
    outliers, held_out = (ArrayImages(blobs(96, seed).pixels / 2) for seed in (5, 6))
    after = train(longer, IMAGES, IN_SET, 3, device=CPU, outliers=outliers, parts=[plain])
    gaps = []
    for net in (plain, after):
        inside, outside = (torch.from_numpy(images.batch(slice(None))) for images in (blobs(60, 7), held_out))
        with torch.no_grad():
            gaps.append(float(net.log_mass(inside).mean() - net.log_mass(outside).mean()))
    assert gaps[0] < 0 < gaps[0] + 40 < gaps[1]


# Sizes.


@pytest.mark.parametrize("scale", ["paper", "cpu", "tiny"])
def test_it_takes_an_epoch_or_two_of_pairs_from_a_tenth_of_the_rate(scale: Any) -> None:
    how = load_matrices()["cifar10-v1"].training
    recipe = OePixelCnn().sized(scale, how)
    assert recipe.plain == OePixelCnn().plain.sized(scale, how)
    tuning, before = recipe.training, recipe.plain.training
    assert (tuning.epochs, tuning.outlier_ratio, tuning.augment) == ({"paper": 2, "cpu": 1, "tiny": 1}[scale], 1, ())
    assert tuning.lr == pytest.approx(before.lr / 10)
    assert (tuning.betas, tuning.batch, tuning.average) == (before.betas, before.batch, before.average)


def test_the_row() -> None:
    assert ROW.name == "oe-pixelcnn++"
    assert ROW.materials == {"outliers"} and ROW.tuning_access == "none"
    reported = {number.method for number in load_reported(Path(__file__).parents[2] / "results" / "reported")}
    assert {"pixelcnn++", "oe-pixelcnn++"} <= reported
