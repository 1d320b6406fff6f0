"""The toy: cheap, repeatable, and a home for methods that bring their own recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from oodbench.check.conformance import checks_of
from oodbench.check.toy import SIDE, blends, blobs, noise, toy
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.spaces import Images, Shape
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone

PAPER = Citation(authors="Nobody", title="Nothing", year=2000, url="https://example.org")


def test_the_network_has_591_parameters() -> None:
    net = classifier("toy-cnn", InSet(Images((1, SIDE, SIDE), (0.0,), (1.0,)), 3))
    assert sum(weight.numel() for weight in net.parameters()) == 591


def test_images_are_a_function_of_the_seed() -> None:
    for make in (blobs, blends, noise):
        assert make(30, 0).sha256() == make(30, 0).sha256() != make(30, 1).sha256()
        assert make(30, 0).batch(slice(None)).shape == (30, 1, SIDE, SIDE)


def test_the_classifier_knows_its_blobs_and_not_those_that_were_made_to_fool_it() -> None:
    examples = toy(Plain()).examples
    test, attacked = examples["test"], examples["adversarial_validation"]
    assert (test.outputs[LOGITS].argmax(1) == test.y).float().mean() > 0.95
    assert len(attacked.x) > 30
    assert (attacked.outputs[LOGITS].argmax(1) != attacked.y).all()


def test_equal_recipes_share_one_training() -> None:
    assert toy(Plain()) is toy(Plain(training=Plain().training))


@dataclass(frozen=True)
class Density(Defaults):
    """A recipe whose model is no classifier: log p(x) of independent Bernoulli pixels."""

    training: Training = Training(network="none", epochs=1)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({FEATURES})

    def sized(self, scale: Scale, training: Training) -> "Density":
        return replace(self, training=replace(training, lr=1.0))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        net = Pixels(in_set.images.shape)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        return -net(batch.inputs).mean()


class Pixels(nn.Module):
    passes = 1
    entries: ClassVar[frozenset[Output]] = frozenset()
    constants: ClassVar[Mapping[Output, Any]] = {}

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        logits = self.logits.expand_as(x)
        return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3))

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        return {FEATURES: self(x)[:, None]}


@dataclass(frozen=True)
class LogDensity:
    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Tensor:
        return batch.features[:, 0]


@dataclass(frozen=True)
class OnOutliers(Density):
    wants: ClassVar[frozenset[Material]] = frozenset({"outliers"})


def test_a_method_with_its_own_recipe_is_trained_and_checked_on_the_toy() -> None:
    density = Method(name="density", title="A density", paper=PAPER, recipe=Density(), detector=LogDensity())
    verdicts = {check.law.name: check.run() for check in checks_of(density)}
    assert {name: v.why for name, v in verdicts.items() if v.status != "ok"} == {}
    assert len(toy(Density()).examples["adversarial_validation"].x) > 30  # crafted on the plain classifier


def test_a_recipe_that_wants_outliers_is_handed_them() -> None:
    method = Method(name="oe", title="Outliers", paper=PAPER, recipe=OnOutliers(), detector=LogDensity())
    assert {check.run().status for check in checks_of(method)} == {"ok"}
