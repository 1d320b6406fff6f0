"""ConfidNet: the probability of the true class, learnt from features.

Corbière, Thome, Bar-Hen, Cord & Pérez, "Addressing Failure Prediction by Learning Model Confidence", NeurIPS 2019.

    TCP(x, y) = softmax(z(x))_y,   theta* = argmin mean (sigmoid(m_theta(f(x))) - TCP(x, y))^2
    s(x) = sigmoid(m_theta*(f(x))),   ranked by m_theta*(f(x))

m is the paper's: four hidden layers of 400 units with ReLU, trained by Adam. The paper fits it to the training images,
then fine-tunes a copy of the network below it. A network that knows its training set by heart has a TCP of 1 there and
no mistake to learn from, so here m is fitted to held-out in-distribution images and their labels (the row
`confidnet-train`: to the training images), and the network is left as it is: no training of its own, and it works on
a classifier that is given. Features are standardised; the weights are those of the least loss on a tenth of the
images, set aside, where the authors look at the average precision of mistakes. Scale "paper" takes the authors' 500
passes at a rate of 0.0001; elsewhere a fit is kept to half a minute: at most 100 passes or 1,500 steps, the rate from
0.001 to 0 on a cosine.

Fails where few held-out images are wrong, or m learns their features by heart. Far from the features that it was fitted
on a network may say anything: it is made for the classifier's own mistakes, not for out-sets.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.detectors.trained import Schedule, Units, filled, flat, minimise, units
from oodbench.networks.linear import linear
from oodbench.recipes import Plain


class Fitted(NamedTuple):
    """The units of the features, and the weights of m."""

    units: Units
    weights: Float[Tensor, "P"]


@final
@dataclass(frozen=True)
class ConfidNet:
    """The logit of the true class's probability, by a network on the features.

    Attributes:
        on: The images that it is fitted to.
        hidden: Units of each hidden layer.
        layers: Hidden layers.
        rate: Adam's, at the start.
        batch: Images a step.
        steps: Most steps; None for no limit.
        epochs: Most passes over the images.
        clip: Largest norm of a step's gradient.
        decay: Factor of the rate after each pass; None: the rate falls to 0 on a cosine.
        looks: How often the images set aside judge the weights.
    """

    on: Literal["validation", "train"] = "validation"
    hidden: int = 400
    layers: int = 4
    rate: float = 1e-3
    batch: int = 128
    steps: int | None = 1500
    epochs: int = 100
    clip: float = 1.0
    decay: float | None = None
    looks: int = 20

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})

    @property
    def fits_on(self) -> frozenset[Material]:
        """Labels, and held-out images if it is fitted to them."""
        return frozenset({"labels", "validation"}) if self.on == "validation" else frozenset({"labels"})

    def fit(self, data: FitData) -> Fitted:
        """Return the network that predicts the true class's probability."""
        generator = torch.Generator().manual_seed(data.seed)
        known = data.validation if self.on == "validation" else data.train
        f = known.features
        tcp = known.logits.softmax(dim=1).gather(1, known.labels[:, None])
        unit = units(f)
        net = self._net(f.shape[1], generator).to(f.device)

        def loss(rows: Tensor) -> Tensor:
            error: Tensor = net(rows[:, :-1]).sigmoid() - rows[:, -1:]
            return error.square().mean()

        schedule = Schedule(self.rate, self.batch, self.steps, self.epochs, self.clip, self.decay, self.looks)
        minimise(net, loss, torch.cat([unit(f).float(), tcp.float()], dim=1), schedule, generator)
        return Fitted(unit, flat(net))

    def score(self, state: Fitted, batch: Outputs) -> Float[Tensor, "n"]:
        """Return m(f(x))."""
        net = filled(self._net(len(state.units.scale), torch.Generator()), state.weights).double()
        logit: Tensor = net(state.units(batch.features))[:, 0]
        return logit.float()

    def _net(self, features: int, generator: torch.Generator) -> nn.Sequential:
        widths = [features] + self.layers * [self.hidden]
        hidden = [layer for pair in pairwise(widths) for layer in (linear(*pair, generator), nn.ReLU())]
        return nn.Sequential(*hidden, linear(widths[-1], 1, generator))


PAPER = Citation(
    authors="Corbière, Thome, Bar-Hen, Cord, Pérez",
    title="Addressing Failure Prediction by Learning Model Confidence",
    year=2019,
    url="https://arxiv.org/abs/1910.04851",
)

AT_PAPER_SCALE = ConfidNet(rate=1e-4, steps=None, epochs=500, decay=1.0, looks=500)

METHODS = (
    Method(
        name="confidnet",
        title="ConfidNet",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=ConfidNet(),
        detector_at_paper_scale=AT_PAPER_SCALE,
    ),
    Method(
        name="confidnet-train",
        title="ConfidNet, fitted to training images",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=ConfidNet(on="train"),
        detector_at_paper_scale=replace(AT_PAPER_SCALE, on="train"),
    ),
)
