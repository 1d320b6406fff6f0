"""Generalised ODIN: confidence decomposed into a cosine and a divisor, a step chosen without outliers.

Hsu, Shen, Jin & Kira, "Generalized ODIN: Detecting Out-of-distribution Image without Learning from Out-of-distribution
Data", CVPR 2020. Its DeConf-C:

    z_c = h_c / g,   h_c = w_c . f / (||w_c|| ||f||),   g = sigmoid(BN(v . f + a))
    deconf-c:  s(x) = max_c h_c(x)
    g-odin:    s(x) = max_c h_c(x~),   x~ = x + eps* sign(grad_x max_c h_c(x))
    eps* = argmax_eps sum_{validation} s(x),   eps in 0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08

Training is cross-entropy of z. The divisor can take up how sure an input is as a whole, and leaves it to the cosines to
say how near to a class it is. eps* is the step that raises the score of held-out inputs of the training distribution
most; no outlier is asked for. It is in pixels of [0, 1], since standardisation is part of the network. x~ is not
clipped; where the gradient is exactly 0 the pixel stays. With the step the paper writes DeConf-C*.

There is no weight decay on w: what the optimiser adds to the gradient, weight_decay w, is taken back by a term -1/2
weight_decay ||w||^2 in the loss. That cancels it exactly, for momentum and Adam, too, unless the gradient's norm is
clipped. No code of the authors was found: the form and the grid with its 0 are those of OpenOOD and of
guyera/Generalized-ODIN-Implementation (c217b54), which says that it does not reach the paper's numbers. Both start w
from a Kaiming normal, here it starts as any linear layer; both move pixels whose gradient is 0 by +eps; OpenOOD's
configuration has a fixed eps of 0.0025.

Fails where features point to a class for the wrong reason: a cosine does not see how long f is, so an input that hardly
stirs the network scores as high as one that does. And a step that helps outliers more than the in-set goes unnoticed,
since no outlier is looked at: on MNIST-5k (`tiny-v1`, one seed) the longest step was chosen, and detected worse than
none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from oodbench import formulas
from oodbench.contract import (
    FEATURES,
    INPUTS,
    LOGITS,
    NETWORK,
    Citation,
    FitData,
    Material,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.topped import Topped
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

COSINES = Output[Tensor]("cosines", "n C")
"""h: the cosine of the features and each class's weights."""

STEPS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)


@final
class Quotient(nn.Module):
    """h / g, of a head whose first C rows are w and whose last is v."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(1)

    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        """Return z and h."""
        h = normalize(f.float(), dim=1) @ normalize(head.weight[:-1].float(), dim=1).T
        return {LOGITS: h / self._divisor(head(f)[:, -1:].float()), COSINES: h}

    def _divisor(self, t: Tensor) -> Tensor:
        # a batch of one has no variance of its own
        alone = nn.functional.batch_norm(
            t, self.bn.running_mean, self.bn.running_var, self.bn.weight, self.bn.bias, eps=self.bn.eps
        )
        return torch.sigmoid(self.bn(t) if len(t) > 1 else alone)


@final
@dataclass(frozen=True)
class GOdin(Defaults):
    """The matrix's classifier with a decomposed confidence.

    Attributes:
        training: How it is trained.
    """

    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, COSINES, FEATURES})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        wider = replace(in_set, classes=in_set.classes + 1)
        net = Topped(classifier(self.training.network, wider, self.training.dropout), Quotient())
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of z, less the optimiser's weight decay on w."""
        w = net.get_parameter("body.head.weight")[:-1]
        ce = cross_entropy(net(batch.inputs), batch.labels, label_smoothing=self.training.label_smoothing)
        return ce - self.training.weight_decay / 2 * w.square().sum()


def largest_cosine(batch: Outputs) -> Float[Tensor, "n"]:
    """Return max_c h_c."""
    return formulas.max_logit(batch[COSINES])


class Step(NamedTuple):
    """The step that raises the score of held-out inputs most."""

    eps: float


@final
@dataclass(frozen=True)
class SteppedCosine:
    """The largest cosine after a step towards it.

    Attributes:
        steps: Lengths to choose from, in pixels of [0, 1]; of equals the first.
    """

    steps: tuple[float, ...] = STEPS

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({COSINES, INPUTS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"validation"})

    def fit(self, data: FitData) -> Step:
        """Return eps*."""
        totals = torch.zeros(len(self.steps), dtype=torch.float64)
        for batch in data.validation.batches():
            towards = _towards(batch)
            for i, eps in enumerate(self.steps):
                totals[i] += largest_cosine(batch.at(batch.inputs + eps * towards)).double().sum().cpu()
        return Step(self.steps[int(totals.argmax())])

    def score(self, state: Step, batch: Outputs) -> Float[Tensor, "n"]:
        """Return max_c h_c(x~)."""
        return largest_cosine(batch.at(batch.inputs + state.eps * _towards(batch)) if state.eps else batch)


def _towards(batch: Outputs) -> Tensor:
    return batch.grad(largest_cosine).sign()


PAPER = Citation(
    authors="Hsu, Shen, Jin, Kira",
    title="Generalized ODIN: Detecting Out-of-distribution Image without Learning from Out-of-distribution Data",
    year=2020,
    url="https://arxiv.org/abs/2002.11297",
)

row = partial(Method, family="training", paper=PAPER, recipe=GOdin())

METHODS = (
    row(name="g-odin", title="Generalised ODIN (DeConf-C*)", detector=SteppedCosine()),
    row(
        name="deconf-c",
        title="Generalised ODIN without the step (DeConf-C)",
        detector=Stateless(frozenset({COSINES}), largest_cosine),
    ),
)
