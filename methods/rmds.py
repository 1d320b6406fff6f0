"""Relative Mahalanobis distance.

Ren, Fort, Liu, Guha Roy, Padhy & Lakshminarayanan, "A Simple Fix to Mahalanobis Distance for Improving Near-OOD
Detection", ICML Workshop on Uncertainty and Robustness in Deep Learning, 2021.

    mu_c, Sigma   as of mahalanobis-a: class means and the scatter about them, shared by the classes
    mu_0, Sigma_0 mean and scatter of all training features, whatever their class
    d_c(x) = (f(x) - mu_c)^T Sigma^-1 (f(x) - mu_c),   d_0(x) = (f(x) - mu_0)^T Sigma_0^-1 (f(x) - mu_0)
    s(x) = -min_c (d_c(x) - d_0(x))

d_0 is subtracted before the minimum or after it: that is the same. What is far from everything in directions that tell
no class from another adds the same to d_c and d_0, and counts no more. Covariances are divided by N and in float64; the
directions that the pseudo-inverse of Sigma leaves out (a unit that never fires) are left out of Sigma_0, too, where
OpenOOD and pytorch-ood treat the two apart: OpenOOD by pseudo-inverses in float32, pytorch-ood by a ridge of 1e-6 on
scatters that it does not divide by N, so that its distances are smaller by that factor. OpenOOD's score is the diagonal
of a matrix of batch x batch.

Fails where inputs from outside differ from the training inputs only in directions that tell no class from another:
there d_c and d_0 grow alike and the difference is blind. mahalanobis-a sees them.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.estimators import RelativeGaussians, fit_relative_gaussians
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class RelativeMahalanobis:
    """Minus the squared distance to the nearest class mean, less that to the mean of all.

    Attributes:
        rtol: Directions of at most this share of the largest variance are rounding of float32 activations, not data.
    """

    rtol: float = 1e-10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> RelativeGaussians:
        """Return the Gaussians of the training features."""
        return fit_relative_gaussians(data.train.features, data.train.labels, self.rtol)

    def score(self, state: RelativeGaussians, batch: Outputs) -> Float[Tensor, "n"]:
        """Return d_0 - min_c d_c."""
        return state.confidence(batch.features).float()


METHODS = (
    Method(
        name="rmds",
        title="Relative Mahalanobis",
        paper=Citation(
            authors="Ren, Fort, Liu, Guha Roy, Padhy, Lakshminarayanan",
            title="A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
            year=2021,
            url="https://arxiv.org/abs/2106.09022",
        ),
        recipe=Plain(),
        detector=RelativeMahalanobis(),
        family="features",
    ),
)
