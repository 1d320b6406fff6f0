"""A softmax that classifies beside calibrated yes-or-no classifiers that detect.

Sreeramdass & Sarawagi, "Out-of-distribution image detection": BINC, as in the first author's code
(varshiths/cal-exp, commit 9a77f39); the calibration term is from Kumar, Sarawagi & Jain, "Trainable Calibration
Measures For Neural Networks From Kernel Mean Embeddings", ICML 2018.

    h = ReLU(W pooled + b), 64 units, under a softmax head z' and a head of C log-odds z without biases
    loss = cross-entropy(z', y) + 1/C BIN(z, y) + lambda MMCE_w(r, c)
           over all pairs of an input and a class k: r = max(sigma, 1 - sigma),  c = 1[(sigma > 1/2) = y_k]
    s(x) = max_k z_k;   the class is argmax z'

with sigma = sigmoid(z_k), and BIN, a sum over classes, as in `methods/bin.py`.

From the paper: the two heads, the three terms, 64 units, lambda = 0.5 and zeta = 0.05 (the code's own defaults are 1
and 0.1). From the code, where the paper says nothing or something else: the ReLU, the head without biases, BIN averaged
over classes, one MMCE_w over all n C pairs of a batch of n instead of one a class, and what it divides by
(`weighted_mmce`). The code weighs BIN and MMCE_w together once more, by 1 where nothing else is said, as here.

For CIFAR-10 the paper's training is that of the matrix.

Fails far from the training inputs, as `bin` does: calibration is learnt on training inputs, and says nothing of inputs
that are unlike them.
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
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.one_vs_rest import TwoHeads, one_vs_rest_loss
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

WIDTH = 0.4
"""Width of the kernel over confidences."""


def weighted_mmce(r: Float[Tensor, "n"], c: Bool[Tensor, "n"]) -> Float[Tensor, ""]:
    """Return the re-weighted maximum mean calibration error of n confidences r, of which those marked c are right.

        MMCE_w^2 = sum_ij e_i e_j exp(-|r_i - r_j| / 0.4),   e_i = (1 - r_i) / (number right)^2   where right
                                                             e_i = -r_i / (number wrong)^2        where wrong

    and the root is sqrt(MMCE_w^2 + 1e-10); 0 where none is right or none is wrong. Kumar 2018 prints the numbers
    without squares; the released code of both papers takes the mean over pairs and divides by the numbers once more,
    and lambda goes with it. So the error of a batch that is twice as large is half of it, and that of a few wrong ones
    among many right is nearly theirs alone, about (mean confidence) / (number wrong). No gradient flows through c.
    """
    right, wrong = c.sum(), (~c).sum()
    e = torch.where(c, (1 - r) / right.clamp(min=1).square(), -r / wrong.clamp(min=1).square())
    root = (_energy(e, r).clamp(min=0) + 1e-10).sqrt()
    return torch.where((right > 0) & (wrong > 0), root, 0.0)


def _energy(e: Float[Tensor, "n"], r: Float[Tensor, "n"]) -> Float[Tensor, ""]:
    """Return sum_ij e_i e_j exp(-|r_i - r_j| / 0.4) for r in [0, 1], in n log n steps.

    In ascending order exp(-|r_i - r_j| / 0.4) = exp(-r_i / 0.4) exp(r_j / 0.4) for j < i, so sums from below suffice.
    """
    r, order = r.sort()
    e = e[order]
    up = e * (r / WIDTH).exp()
    below = up.cumsum(dim=0) - up
    total: Tensor = e.square().sum() + 2 * (e * (-r / WIDTH).exp() * below).sum()
    return total


@final
@dataclass(frozen=True)
class Binc(Defaults):
    """The matrix's own network under a layer and two heads.

    Attributes:
        zeta: Weight of a negative in the binary loss; a positive weighs 1.
        lam: Weight of the calibration error; the binary loss weighs 1.
        width: Units of the layer below the heads.
        training: How the training loop drives it.
    """

    zeta: float = 0.05
    lam: float = 0.5
    width: int = 64
    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 2
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, BINARY, FEATURES, LAYERS, HEAD})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        body = classifier(self.training.network, replace(in_set, classes=self.width), self.training.dropout)
        net = TwoHeads(body, self.width, in_set.classes)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return cross-entropy, plus the mean binary loss, plus the calibration error of the binary classifiers."""
        logits, z = (head.float() for head in net.both(batch.inputs))  # type: ignore[operator]
        classification = cross_entropy(logits, batch.labels, label_smoothing=self.training.label_smoothing)
        calibration = calibration_error(z, one_hot(batch.labels, z.shape[1]).bool())
        binary = one_vs_rest_loss(z, batch.labels, self.zeta) / z.shape[1]
        loss: Tensor = classification + binary + self.lam * calibration
        return loss


def calibration_error(z: Float[Tensor, "n C"], y: Bool[Tensor, "n C"]) -> Float[Tensor, ""]:
    """Return MMCE_w of all n C yes-or-no answers with log-odds z together, on whether each input is of each class.

    Here r is at least 1/2: while one answer of a batch is wrong, the error pulls it towards doubt.
    """
    r = torch.sigmoid(z.abs())  # max(sigma, 1 - sigma)
    return weighted_mmce(r.flatten(), ((z > 0) == y).flatten())


def largest_log_odds(batch: Outputs) -> Float[Tensor, "n"]:
    """Return max_k z_k of the binary head."""
    return formulas.max_logit(batch[BINARY])


METHODS = (
    Method(
        name="binc",
        title="Calibrated binary classifiers (BINC)",
        family="training",
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
