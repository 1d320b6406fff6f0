"""SIRC: softmax information retaining combination.

Xia & Bouganis, "Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data", ACCV 2022.

    C(x) = -(1 - S1)(1 + exp(-b (S2 - a))),   a = mean S2 - 3 std S2,   b = 1 / std S2  on the training images
    s(x) = -log(-C) = -log(1 - S1) - log(1 + exp(-b (S2 - a)))

S1 = max_c p_c finds the classifier's mistakes, S2 = ||f||_1 the images that are out of distribution: where S2 is above
a the score is that of S1 alone, below it falls with S2. No out-of-distribution image takes part. -log(1 - S1) is
made from logits and never saturates. Settled by the authors' code, which takes the logarithm, too.

Features may be negative: ||f||_1 is the sum of absolute values. Where all training images have the same norm (a network
that normalises), b is 1.

Fails where strange inputs have features as long as those of training images, or longer: then S2 adds nothing to the
softmax. A rescaled input whose features shrink is taken for strange.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.estimators import unit_scale
from oodbench.recipes import Plain


class Threshold(NamedTuple):
    """Where S2 begins to count against an input, and how steeply."""

    a: float
    b: float


@final
@dataclass(frozen=True)
class Sirc:
    """The softmax, lowered where the features are short."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Threshold:
        """Return a and b of the training features."""
        lengths = length(data.train)
        std = float(unit_scale(lengths[:, None]))
        return Threshold(float(lengths.mean()) - 3 * std, 1 / std)

    def score(self, state: Threshold, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -log(-C)."""
        key = formulas.msp_key(batch.logits.double())  # 1 - S1 = 1 / (1 + e^key)
        below = -state.b * (length(batch) - state.a)
        return (softplus(key) - softplus(below)).float()


def length(outputs: Outputs) -> Float[Tensor, "n"]:
    """Return ||f||_1; no other copy of the features is made."""
    norm: Tensor = torch.linalg.vector_norm(outputs.features, 1, dim=1)
    return norm.double()


def softplus(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return log(1 + e^x)."""
    return torch.logaddexp(x, torch.zeros_like(x))


METHODS = (
    Method(
        name="sirc",
        title="SIRC (MSP, ‖f‖₁)",
        family="features",
        paper=Citation(
            authors="Xia, Bouganis",
            title="Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data",
            year=2022,
            url="https://arxiv.org/abs/2207.07506",
        ),
        recipe=Plain(),
        detector=Sirc(),
    ),
)
