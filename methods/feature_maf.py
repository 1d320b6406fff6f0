"""A masked autoregressive flow of the features.

Shao, Song & Ermon, "Understanding Classifier Mistakes with Generative Models", 2020, with the flow of Papamakarios,
Pavlakou & Murray, "Masked Autoregressive Flow for Density Estimation", NeurIPS 2017 (`oodbench.networks.made`).

    z = (f - m) / s,   u = MADE_5(... MADE_1(z)),   s(x) = log p(f(x)) = log N(u; 0, I) + log|det du/dz| - sum log s

in nats, exact. The paper: 5 MADEs, each of one hidden layer of 128 and in the reverse order of the one before; Adam
at 0.01, batch 32, 1000 epochs. Not said, and chosen here: no BatchNorm between MADEs, gradients of at most norm 1 (in
nats a feature), |alpha| < 3, and the weights that were best on a tenth of the training features set aside (the flow's
authors stop early by the same measure; without, the flow learns 3,500 images by heart). In training noise of 1 % of its
unit is added to each feature: some are exactly 0 for many images, and the density of exact values has no bound.

Scale "paper" takes the paper's batch and epochs, the rate constant and the weights judged after each epoch. At the
others a fit is kept to half a minute: batches of 128, 3000 of them or 30 epochs, the rate falls to 0 on a cosine, and
the weights are judged 20 times.

The paper's features end in tanh, as those of `densenet-bc-100-12-tanh` do; those of the other networks end in a ReLU.
Both are averaged over space, and no atanh is put before the flow.

`feature-maf` deals degrees to hidden units as the flow's authors do, 1, 2, 3 and so on: with more than 129 features the
last ones are modelled given the first 128 alone. `feature-maf-spread` spreads the 128 over all of 1..F-1. With up to
129 features both see everything, and differ in little.

Fails where the network has dropped what is strange about an input: a density of features sees only what the features
keep. The classifier's own mistakes have ordinary features; the softmax tells them better.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.detectors.trained import Schedule, Units, filled, flat, minimise, units
from oodbench.networks.made import Degrees, Maf
from oodbench.recipes import Plain


class Flow(NamedTuple):
    """The fitted flow."""

    units: Units
    weights: Float[Tensor, "P"]


@final
@dataclass(frozen=True)
class FeatureMaf:
    """The log density of the features under a masked autoregressive flow.

    Attributes:
        degrees: Of the hidden units: "sequential" or "spread".
        layers: MADEs.
        hidden: Hidden units of each.
        rate: Adam's, at the start.
        batch: Features a step.
        steps: Most steps; None for no limit.
        epochs: Most passes over the training features.
        clip: Largest norm of a step's gradient.
        decay: Factor of the rate after each pass; None: the rate falls to 0 on a cosine.
        looks: How often the features set aside judge the weights.
        floor: Variance of the noise added in training, in squared units of each feature.
    """

    degrees: Degrees
    layers: int = 5
    hidden: int = 128
    rate: float = 1e-2
    batch: int = 128
    steps: int | None = 3000
    epochs: int = 30
    clip: float = 1.0
    decay: float | None = None
    looks: int = 20
    floor: float = 1e-4

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Flow:
        """Return the flow of the training features."""
        generator = torch.Generator().manual_seed(data.seed)
        f = data.train.features
        unit = units(f)
        net = self._net(f.shape[1], generator).to(f.device)

        def loss(z: Tensor) -> Tensor:
            noise = torch.randn(z.shape, generator=generator).to(z)
            return -net.log_density(z + self.floor**0.5 * noise).mean() / z.shape[1]

        schedule = Schedule(self.rate, self.batch, self.steps, self.epochs, self.clip, self.decay, self.looks)
        minimise(net, loss, unit(f).float(), schedule, generator)
        return Flow(unit, flat(net))

    def score(self, state: Flow, batch: Outputs) -> Float[Tensor, "n"]:
        """Return log p(f(x)), in nats."""
        net = filled(self._net(len(state.units.scale), torch.Generator()), state.weights).double()
        return (net.log_density(state.units(batch.features)) + state.units.log_det).float()

    def _net(self, features: int, generator: torch.Generator) -> Maf:
        return Maf(features, self.layers, self.hidden, self.degrees, generator)


def as_the_paper(degrees: Degrees) -> FeatureMaf:
    """Return the detector with the paper's training: 1000 epochs at a constant rate."""
    return FeatureMaf(degrees, batch=32, steps=None, epochs=1000, decay=1.0, looks=1000)


PAPER = Citation(
    authors="Shao, Song, Ermon",
    title="Understanding Classifier Mistakes with Generative Models",
    year=2020,
    url="https://arxiv.org/abs/2010.02364",
)

METHODS = (
    Method(
        name="feature-maf",
        title="Feature flow (MAF), sequential degrees",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMaf(degrees="sequential"),
        detector_at_paper_scale=as_the_paper("sequential"),
    ),
    Method(
        name="feature-maf-spread",
        title="Feature flow (MAF), degrees spread",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMaf(degrees="spread"),
        detector_at_paper_scale=as_the_paper("spread"),
    ),
)
