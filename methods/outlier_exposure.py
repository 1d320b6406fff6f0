"""Outlier Exposure.

Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019.

    L = mean_in CE(y, p) + lambda mean_out H(U; p),   H(U; p) = -mean_c log p_c = logsumexp(z) - mean_c z_c

Each mean is over its own share of a step (128 inputs, 256 outliers), lambda = 0.5. Both go through the network at once,
so that BatchNorm sees both; no gradient is stopped. It is trained so from the start, on the matrix's schedule, or tuned
from the plain classifier of its seed. Scores: the maximum softmax probability, and H(U; p), least where p is uniform.

Fine-tuning takes 10 epochs from a rate of 0.001, a hundredth of that of training, and 5 epochs where training takes 20
(SVHN): a quarter of the epochs, at most 10, at scale "paper". Elsewhere it takes 2 epochs from a tenth of the rate, as
there are far fewer steps; training from the start takes at most 5 epochs at "cpu". No source sizes these [?].

Fails where the outliers to come are unlike those that were trained on. What the network learns is a border between two
sets, not what is strange.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Material, Method, Output, Outputs, Stateless
from oodbench.errors import BadMethod
from oodbench.recipes import Plain, fine_tuning, from_plain
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Recipe, Scale, TrainBatch, Training, alone


def exposed(net: nn.Module, batch: TrainBatch, lam: float, smoothing: float) -> Float[Tensor, ""]:
    """Return mean_in CE + lam mean_out H(U; p), after one forward pass over inputs and outliers.

    Raises:
        BadMethod: the step has no outliers.
    """
    if batch.outliers is None:
        raise BadMethod("outlier exposure got a step without outliers; train it on a matrix that offers `outliers`")
    inside, outside = net(torch.cat([batch.inputs, batch.outliers])).double().tensor_split([len(batch.inputs)])
    ce = cross_entropy(inside, batch.labels, label_smoothing=smoothing)
    return ce + lam * formulas.uniform_cross_entropy(outside).mean()


@final
@dataclass(frozen=True)
class OeScratch(Defaults):
    """The matrix's classifier and schedule, outliers beside every step.

    Attributes:
        training: How it is trained.
        lam: Weight of the outliers' loss.
    """

    training: Training = Training(network="resnet-small", epochs=5)
    lam: float = 0.5

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    spaces: ClassVar[frozenset[SpaceName]] = Plain.spaces
    wants: ClassVar[frozenset[Material]] = frozenset({"outliers"})

    def sized(self, scale: Scale, training: Training) -> "OeScratch":
        """Return the recipe with the matrix's training, on two cores cut to 5 epochs."""
        epochs = min(5, training.epochs) if scale == "cpu" else training.epochs
        return replace(self, training=replace(training, epochs=epochs))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, the matrix's own, and its training."""
        net = Plain(self.training).start(in_set, (), labels, seed).net
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L."""
        return exposed(net, batch, self.lam, self.training.label_smoothing)


@final
@dataclass(frozen=True)
class OeFineTuned(Defaults):
    """The plain classifier, trained on for a while with outliers beside every step.

    Attributes:
        plain: Where it begins.
        training: How it is fine-tuned.
        lam: Weight of the outliers' loss.
    """

    plain: Plain = Plain()
    training: Training = Training(network="resnet-small", epochs=10, lr=0.001, schedule="cosine")
    lam: float = 0.5

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    spaces: ClassVar[frozenset[SpaceName]] = Plain.spaces
    wants: ClassVar[frozenset[Material]] = frozenset({"outliers"})

    def sized(self, scale: Scale, training: Training) -> "OeFineTuned":
        """Return the recipe that begins from the matrix's plain classifier."""
        return replace(self, plain=self.plain.sized(scale, training), training=fine_tuning(scale, training))

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the plain classifier of the same seed."""
        return ((self.plain, seed),)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a network with the plain classifier's weights and running statistics, and its training."""
        net = from_plain(self.plain, in_set, parts, labels, seed)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L."""
        return exposed(net, batch, self.lam, self.training.label_smoothing)


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


def uniform(batch: Outputs) -> Float[Tensor, "n"]:
    """Return H(U; p); the paper's outlier score is its negative, mean_c log p_c."""
    return formulas.uniform_cross_entropy(batch.logits)


PAPER = Citation(
    authors="Hendrycks, Mazeika, Dietterich",
    title="Deep Anomaly Detection with Outlier Exposure",
    year=2019,
    url="https://arxiv.org/abs/1812.04606",
)
TUNED, SCRATCH = OeFineTuned(), OeScratch()
MSP, UNIFORM = (Stateless(frozenset({LOGITS}), formula) for formula in (msp, uniform))

row = partial(Method, family="outliers", paper=PAPER)

METHODS = (
    row(name="oe-finetune", title="OE, fine-tuned", recipe=TUNED, detector=MSP),
    row(name="oe-finetune-uniform", title="OE, fine-tuned, H(U; p)", recipe=TUNED, detector=UNIFORM),
    row(name="oe-scratch", title="OE, from scratch", recipe=SCRATCH, detector=MSP),
    row(name="oe-scratch-uniform", title="OE, from scratch, H(U; p)", recipe=SCRATCH, detector=UNIFORM),
)
