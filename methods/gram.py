"""Gram matrices: how far the correlations of each layer's channels leave the range that training images have.

Sastry & Oore, "Detecting Out-of-Distribution Examples with Gram Matrices", ICML 2020.

    G^p_l = the row sums of F_l^p (F_l^p)^T, each to the power 1/p with its sign,   p = 1 ... P
            F_l a map of layer l, channels by places, F^p its entries' p-th powers
    delta_l(x) = sum_p sum_i relu(min_i - G^p_i) / |min_i| + relu(G^p_i - max_i) / |max_i|
                 min, max over the training images that are predicted the class that x is
    s(x) = -sum_l delta_l(x) / (p_max(x) E[delta_l / p_max]),   E over validation images, p_max = max softmax

Settled by the authors' notebooks (VectorInstitute/gram-ood-detection): rows of the matrix are summed before the root;
classes are predicted ones, in training too; deviations are divided by the largest softmax probability; powers 1 to
10; the expectation over a tenth of the test images, for which validation images stand here. They read some hundred maps
(each convolution, normalisation and activation); here those after the stem and each stage. OpenOOD has powers 1 to 5,
true classes, and holds out a tenth of the training images by an unseeded draw; pytorch-ood does not divide by p_max.
Both keep all training Grams in memory; here only the ranges are kept. sum_j G_ij = sum_s F_is^p sum_j F_js^p needs no
matrix. All in float64: F^10 is large.

A class that no training image is predicted as takes the range of all classes. |min| and |max| count as 1e-6 at least;
the authors' code adds as much. A layer in which no validation image deviates is divided by 1.

Fails where hardly anything deviates: extremes widen with every training image, and the score of all that stays within
them is 0. With so few maps that is 93 % of the test images of `fashion-mnist-v2`, 66 % of those attacked by BIM, 11 to
26 % of MNIST's digits; none of these is told from another. With few training images the ranges are narrow, and
validation images deviate as much as others; and an image whose channels are correlated as usual has the score of a good
one wherever its parts stand.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import LOGITS, MAPS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain

LEAST = 1e-6
"""Smallest unit of a deviation."""


class Ranges(NamedTuple):
    """Smallest and largest Grams of each layer by predicted class, and each layer's mean deviation on validation."""

    low: tuple[Float[Tensor, "C _"], ...]
    high: tuple[Float[Tensor, "C _"], ...]
    unit: Float[Tensor, "L"]


def grams(feature_map: Float[Tensor, "n F h w"], powers: int) -> Float[Tensor, "n FP"]:
    """Return the row sums of the Gram matrices of orders 1 to `powers`, each to the power 1/p, in float64."""
    F, made = feature_map.flatten(2).double(), []
    for p in range(1, powers + 1):
        power = F.pow(p)
        rows = (power * power.sum(dim=1, keepdim=True)).sum(dim=2)
        size = torch.where(rows == 0, 1.0, rows.abs())  # a root's derivative at 0 is infinite
        made.append(rows.sign() * size.pow(1 / p))
    return torch.cat(made, dim=1)


@final
@dataclass(frozen=True)
class Gram:
    """Minus the sum over layers of how far the Grams leave the training range, in units of validation images.

    Attributes:
        powers: P.
    """

    powers: int = 10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({MAPS, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"validation"})

    def fit(self, data: FitData) -> Ranges:
        """Return the ranges over training images, and the deviations of validation images."""
        low, high = self._ranges(data)
        one = torch.ones(len(low), dtype=torch.float64, device=low[0].device)
        held_out = [self._deviations(Ranges(low, high, one), batch) for batch in data.validation.batches()]
        unit = torch.cat(held_out).mean(dim=0)
        return Ranges(low, high, torch.where(unit > 0, unit, one))

    def score(self, state: Ranges, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -sum_l delta_l / (p_max E[delta_l / p_max])."""
        return -(self._deviations(state, batch) / state.unit).sum(dim=1).float()

    def _ranges(self, data: FitData) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        low: list[Tensor] = []
        high: list[Tensor] = []
        for batch in data.train.batches():
            y = batch.logits.argmax(dim=1)
            maps: tuple[Tensor, ...] = batch[MAPS]
            for layer, feature_map in enumerate(maps):
                g = grams(feature_map, self.powers)
                if layer == len(low):
                    low.append(g.new_full((data.classes, g.shape[1]), torch.inf))
                    high.append(-low[layer])
                place = y[:, None].expand_as(g)
                low[layer].scatter_reduce_(0, place, g, "amin")
                high[layer].scatter_reduce_(0, place, g, "amax")
        return (
            tuple(torch.where(one.isinf(), one.amin(dim=0), one) for one in low),
            tuple(torch.where(one.isinf(), one.amax(dim=0), one) for one in high),
        )

    def _deviations(self, state: Ranges, batch: Outputs) -> Float[Tensor, "n L"]:
        """Return delta_l / p_max of each layer."""
        p, y = batch.logits.double().softmax(dim=1).max(dim=1)
        maps: tuple[Tensor, ...] = batch[MAPS]
        made = []
        for feature_map, low, high in zip(maps, state.low, state.high, strict=True):
            g = grams(feature_map, self.powers)
            below = (low[y] - g).clamp_min(0) / low[y].abs().clamp_min(LEAST)
            above = (g - high[y]).clamp_min(0) / high[y].abs().clamp_min(LEAST)
            made.append((below + above).sum(dim=1) / p)
        return torch.stack(made, dim=1)


METHODS = (
    Method(
        name="gram",
        title="Gram matrices",
        paper=Citation(
            authors="Sastry, Oore",
            title="Detecting Out-of-Distribution Examples with Gram Matrices",
            year=2020,
            url="https://arxiv.org/abs/1912.12510",
        ),
        recipe=Plain(),
        detector=Gram(),
        family="features",
    ),
)
