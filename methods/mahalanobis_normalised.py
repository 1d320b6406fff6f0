"""Mahalanobis distance, and the relative one, of features of length 1.

Müller & Hein, "Mahalanobis++: Improving OOD Detection via Feature Normalization", ICML 2025.

    u = f(x) / ||f(x)||, in training and at test time, before any mean or covariance
    mahalanobis++   s(x) = -min_c d_c(x),            d_c as of mahalanobis-a (Lee 2018) with u in the place of f
    rmds++          s(x) = -min_c (d_c(x) - d_0(x)), d_c and d_0 as of rmds (Ren 2021) with u in the place of f

The paper's reason: the lengths of features vary more, from class to class, than a Gaussian with a shared covariance
allows. On the sphere a class cannot vary along its own mean to first order, so that the covariance may be near-singular
(of two features a class is a short arc). Directions of at most `rtol` of the largest variance are left out: that is
above what rounding of float32 leaves where there is no width, some 1e-13, and far below any width of the data. A
feature vector of zeros has no direction and stays where it is, at the centre of the sphere.

Fails where the length of the features is what tells an input from the training inputs: a dim or empty image whose
features are those of a class times 0.1 has the score of that class.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.estimators import Gaussians, RelativeGaussians, fit_gaussians, fit_relative_gaussians
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class NormalisedMahalanobis:
    """Minus the squared distance to the nearest class mean, on the unit sphere.

    Attributes:
        rtol: Directions of at most this share of the largest variance are left out.
    """

    rtol: float = 1e-10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Gaussians:
        """Return the Gaussians of the normalised training features."""
        return fit_gaussians(normalize(data.train.features, dim=1), data.train.labels, self.rtol)

    def score(self, state: Gaussians, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -min_c d_c."""
        return -state.squared_distance(normalize(batch.features, dim=1)).amin(dim=1).float()


@final
@dataclass(frozen=True)
class NormalisedRelativeMahalanobis:
    """Minus the squared distance to the nearest class mean, less that to the mean of all, on the unit sphere.

    Attributes:
        rtol: Directions of at most this share of the largest variance are left out.
    """

    rtol: float = 1e-10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> RelativeGaussians:
        """Return the Gaussians of the normalised training features."""
        return fit_relative_gaussians(normalize(data.train.features, dim=1), data.train.labels, self.rtol)

    def score(self, state: RelativeGaussians, batch: Outputs) -> Float[Tensor, "n"]:
        """Return d_0 - min_c d_c."""
        return state.confidence(normalize(batch.features, dim=1)).float()


PAPER = Citation(
    authors="Müller, Hein",
    title="Mahalanobis++: Improving OOD Detection via Feature Normalization",
    year=2025,
    url="https://arxiv.org/abs/2505.18032",
)

METHODS = (
    Method(
        name="mahalanobis++",
        title="Mahalanobis++",
        paper=PAPER,
        recipe=Plain(),
        detector=NormalisedMahalanobis(),
        family="features",
    ),
    Method(
        name="rmds++",
        title="Relative Mahalanobis++",
        paper=PAPER,
        recipe=Plain(),
        detector=NormalisedRelativeMahalanobis(),
        family="features",
    ),
)
