"""PaDiM: the Mahalanobis distance at each place of the last feature map, and the largest of them.

Defard, Setkov, Loesch & Audigier, "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2020 workshops.

    f_s = d channels of the feature map at place s, drawn at random once, the same for all places
    mu_s = mean of f_s over the training images,   Sigma_s = 1/(N - 1) sum_i (f_is - mu_s)(f_is - mu_s)^T + eps I
    s(x) = -max_s sqrt( (f_s - mu_s)^T Sigma_s^-1 (f_s - mu_s) )

One Gaussian a place, of all classes together: Lee's distance, before the map is pooled. The paper joins three maps of a
network that never saw the images, and finds faults in pictures of objects that all stand alike; here it is the last map
of the classifier itself. d = 100 at random (the paper's for a ResNet-18, of 448) and eps = 0.01 are its own; where the
map has fewer channels all are read. Moments are summed a batch at a time, in float64: memory is h w d^2 numbers,
whatever the training set. eps keeps a channel that never fires at a place from dividing by 0: there it is the
variance. The unit of eps is that of the features, so on a network of large or small ones it weighs otherwise.

Fails where what stands at a place differs from image to image, as in photographs of many classes: the Gaussians are
then wide, and one unusual place of a good image makes its score.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench import banks
from oodbench.contract import FEATURE_MAP, Citation, FitData, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.recipes import Plain


class Patches(NamedTuple):
    """Means by place, roots R with R R^T = Sigma^-1, and the channels that are read."""

    mu: Float[Tensor, "P d"]
    root: Float[Tensor, "P d d"]
    channels: Int[Tensor, "d"]


@final
@dataclass(frozen=True)
class PatchDistribution:
    """Minus the largest Mahalanobis distance over places of the last feature map.

    Attributes:
        d: Channels that are drawn.
        eps: Added to each variance, in squared units of the features.
    """

    d: int = 100
    eps: float = 0.01

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURE_MAP})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Patches:
        """Return the Gaussians of the training images.

        Raises:
            BadData: there are fewer than two.
        """
        N = len(data.train)
        if N < 2:
            raise BadData(f"padim got {N} training images; a variance wants two at least")
        first = next(data.train.batches(1))[FEATURE_MAP]
        channels = banks.drawn(first.shape[1], self.d, data.seed).to(first.device)
        origin = _patches(first, channels)[0]  # sums about a point among them lose no digits
        total = torch.zeros_like(origin)
        squares = total.new_zeros(*total.shape, total.shape[1])
        for batch in data.train.batches():
            f = _patches(batch[FEATURE_MAP], channels) - origin
            total += f.sum(dim=0)
            squares += torch.einsum("npi,npj->pij", f, f)
        mean = total / N
        sigma = (squares - N * mean[:, :, None] * mean[:, None]) / (N - 1)
        variance, direction = torch.linalg.eigh(sigma)
        return Patches(origin + mean, direction / (variance.clamp_min(0) + self.eps).sqrt()[:, None], channels)

    def score(self, state: Patches, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -max_s of the distance."""
        f = _patches(batch[FEATURE_MAP], state.channels) - state.mu
        distance: Tensor = torch.einsum("npi,pij->npj", f, state.root).norm(dim=2)
        return -distance.amax(dim=1).float()


def _patches(feature_map: Float[Tensor, "n F h w"], channels: Int[Tensor, "d"]) -> Float[Tensor, "n P d"]:
    return feature_map[:, channels].flatten(2).mT.double()


METHODS = (
    Method(
        name="padim",
        title="PaDiM (Mahalanobis over the last map)",
        paper=Citation(
            authors="Defard, Setkov, Loesch, Audigier",
            title="PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization",
            year=2020,
            url="https://arxiv.org/abs/2011.08785",
        ),
        recipe=Plain(),
        detector=PatchDistribution(),
        family="features",
    ),
)
