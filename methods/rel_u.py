"""Rel-U: relative uncertainty.

Dadalto, Romanelli, Pichler & Piantanida, "A Data-Driven Measure of Relative Uncertainty for Misclassification
Detection", ICLR 2024.

    D = ReLU(lambda M_wrong - (1 - lambda) M_right),  M = mean of p p^T over wrong and over right held-out predictions
    D_ii = 0,  D := D / ||D||_F,   s(x) = -p^T D p,   ranked by   -log p^T D p

lambda = 0.5, and D_ij = 1 for i != j where no entry is positive: then 1 - p^T p, the score of `doctor`. So it is in the
authors' code, by which this was settled; there the mean over no wrong prediction is NaN, here M is 0. Their code also
takes a temperature, 1 unless said, as here. p^T D p is a sum of terms that are none below 0, made in float64: its
logarithm tells inputs apart whose p is 1.0 in float32.

Fails where few held-out images are wrong: D is positive only at the pairs of classes that they confuse, and an input
between two others is found sure, in-set or not.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Pairs(NamedTuple):
    """How much each pair of classes counts: symmetric, not negative, 0 on the diagonal, of norm 1."""

    D: Float[Tensor, "C C"]


@final
@dataclass(frozen=True)
class RelU:
    """Minus the relative uncertainty.

    Attributes:
        lam: Weight of the wrong predictions, in [0, 1].
    """

    lam: float = 0.5

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels", "validation"})

    def fit(self, data: FitData) -> Pairs:
        """Return D."""
        p = formulas.log_probabilities(data.validation.logits)[0].exp()
        wrong = data.validation.logits.argmax(dim=1) != data.validation.labels
        D = (self.lam * _moment(p[wrong]) - (1 - self.lam) * _moment(p[~wrong])).clamp_min(0)
        D.fill_diagonal_(0)
        if not D.any():
            D = 1 - torch.eye(len(D)).to(D)
        return Pairs(D / D.norm())

    def score(self, state: Pairs, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -log p^T D p."""
        p = formulas.log_probabilities(batch.logits)[0].exp()
        uncertainty = (p @ state.D * p).sum(dim=1)
        return -uncertainty.clamp_min(torch.finfo(p.dtype).tiny).log().float()


def _moment(p: Float[Tensor, "m C"]) -> Float[Tensor, "C C"]:
    return p.T @ p / max(1, len(p))


METHODS = (
    Method(
        name="rel-u",
        title="Rel-U (λ = 0.5)",
        family="logits",
        paper=Citation(
            authors="Dadalto, Romanelli, Pichler, Piantanida",
            title="A Data-Driven Measure of Relative Uncertainty for Misclassification Detection",
            year=2024,
            url="https://arxiv.org/abs/2306.01710",
        ),
        recipe=Plain(),
        detector=RelU(),
    ),
)
