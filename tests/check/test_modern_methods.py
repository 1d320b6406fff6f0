"""The contract carries methods of today: each a few lines that pass every check, beside a computation of its own.

They are thrown away here; what is proved is that features, maps and derivatives are there to be had, that the network
goes on from what is changed, and that a package may declare an output of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from oodbench.methods.ash import AshAtMap
from oodbench.methods.rankfeat import METHODS as RANKFEAT
from scipy.special import logsumexp
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from oodbench import formulas
from oodbench.check.conformance import checks_of
from oodbench.check.trial import Trial
from oodbench.contract import (
    FEATURE_MAP,
    FEATURES,
    HEAD,
    LAYERS,
    LOGITS,
    NETWORK,
    Citation,
    Detector,
    FitData,
    Material,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import Classifier
from oodbench.training import Defaults, Fit, InSet, Parts, Recipe, Scale, TrainBatch, Training, alone

PAPER = Citation(authors="Several", title="Several", year=None, url="https://example.org")
NOTHING: frozenset[Material] = frozenset()


class Wide(nn.Module):
    """One convolution with ReLU: a last feature map of 8 channels on 4x4 places."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (relu(self.conv(x)),)


@dataclass(frozen=True)
class Mapped(Defaults):
    """A classifier whose last feature map has places."""

    training: Training = Training(network="none", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, FEATURE_MAP, LAYERS, HEAD})
    wants: ClassVar[frozenset[Material]] = NOTHING

    def sized(self, scale: Scale, training: Training) -> "Mapped":
        return replace(self, training=replace(training, epochs=3 * training.epochs, lr=0.2))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        net = Classifier(Wide(), in_set.classes, in_set.images.mean, in_set.images.std)
        return Fit(net, alone(net, lambda batch: cross_entropy(net(batch.inputs), batch.labels)))


# ReAct (Sun 2021): energy of the logits of min(f, c), c the 90 % quantile of all training activations


class Clip(NamedTuple):
    c: float


@dataclass(frozen=True)
class ReAct:
    q: float = 0.9

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = NOTHING

    def fit(self, data: FitData) -> Clip:
        return Clip(float(data.train.features.quantile(self.q)))

    def score(self, state: Clip, batch: Outputs) -> Tensor:
        return formulas.energy(batch.at(replacing={FEATURES: batch.features.clamp(max=state.c)}).logits)


def react_by_loops(net: Any, x: Tensor, train: Tensor) -> list[float]:
    c = np.quantile(net.layers(train)[-1].numpy(), 0.9)
    w, b = net.head.weight.numpy().astype(float), net.head.bias.numpy().astype(float)
    return [logsumexp(w @ np.minimum(f, c) + b) for f in net.layers(x)[-1].numpy()]


# ASH-P at a convolution (Djurisic 2023): all but the largest entries of the map are 0


def ash_by_loops(net: Any, x: Tensor, train: Tensor) -> list[float]:
    w, b = net.head.weight.numpy().astype(float), net.head.bias.numpy().astype(float)
    scores = []
    for a in net.trunk(net.standardise(x))[-1].numpy():
        a = a.copy()
        threshold = np.sort(a.ravel())[round(0.65 * a.size)]
        a[a < threshold] = 0
        scores.append(logsumexp(w @ a.mean(axis=(1, 2)) + b))
    return scores


# RankFeat (Song 2022), of this repository: its laws on a network whose last map has places, as the toy's has not


def rankfeat_by_loops(net: Any, x: Tensor, train: Tensor) -> list[float]:
    w, b = net.head.weight.numpy().astype(float), net.head.bias.numpy().astype(float)
    scores = []
    for a in net.trunk(net.standardise(x))[-1].flatten(2).numpy().astype(float):
        values, vectors = np.linalg.eigh(a @ a.T)
        first = vectors[:, [values.argmax()]]
        scores.append(logsumexp(w @ (a - first @ (first.T @ a)).mean(axis=1) + b))
    return scores


# A map's derivative: how much the energy hangs on each place


def saliency(batch: Outputs) -> Tensor:
    slope = batch.grad(lambda outputs: formulas.energy(outputs.logits), by=FEATURE_MAP)
    return slope.flatten(1).abs().sum(dim=1)


def saliency_by_loops(net: Any, x: Tensor, train: Tensor) -> list[float]:
    w, p = net.head.weight.numpy().astype(float), net(x).double().softmax(dim=1).numpy()
    return [np.abs(row @ w).sum() for row in p]  # d energy / d map = W^T p / 16, at each of 16 places


def row(name: str, detector: Detector[Any], recipe: Recipe = Mapped()) -> Method:
    return Method(name=name, title=name, paper=PAPER, recipe=recipe, detector=detector)


MAP = frozenset({FEATURE_MAP, LOGITS, NETWORK})
ROWS: list[tuple[Method, Callable[..., list[float]], frozenset[str]]] = [
    (row("react", ReAct()), react_by_loops, frozenset({"direction"})),  # noise stirs these eight features most
    (row("ash", AshAtMap("p", 65.0)), ash_by_loops, frozenset()),
    (row("rankfeat", RANKFEAT[0].detector), rankfeat_by_loops, frozenset()),
    (row("saliency", Stateless(MAP, saliency)), saliency_by_loops, frozenset({"direction"})),  # no detector
]


@cache
def trial(method: Method) -> Trial:
    return Trial(method)


@pytest.mark.parametrize(("method", "by_loops", "excused"), ROWS, ids=lambda value: getattr(value, "name", ""))
def test_a_method_of_today_passes_every_check(method: Method, by_loops: Any, excused: frozenset[str]) -> None:
    verdicts = {check.law.name: check.run() for check in checks_of(method)}
    assert {law: v.why for law, v in verdicts.items() if v.status != "ok" and law not in excused} == {}


@pytest.mark.parametrize(("method", "by_loops", "excused"), ROWS, ids=lambda value: getattr(value, "name", ""))
def test_its_scores_are_those_of_the_paper(method: Method, by_loops: Any, excused: frozenset[str]) -> None:
    own = trial(method)
    with torch.no_grad():
        expected = by_loops(own.toy.model.net, own.toy.examples["test"].x, own.toy.examples["train"].x)
    np.testing.assert_allclose(own.scores.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_going_on_from_a_map_costs_passes_and_they_are_counted() -> None:
    own = trial(row("ash", AshAtMap("p", 65.0)))
    before = own.toy.model.passes.forward
    own.score(own.fitted, "test")
    assert own.toy.model.passes.forward - before == 2 * 90  # for the map, which is not stored, and from it on


# An output of a package's own, and a network that gives it.

CONFIDENCE = Output[Tensor]("confidence", "n")
"""The logit of a branch that learns whether the class will be right (after DeVries 2018)."""
BIAS = Output[Tensor]("confidence_bias", "1", constant=True)


class Branched(nn.Module):
    passes = 1
    entries: ClassVar[frozenset[Output]] = frozenset()

    def __init__(self, body: Classifier) -> None:
        super().__init__()
        self.body = body
        self.branch = nn.Linear(8, 1)

    @property
    def constants(self) -> Mapping[Output, Any]:
        return {BIAS: self.branch.bias}

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = MappingProxyType({})
    ) -> Mapping[Output, Any]:
        below = self.body.outputs(x, wanted)
        return {LOGITS: below[LOGITS], CONFIDENCE: self.branch(below[FEATURES])[:, 0]}


@dataclass(frozen=True)
class WithBranch(Defaults):
    training: Training = Training(network="none", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, CONFIDENCE, BIAS})
    wants: ClassVar[frozenset[Material]] = NOTHING

    def sized(self, scale: Scale, training: Training) -> "WithBranch":
        return replace(self, training=replace(training, epochs=3 * training.epochs, lr=0.2))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        net = Branched(Classifier(Wide(), in_set.classes, in_set.images.mean, in_set.images.std))
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: Branched, batch: TrainBatch) -> Tensor:
        given = net.outputs(batch.inputs, frozenset())
        p = given[LOGITS].softmax(dim=1)
        c = given[CONFIDENCE].sigmoid()[:, None]
        hinted = c * p + (1 - c) * torch.eye(p.shape[1])[batch.labels]
        nll = -hinted.gather(1, batch.labels[:, None]).clamp(min=1e-12).log().mean()
        return nll - 0.3 * c.clamp(min=1e-12).log().mean()


def confidence(batch: Outputs) -> Tensor:
    return batch[CONFIDENCE] - batch[BIAS]


BRANCH = row("branch", Stateless(frozenset({CONFIDENCE, BIAS}), confidence), WithBranch())


def test_a_package_declares_an_output_of_its_own() -> None:
    verdicts = {check.law.name: check.run() for check in checks_of(BRANCH)}
    assert {law: v.why for law, v in verdicts.items() if v.status != "ok" and law != "direction"} == {}
    own = trial(BRANCH)
    with torch.no_grad():
        expected = own.toy.model.net.body.layers(own.toy.examples["test"].x)[-1] @ own.toy.model.net.branch.weight[0]  # type: ignore[union-attr,operator,index]
    torch.testing.assert_close(own.scores, expected, rtol=1e-4, atol=1e-5)


def test_an_output_that_the_model_does_not_have_is_told_before_anything_runs() -> None:
    verdicts = {check.law.name: check.run() for check in checks_of(row("lost", BRANCH.detector))}
    assert (
        "it reads confidence, confidence_bias, which a Mapped model of images does not have"
        in verdicts["well-formed"].why
    )
