"""A variational information bottleneck with a prior for each class: VIBY-I and VIBY-II.

Sreeramdass & Sarawagi, "Out-of-distribution image detection".

    loss = -log P(y|z) + beta KL(q(z|x) || r_y(z)),   z ~ q(z|x), one sample,   r_c a learned Gaussian for each class c
    viby-1:  s(x) = -sum_c P(c|x) KL(q(z|x) || r_c),   P the averaged decoder's
    viby-2:  s(x) = -min_c KL(q(z|x) || r_c)

The paper does not say which prior the rate of the training is taken to; in its first author's code, the true class's.
Both terms are in nats, and KL is a sum over the latents. The paper ranks by exp(-KL), which is 0 in float32 from 104
nats on; -KL orders inputs alike and does not vanish. The code draws 64 samples a step and has sigma = softplus(rho);
here it is one, and softplus(rho - 5), as in Alemi 2016. The loss moves encoder and decoder as printed; each r_c follows
the rate at a pace of its own, its gradient times 0.1 C in place of beta, with C classes (`PACE` in
`bench/oodbench/networks/bottleneck.py`).

Fails where strange inputs are encoded near the prior of any class: their rate is low, though they were never seen.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

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
class Viby(Defaults):
    """A classifier through a stochastic bottleneck with one prior a class.

    Attributes:
        training: Schedule and trunk.
        beta: Weight of the rate, in nats per nat.
        latent: Components of the code.
        samples: Over which the decoder is averaged, after training.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    beta: float = 0.01
    latent: int = 64
    samples: int = 12

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, LAYERS, POSTERIOR, PRIOR})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network, and its training."""
        encoder = classifier(self.training.network, replace(in_set, classes=2 * self.latent), self.training.dropout)
        net = StochasticBottleneck(encoder, self.latent, in_set.classes, priors=in_set.classes, samples=self.samples)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the loss, with the true class's prior for each input."""
        assert isinstance(net, StochasticBottleneck)
        smoothing = self.training.label_smoothing
        return information_loss(net, batch.inputs, batch.labels, batch.labels, self.beta, smoothing)


def expected_rate(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -sum_c P(c|x) KL(q(z|x) || r_c)."""
    return -(batch.logits.softmax(dim=1) * formulas.gaussian_kl(*batch[POSTERIOR], *batch[PRIOR])).sum(dim=1)


def least_rate(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -min_c KL(q(z|x) || r_c)."""
    return -formulas.gaussian_kl(*batch[POSTERIOR], *batch[PRIOR]).amin(dim=1)


PAPER = Citation(
    authors="Sreeramdass, Sarawagi",
    title="Out-of-distribution image detection",
    year=None,
    url="https://github.com/varshiths/cal-exp",  # the first author's code; no address of the report was found
)

METHODS = (
    Method(
        name="viby-1",
        title="VIBY-I (expected rate to the classes' priors)",
        family="bottleneck",
        paper=PAPER,
        recipe=Viby(),
        detector=Stateless(frozenset({LOGITS, POSTERIOR, PRIOR}), expected_rate),
    ),
    Method(
        name="viby-2",
        title="VIBY-II (rate to the nearest class's prior)",
        family="bottleneck",
        paper=PAPER,
        recipe=Viby(),
        detector=Stateless(frozenset({POSTERIOR, PRIOR}), least_rate),
    ),
)
