"""Fast decision boundary distance.

Liu & Qin, "Fast Decision Boundary based Out-of-Distribution Detector", ICML 2024.

    D_c(x) = (z_y(x) - z_c(x)) / ||w_y - w_c||,   y = argmax z(x)
    s(x) = 1 / (C - 1) sum_{c != y} D_c(x) / ||f(x) - mu||,   mu the mean training feature

D_c is the distance of f to the hyperplane on which the logits of y and c are equal: a lower bound of the way to the
region of class c, in closed form. Inputs are compared at the same deviation from the training mean, hence the division.

Two classes with equal rows of W have no hyperplane between them (their logits differ by the same number everywhere):
such pairs are left out of the mean, where the authors' code, OpenOOD and pytorch-ood divide by 0. At f = mu the ratio
is unbounded; there the deviation is taken as a millionth of the training features' root mean square deviation. OpenOOD
takes the sum in the place of the mean, which ranks alike, and chooses between ||f - mu|| and ||f|| on
out-of-distribution inputs; the paper has no hyper-parameter, nor has this.

Fails where an input's features lie far from the training mean along one class's weights: both the distances and the
deviation grow, the ratio tends to a constant of that direction, and an exaggerated feature vector looks like a typical
one.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import feature_statistics
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.recipes import Plain

LEAST = 1e-6
"""Smallest deviation, as a share of the training features' root mean square deviation; as it is where that is 0."""


class Boundaries(NamedTuple):
    """What distances and deviations are measured by, in float64.

    Attributes:
        weight: 1 / ||w_y - w_c||, divided by the number of classes that y has a boundary with; 0 where it has none.
        mu: The mean training feature.
        least: The smallest deviation that is divided by.
    """

    weight: Float[Tensor, "C C"]
    mu: Float[Tensor, "F"]
    least: float


@final
@dataclass(frozen=True)
class BoundaryDistance:
    """The mean distance to the predicted class's decision boundaries, by the deviation from the training mean."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Boundaries:
        """Return the distances between the rows of W, and the training features' mean and deviation.

        Raises:
            BadData: The head has no decision boundary.
        """
        W, f = data.train.head.weight.double(), data.train.features
        apart = torch.cdist(W, W, compute_mode="donot_use_mm_for_euclid_dist")  # exactly 0 for equal rows
        if not (apart > 0).any():
            raise BadData(
                f"fdbd: all {len(W)} rows of the head's weight are equal, so that no class has a boundary; "
                f"is the head that of the logits?"
            )
        width = float(f.var(dim=0, correction=0).sum().sqrt())
        inverse = torch.where(apart > 0, 1 / apart, 0.0)
        return Boundaries(
            inverse / (apart > 0).sum(dim=1, keepdim=True), feature_statistics.mean(f), LEAST * (width or 1.0)
        )

    def score(self, state: Boundaries, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the mean of D_c over ||f - mu||."""
        z = batch.logits.double()
        top = z.max(dim=1, keepdim=True)
        distance = ((top.values - z) * state.weight[top.indices[:, 0]]).sum(dim=1)
        deviation: Tensor = (batch.features - state.mu).norm(dim=1).clamp_min(state.least)
        return (distance / deviation).float()


METHODS = (
    Method(
        name="fdbd",
        title="fDBD",
        paper=Citation(
            authors="Liu, Qin",
            title="Fast Decision Boundary based Out-of-Distribution Detector",
            year=2024,
            url="https://arxiv.org/abs/2312.11536",
        ),
        recipe=Plain(),
        detector=BoundaryDistance(),
        family="features",
    ),
)
