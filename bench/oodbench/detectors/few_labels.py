"""Training that sees few labels, and Mahalanobis (a) of Lee 2018 that sees no more of them than training did."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from oodbench.contract import FEATURES, FitData, Material, Output, Outputs
from oodbench.errors import BadData
from oodbench.estimators import Gaussians, fit_gaussians


def labelled(labels: Int[Tensor, "N"], classes: int, per_class: int, seed: int) -> Bool[Tensor, "N"]:
    """Return which images training may see the labels of: as many of each class, drawn at random.

    Raises:
        BadData: a class has fewer images.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    mask = torch.zeros_like(labels, dtype=torch.bool)
    for c in range(classes):
        own = order[labels[order] == c]
        if len(own) < per_class:
            raise BadData(f"class {c} has {len(own)} training images; training with few labels needs {per_class}")
        mask[own[:per_class]] = True
    return mask


@final
@dataclass(frozen=True)
class FewLabelsMahalanobis:
    """Mahalanobis (a) of Lee 2018, its Gaussians fitted to those images alone whose labels training saw.

    Attributes:
        rtol: Directions of at most this share of the largest variance are left out.
    """

    rtol: float = 1e-10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Gaussians:
        """Return the Gaussians of the labelled images' features."""
        mask = data.labelled
        return fit_gaussians(data.train.features[mask], data.train.labels[mask], self.rtol)

    def score(self, state: Gaussians, batch: Outputs) -> Float[Tensor, "n"]:
        """Return minus the squared distance to the nearest class mean."""
        return -state.squared_distance(batch.features).amin(dim=1).float()
