"""The variational information bottleneck: the rate, and the entropy of the averaged decoder.

Alemi, Fischer & Dillon, "Uncertainty in the Variational Information Bottleneck", 2018; with the single Gaussian prior
and the constants of Sreeramdass & Sarawagi, "Out-of-distribution image detection".

    loss = -log P(y|z) + beta KL(q(z|x) || r(z)),   z ~ q(z|x), one sample,   r a learned Gaussian
    vib:          s(x) = -KL(q(z|x) || r)
    vib-entropy:  s(x) = -H(1/S sum_s softmax(decoder(z_s)))

Both terms of the loss are in nats, and KL is a sum over the latents: beta means nothing otherwise. Sreeramdass &
Sarawagi rank by exp(-KL), which is 0 in float32 from 104 nats on; -KL orders inputs alike and does not vanish. Their
code (github.com/varshiths/cal-exp) draws 64 samples a step and has sigma = softplus(rho); here it is one, and
softplus(rho - 5), as in Alemi 2016. The loss moves encoder and decoder as printed; r follows the rate at a pace of its
own, its gradient times 0.1 in place of beta (`PACE` in `bench/oodbench/networks/bottleneck.py`: of those tried the one
of least rate on validation images).

Fails where strange inputs are encoded near the middle of the prior: their rate is low, though they were never seen.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oodbench import formulas
from oodbench.contract import (
    FEATURES,
    LAYERS,
    LOGITS,
    POSTERIOR,
    PRIOR,
    Citation,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.bottleneck import StochasticBottleneck, information_loss
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class Vib(Defaults):
    """A classifier through a stochastic bottleneck with one prior.

    Attributes:
        training: Schedule and trunk.
        beta: Weight of the rate, in nats per nat.
        latent: Components of the code.
        samples: Over which the decoder is averaged, after training.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    beta: float = 0.005
    latent: int = 64
    samples: int = 12

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, LAYERS, POSTERIOR, PRIOR})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network, and its training."""
        encoder = classifier(self.training.network, replace(in_set, classes=2 * self.latent), self.training.dropout)
        net = StochasticBottleneck(encoder, self.latent, in_set.classes, priors=1, samples=self.samples)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the loss, with the one prior for every input."""
        assert isinstance(net, StochasticBottleneck)
        smoothing = self.training.label_smoothing
        only = torch.zeros_like(batch.labels)
        return information_loss(net, batch.inputs, batch.labels, only, self.beta, smoothing)


def rate(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -KL(q(z|x) || r)."""
    return -formulas.gaussian_kl(*batch[POSTERIOR], *batch[PRIOR])[:, 0]


def entropy(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the negative entropy of the averaged decoder, in float64: float32 is 0 for the surest inputs."""
    return -formulas.entropy(batch.logits.double())


PAPER = Citation(
    authors="Alemi, Fischer, Dillon",
    title="Uncertainty in the Variational Information Bottleneck",
    year=2018,
    url="https://arxiv.org/abs/1807.00906",
)

METHODS = (
    Method(
        name="vib",
        title="VIB (rate)",
        family="bottleneck",
        paper=PAPER,
        recipe=Vib(),
        detector=Stateless(frozenset({POSTERIOR, PRIOR}), rate),
    ),
    Method(
        name="vib-entropy",
        title="VIB (entropy of the averaged decoder)",
        family="bottleneck",
        paper=PAPER,
        recipe=Vib(),
        detector=Stateless(frozenset({LOGITS}), entropy),
    ),
)
