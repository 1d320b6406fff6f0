"""RegMixup: mixed images beside clean ones.

Pinto, Yang, Lim, Torr & Dokania, "Using Mixup as a Regularizer Can Surprisingly Improve Accuracy and
Out-of-Distribution Robustness", NeurIPS 2022.

    x~ = l x + (1 - l) x',   y~ = l y + (1 - l) y',   l ~ Beta(alpha, alpha),   x' another input of the step
    L = 1/2 [mean CE(y, p(x)) + mean CE(y~, p(x~))]
    s(x) = max_c softmax(z)_c,   by its rank key

alpha = 20 (10 for CIFAR-100), so that l is near one half: mixed images stand apart from clean ones, where those of
mixup proper, alpha below 1, hardly do. One l a step. The paper writes the sum of the two means, weight 1 each; the
authors' code and OpenOOD, of which the published numbers are, take one mean over both halves of a doubled batch, and so
does this: the loss of a step is as large as the plain one, and the matrix's learning rate fits. Both halves share
BatchNorm's statistics. A step costs two plain ones.

The paper ranks out-sets by the Dempster-Shafer uncertainty C / (C + sum_i exp(z_i)), which orders inputs as the energy
does; OpenOOD's board has the maximum softmax probability: rows `regmixup-energy` and `regmixup`.

Fails where what comes is no blend of two inputs: nothing is asked of the classifier there, and noise may keep the
certainty that it has in the plain classifier, as it does on tiny-v1. An out-set that does look like a blend is answered
by two classes.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.recipes import Plain
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class RegMixup(Defaults):
    """The matrix's classifier and schedule, a mixed image beside each input.

    Attributes:
        training: How it is trained.
        alpha: Both parameters of the Beta distribution of l.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    alpha: float = 20.0

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, the matrix's own, and its training."""
        net = Plain(self.training).start(in_set, (), labels, seed).net
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L, l and the partners drawn from torch's global generator."""
        lam = float(Beta(self.alpha, self.alpha).sample())
        partner = torch.randperm(len(batch.inputs)).to(batch.labels.device)
        mixed = lam * batch.inputs + (1 - lam) * batch.inputs[partner]
        clean, blended = net(torch.cat([batch.inputs, mixed])).double().chunk(2)
        ce = partial(cross_entropy, label_smoothing=self.training.label_smoothing)
        of_mixed = lam * ce(blended, batch.labels) + (1 - lam) * ce(blended, batch.labels[partner])
        return (ce(clean, batch.labels) + of_mixed) / 2


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


def energy(batch: Outputs) -> Float[Tensor, "n"]:
    """Return log sum_i exp(z_i), which ranks as minus the Dempster-Shafer uncertainty."""
    return formulas.energy(batch.logits)


PAPER = Citation(
    authors="Pinto, Yang, Lim, Torr, Dokania",
    title="Using Mixup as a Regularizer Can Surprisingly Improve Accuracy and Out-of-Distribution Robustness",
    year=2022,
    url="https://arxiv.org/abs/2206.14502",
)
MSP, ENERGY = (Stateless(frozenset({LOGITS}), formula) for formula in (msp, energy))

METHODS = (
    Method(name="regmixup", title="RegMixup", paper=PAPER, recipe=RegMixup(), detector=MSP, family="training"),
    Method(
        name="regmixup-energy",
        title="RegMixup, energy",
        paper=PAPER,
        recipe=RegMixup(),
        detector=ENERGY,
        family="training",
    ),
)
