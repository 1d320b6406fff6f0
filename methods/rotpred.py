"""RotPred: a classifier that also tells by how much an image was turned.

Hendrycks, Mazeika, Kadavath & Song, "Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
NeurIPS 2019; the detector for several classes.

    L = mean CE(z(x), y) + kappa mean_{x, r} CE(q(x_r), r),   x_r = x turned by r quarters, r = 0..3
    s(x) = KL(U || p(x)) - 1/4 sum_r -log q_r(x_r),   p = softmax(z), U uniform

p and q are two answers of one last linear layer. Inputs and their turned copies make one batch of four times the size;
classes are learnt from those that are upright. The score costs three more forward passes an input. All is in nats; the
authors' code (hendrycks/ss-ood at 8051356) takes both terms in bits, the same rank.

kappa = 1 is OpenOOD's; the authors' script for several classes has translations beside the rotations, divides the sum
of the three by 3, and asks for weights that it does not state. Here, as in OpenOOD, nothing is translated. KL(U || p)
is 1/C sum_c -log p_c - log C, and grows without bound as the classifier gets surer, so it outweighs the rotations
wherever logits are long.

Fails where a turned image is as likely in the set: of the digit 8, of a texture or of a cell nobody can say which way
is up, and an in-set image is then punished as an outlier is. Images have to be square.

The trap: of a thing that is symmetric, the image turned by two quarters is its vertical mirror. An out-set of mirrored
images is then no news to it, and its number there is not comparable with that of a training without them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import log
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import (
    FEATURES,
    INPUTS,
    LOGITS,
    NETWORK,
    Citation,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.topped import Topped
from oodbench.spaces import Images, Space
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

TURNS = 4
ROTATION = Output[Tensor]("rotation", "n 4")
"""The logits of q: by how many quarters an image was turned."""


@final
class Turned(nn.Module):
    """The classes' logits and the rotation's, of a head whose last four rows are the rotation's."""

    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        """Return z and the logits of q."""
        both = head(f)
        return {LOGITS: both[:, :-TURNS], ROTATION: both[:, -TURNS:]}


@final
@dataclass(frozen=True)
class RotPred(Defaults):
    """The matrix's classifier, that learns rotations beside its classes.

    Attributes:
        training: How it is trained; a step sees four times as many images.
        kappa: Weight of the rotations.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    kappa: float = 1.0

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, ROTATION, FEATURES})

    def refuses(self, space: Space) -> str | None:
        """Return why images that are not square cannot be turned."""
        if isinstance(space, Images) and space.shape[1] != space.shape[2]:
            return f"rotpred turns images by quarters, so they have to be square; these are {space.shape[1:]}"
        return None

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        wider = replace(in_set, classes=in_set.classes + TURNS)
        net = Topped(classifier(self.training.network, wider, self.training.dropout), Turned())
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L of the batch."""
        n = len(batch.labels)
        answers = net.answers(torch.cat([turned(batch.inputs, r) for r in range(TURNS)]))  # type: ignore[operator]
        turns = torch.arange(TURNS, device=batch.labels.device).repeat_interleave(n)
        ce = cross_entropy(answers[LOGITS][:n], batch.labels, label_smoothing=self.training.label_smoothing)
        return ce + self.kappa * cross_entropy(answers[ROTATION], turns)


def turned(x: Float[Tensor, "n c h w"], r: int) -> Float[Tensor, "n c w h"]:
    """Return images turned by r quarters."""
    return torch.rot90(x, r, dims=(2, 3))


def sure_and_upright(batch: Outputs) -> Float[Tensor, "n"]:
    """Return KL(U || p(x)) less the mean loss of the rotations."""
    sure = formulas.uniform_cross_entropy(batch.logits.double()) - log(batch.logits.shape[1])
    seen = [batch, *(batch.at(turned(batch.inputs, r)) for r in range(1, TURNS))]
    log_q = [outputs[ROTATION].double().log_softmax(dim=1)[:, r] for r, outputs in enumerate(seen)]
    return sure + torch.stack(log_q).mean(dim=0)


METHODS = (
    Method(
        name="rotpred",
        title="Rotation prediction (RotPred)",
        paper=Citation(
            authors="Hendrycks, Mazeika, Kadavath, Song",
            title="Using Self-Supervised Learning Can Improve Model Robustness and Uncertainty",
            year=2019,
            url="https://arxiv.org/abs/1906.12340",
        ),
        recipe=RotPred(),
        detector=Stateless(frozenset({LOGITS, ROTATION, INPUTS, NETWORK}), sure_and_upright),
        family="training",
    ),
)
