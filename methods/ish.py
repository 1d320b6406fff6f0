"""ISH, intermediate tensor shaping: a fine-tuning in which the head learns from an input's largest features.

Xu, Chen, Franchi & Yao, "Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement", ICLR 2024.

    z = W f + b,   L = mean CE(y, softmax z),   dL/dW := mean_i (p_i - y_i) a_i^T   where it is mean_i (p_i - y_i) f_i^T
    a = f on its k = F - round(F q / 100) largest entries, 0 elsewhere, times e^r;   r = sum_i f_i / sum_{top k} f_i
    s(x) = E(W f e^r + b),   E the logsumexp: SCALE at the same q = 85

Nothing else changes: not the logits, nor the derivatives by b and by the features, so what the layers below learn.
Inputs whose features are spread widely (large r) weigh more in W. It begins from the plain classifier of its seed: 10
epochs from 3 % of its rate (`oodbench.recipes.fine_tuning` sizes that), as OpenOOD's script for ImageNet has it; its
boards have ISH nowhere else.

What is pruned is settled by the authors' trainer in OpenOOD, whose configuration prunes as well as scales
("minksample_expscale"); its variant without pruning and one with r in the place of e^r are not offered. There the head
also has a tenth of the weight decay, here it has that of the rest. Negative features count as 0 in the sums.

`ish-energy` has the energy of the same network: what the training does without the scaling at test time.

Fails where features are few or even: with F features e^r is at most e^(F/k), near 800 at q = 85, and where many entries
are active the head's derivative is that many times the ordinary one, which a learning rate for ordinary ones may not
bear. Where SCALE's sign is wrong on a network, this does not turn it.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from oodbench import formulas, shaping
from oodbench.contract import (
    FEATURES,
    HEAD,
    LOGITS,
    Citation,
    FitData,
    Head,
    Material,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.recipes import Plain, fine_tuning, from_plain
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Recipe, Scale, TrainBatch, Training, alone


def shaped(f: Float[Tensor, "n F"], q: float) -> Float[Tensor, "n F"]:
    """Return a: the largest entries times e^r, the others 0."""
    k = shaping.kept(f.shape[1], q)
    return torch.where(shaping.largest(f, k), f * shaping.sharpening(f, k), 0).to(f.dtype)


def logits_learning_from(a: Tensor, f: Tensor, head: Head) -> Float[Tensor, "n C"]:
    """Return W f + b, with the derivatives of W f + b by f and b, and of W a by W."""
    W, fixed = head.weight, head.weight.detach()
    # a (W - fixed)^T is exactly 0, and its derivative by W is a
    return linear(f, fixed, head.bias) + linear(a.detach(), W - fixed)


@final
@dataclass(frozen=True)
class Ish(Defaults):
    """The plain classifier, trained on with a head that learns from shaped features.

    Attributes:
        q: In percent: how many of an input's features are not among the largest.
        plain: Where it begins.
        training: How it is fine-tuned.
    """

    q: float = 85.0
    plain: Plain = Plain()
    training: Training = Training(network="resnet-small", epochs=10, lr=0.003, schedule="cosine")

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def sized(self, scale: Scale, training: Training) -> "Ish":
        """Return the recipe that begins from the matrix's plain classifier."""
        tuning = fine_tuning(scale, training, rate=0.03)
        return replace(self, plain=self.plain.sized(scale, training), training=tuning)

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the plain classifier of the same seed."""
        return ((self.plain, seed),)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return the plain classifier, and its training."""
        net = from_plain(self.plain, in_set, parts, labels, seed)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy, whose derivative by W is that of shaped features."""
        f = net.outputs(batch.inputs, frozenset({FEATURES}))[FEATURES].float()  # type: ignore[operator]
        z = logits_learning_from(shaped(f, self.q), f, net.constants[HEAD])  # type: ignore[index,arg-type]
        return cross_entropy(z, batch.labels, label_smoothing=self.training.label_smoothing)


@final
@dataclass(frozen=True)
class ScaledEnergy:
    """The energy of features times e^r.

    Attributes:
        q: As in training.
    """

    q: float = 85.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(W f e^r + b)."""
        f = batch.features.double()
        return shaping.energy(f * shaping.sharpening(f, shaping.kept(f.shape[1], self.q)), batch.head)


def energy(batch: Outputs) -> Float[Tensor, "n"]:
    """Return E(W f + b)."""
    return formulas.energy(batch.logits)


PAPER = Citation(
    authors="Xu, Chen, Franchi, Yao",
    title="Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement",
    year=2024,
    url="https://arxiv.org/abs/2310.00227",
)

EXCUSED = {"ish": {"direction": shaping.EVEN}}

row = partial(Method, paper=PAPER, recipe=Ish())

METHODS = (
    row(name="ish", title="ISH, SCALE", family="shaping", detector=ScaledEnergy()),
    row(name="ish-energy", title="ISH, energy", family="training", detector=Stateless(frozenset({LOGITS}), energy)),
)
