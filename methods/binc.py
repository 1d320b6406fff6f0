"""A softmax that classifies beside calibrated yes-or-no classifiers that detect.

Sreeramdass & Sarawagi, "Out-of-distribution image detection": BINC; the calibration term is from Kumar, Sarawagi &
Jain, "Trainable Calibration Measures For Neural Networks From Kernel Mean Embeddings", ICML 2018.

    h = ReLU(W pooled + b), 64 units, under a softmax head z' and a head of C log-odds z
    loss = cross-entropy(z', y) + BIN(z, y) + lambda mean_k MMCE_w(r_k, c_k),
           r_k = max(sigma_k, 1 - sigma_k),  c_k = 1[(sigma_k > 1/2) = y_k],  sigma = sigmoid(z)
    s(x) = max_k z_k;   the class is argmax z'

with BIN as in `methods/bin.py`. The paper names neither the activation of the 64 units nor what of a binary classifier
MMCE is given, nor whether the C terms are summed or averaged: ReLU, confidence and correctness as above, and the mean
are chosen here. For CIFAR-10 the paper's training is that of the matrix.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from oodbench import formulas
from oodbench.contract import (
    BINARY,
    FEATURES,
    HEAD,
    LAYERS,
    LOGITS,
    Citation,
    Material,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.one_vs_rest import TwoHeads, one_vs_rest_loss
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone

WIDTH = 0.4
"""Width of the kernel over confidences."""


def weighted_mmce(r: Float[Tensor, "*k n"], c: Bool[Tensor, "*k n"]) -> Float[Tensor, "*k"]:
    """Return the re-weighted maximum mean calibration error of n confidences r, of which those marked c are right.

        MMCE_w^2 = sum_ij e_i e_j exp(-|r_i - r_j| / 0.4),   e_i = (1 - r_i) / (number right)   where right
                                                             e_i = -r_i / (number wrong)        where wrong

    and the root is sqrt(MMCE_w^2 + 1e-10); 0 where none is right or none is wrong. The right ones together weigh what
    the wrong ones do, so the calibration that it asks for is that of as many right as wrong. Kumar's released code
    takes the mean over pairs first and divides by the numbers of right and wrong again, so its lambda does not carry
    over. No gradient flows through c.
    """
    right, wrong = c.sum(dim=-1, keepdim=True), (~c).sum(dim=-1, keepdim=True)
    e = torch.where(c, (1 - r) / right.clamp(min=1), -r / wrong.clamp(min=1))
    kernel = torch.exp(-(r[..., :, None] - r[..., None, :]).abs() / WIDTH)
    squared = (e[..., :, None] * e[..., None, :] * kernel).sum(dim=(-2, -1))  # not a matmul: autocast would halve it
    root = (squared.clamp(min=0) + 1e-10).sqrt()
    return torch.where(((right > 0) & (wrong > 0))[..., 0], root, 0.0)


@final
@dataclass(frozen=True)
class Binc(Defaults):
    """The matrix's own network under a layer and two heads.

    Attributes:
        zeta: Weight of a negative in the binary loss; a positive weighs 1.
        lam: Weight of the calibration error.
        width: Units of the layer below the heads.
        training: How the training loop drives it.
    """

    zeta: float = 0.05
    lam: float = 0.5
    width: int = 64
    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, BINARY, FEATURES, LAYERS, HEAD})
    wants: ClassVar[frozenset[Material]] = frozenset()

    def sized(self, scale: Scale, training: Training) -> "Binc":
        """Return the recipe with the matrix's training."""
        return replace(self, training=training)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        body = classifier(self.training.network, replace(in_set, classes=self.width), self.training.dropout)
        net = TwoHeads(body, self.width, in_set.classes)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return cross-entropy, plus the binary loss, plus the calibration error of the binary classifiers."""
        logits, z = (head.float() for head in net.both(batch.inputs))  # type: ignore[operator]
        classification = cross_entropy(logits, batch.labels, label_smoothing=self.training.label_smoothing)
        calibration = calibration_error(z, one_hot(batch.labels, z.shape[1]).bool())
        return classification + one_vs_rest_loss(z, batch.labels, self.zeta) + self.lam * calibration


def calibration_error(z: Float[Tensor, "n C"], y: Bool[Tensor, "n C"]) -> Float[Tensor, ""]:
    """Return mean_k MMCE_w of the C binary classifiers with log-odds z, on whether each input is of class k.

    Here r is at least 1/2, and MMCE_w then vanishes only where all r are 1/2: while a batch holds a misclassification,
    it pulls towards doubt.
    """
    r = torch.sigmoid(z.abs())  # max(sigma, 1 - sigma)
    return weighted_mmce(r.T, ((z > 0) == y).T).mean()


def largest_log_odds(batch: Outputs) -> Float[Tensor, "n"]:
    """Return max_k z_k of the binary head."""
    return formulas.max_logit(batch[BINARY])


METHODS = (
    Method(
        name="binc",
        title="Calibrated binary classifiers (BINC)",
        paper=Citation(
            authors="Sreeramdass, Sarawagi",
            title="Out-of-distribution image detection",
            year=None,  # undated; the newest work that it builds on (Kumar 2018) is of 2018
            url="https://github.com/varshiths/cal-exp",  # the first author's code; no address of the report was found
        ),
        recipe=Binc(),
        detector=Stateless(frozenset({BINARY}), largest_log_odds),
    ),
)
