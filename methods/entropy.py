"""Entropy of the softmax.

Shannon, "A Mathematical Theory of Communication", 1948; as a confidence of a neural network's class already in
Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks", ICLR
2017, whose baseline is `msp`.

    s(x) = -H(p) = sum_c p_c log p_c,   ranked by   -log H(p),   p = softmax(z)

H is a sum of terms that are none below 0; each is made by its logarithm, so that H does not vanish in float32, nor in
float64, where p is 1.0. pytorch-ood clips p and ties such inputs.

Fails where the softmax is blind: an input far from all classes whose logits are as far apart as those of a typical one
is as sure. With two classes it ranks as `msp` does.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def certainty(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -log H(p)."""
    log_p, _ = formulas.log_probabilities(batch.logits)
    certain = log_p == 0  # its term is 0, and log 0 has no derivative
    log_surprise = (-log_p.masked_fill(certain, -1.0)).log().masked_fill(certain, -torch.inf)
    return -torch.logsumexp(log_p + log_surprise, dim=1).float()


METHODS = (
    Method(
        name="entropy",
        title="Entropy",
        family="logits",
        paper=Citation(
            authors="Shannon",
            title="A Mathematical Theory of Communication",
            year=1948,
            url="https://doi.org/10.1002/j.1538-7305.1948.tb01338.x",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), certainty),
    ),
)
