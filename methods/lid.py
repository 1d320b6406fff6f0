"""LID: the local intrinsic dimensionality of each layer's activations, weighed against attacks.

Ma, Li, Wang, Erfani, Wijewickrema, Schoenebeck, Song, Houle & Bailey, "Characterizing Adversarial Subspaces Using Local
Intrinsic Dimensionality", ICLR 2018.

    LID_l(x) = -( 1/k sum_{i=1..k} log r_i / r_k )^-1,   r_i the distance of f_l(x) to its i-th nearest of a reference
    s(x) = -sum_l alpha_l LID_l(x) + beta

a logistic regression of validation images against attacked ones: the paper's detector is told of attacks. Attacked
images lie off the data, where distances grow fast: their LID is larger, so no weight may be negative
(`fit_log_odds`).

The authors' code (xingjunm/lid_adversarial_subspace_detection) takes the 100 images of the minibatch for a reference,
the input among them: a score depends on its batch, and an attacked image's own clean original is in it (the code drops
the nearest, and with it the original). Here the reference is `size` training images, drawn once by the seed, and
nothing is dropped. That code reads every layer un-pooled; the layers here are averaged over places. It adds
noisy images of the attack's own L2 norm to the good ones; the size of an attack is unknown here, and there are none.
Rows: k = 20 of 100, the code's; both tuned on the attacked validation images.

Distances are in float64. A neighbour nearer than a millionth of r_k counts as that near, and a LID is at most 1,000:
of a layer in which all distances are equal, or nothing moves at all, it is that.

Fails where bad inputs differ from the attack that it is told of: their LID may be lower, as that of blank
images is. With 100 reference images of 1,000 classes most neighbours are of other classes, and say little.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import banks
from oodbench.contract import LAYERS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.estimators import fit_log_odds
from oodbench.recipes import Plain

NEAREST = 1e-6
"""Smallest distance, as a share of the k-th."""

LARGEST = 1000.0
"""Largest dimensionality: no layer tells more with so few neighbours."""


def lid(u: Float[Tensor, "n F"], reference: Float[Tensor, "N F"], k: int) -> Float[Tensor, "n"]:
    """Return the maximum-likelihood estimate of each row's local intrinsic dimensionality, in float64, in (0, 1000]."""
    exact = "donot_use_mm_for_euclid_dist"  # products would cancel for close neighbours
    apart = torch.cdist(u.double(), reference.double(), compute_mode=exact)
    r = apart.topk(min(k, len(reference)), dim=1, largest=False).values
    share = r / r.amax(dim=1, keepdim=True)
    share = torch.where(share.isnan(), 1.0, share)  # 0 / 0: all k are where the input is
    return -1 / share.clamp_min(NEAREST).log().mean(dim=1).clamp_max(-1 / LARGEST)


class Reference(NamedTuple):
    """Each layer's activations of the reference images, and the regression that weighs the layers."""

    layers: tuple[Float[Tensor, "N _"], ...]
    alpha: Float[Tensor, "L"]
    beta: float


@final
@dataclass(frozen=True)
class LocalDimensionality:
    """The log-odds that an input is none of the attacked, from the local dimensionality in each layer.

    Attributes:
        k: Neighbours.
        size: Reference images.
        folds: Of the cross-validation that chooses the regression's penalty.
    """

    k: int = 20
    size: int = 100
    folds: int = 3

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LAYERS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"validation", "adversarial_validation"})

    def fit(self, data: FitData) -> Reference:
        """Return the reference, and the regression of validation images against attacked ones."""
        rows = banks.drawn(len(data.train), self.size, data.seed)
        reference = tuple(layer[rows.to(layer.device)] for layer in data.train.layers)
        inside, outside = (
            torch.cat([self._confidences(reference, batch) for batch in held_out.batches()])
            for held_out in (data.validation, data.adversarial_validation)
        )
        return Reference(reference, *fit_log_odds(inside, outside, folds=self.folds, seed=data.seed))

    def score(self, state: Reference, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -sum_l alpha_l LID_l + beta."""
        return (self._confidences(state.layers, batch) @ state.alpha + state.beta).float()

    def _confidences(self, reference: tuple[Tensor, ...], batch: Outputs) -> Float[Tensor, "n L"]:
        layers = zip(batch.layers, reference, strict=True)
        return torch.stack([-lid(layer, bank, self.k) for layer, bank in layers], dim=1)


PAPER = Citation(
    authors="Ma, Li, Wang, Erfani, Wijewickrema, Schoenebeck, Song, Houle, Bailey",
    title="Characterizing Adversarial Subspaces Using Local Intrinsic Dimensionality",
    year=2018,
    url="https://arxiv.org/abs/1801.02613",
)

METHODS = (
    Method(
        name="lid",
        title="LID (k = 20 of 100)",
        paper=PAPER,
        recipe=Plain(),
        detector=LocalDimensionality(),
        family="features",
    ),
    Method(
        name="lid-tuned",
        title="LID (tuned on FGSM)",
        paper=PAPER,
        recipe=Plain(),
        detector=LocalDimensionality(),
        family="features",
        search=Grid(over=(("k", (10, 20, 50, 90)), ("size", (100, 1000))), on="adversarial_validation"),
    ),
)
