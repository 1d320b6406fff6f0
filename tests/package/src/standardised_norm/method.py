"""Norm of standardised features.

Nobody: it is here to show how a package is made.

    mu, sigma = mean and standard deviation of each feature (training set)
    s(x) = 1/F sum_j | f_j(x) - mu_j | / (sigma_j + eps)

What a network knows excites some features far beyond their mean; noise leaves all of them near it. Fails where strange
inputs excite more features than known ones do.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Moments(NamedTuple):
    """mu and sigma of each feature."""

    mu: Float[Tensor, "F"]
    sigma: Float[Tensor, "F"]


@final
@dataclass(frozen=True)
class StandardisedNorm:
    """The mean deviation in units of the standard deviation.

    Attributes:
        eps: Added to sigma: a unit that never fires has none.
    """

    eps: float = 1e-2

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Moments:
        """Return the moments of the training features."""
        f = data.train.features
        return Moments(f.mean(dim=0), f.std(dim=0, correction=0))

    def score(self, state: Moments, batch: Outputs) -> Float[Tensor, "n"]:
        """Return s(x)."""
        return ((batch.features - state.mu).abs() / (state.sigma + self.eps)).mean(dim=1)


METHODS = (
    Method(
        name="standardised-norm",
        title="Standardised features",
        family="features",
        paper=Citation(authors="Nobody", title="A package of its own", year=2026, url="https://example.org"),
        recipe=Plain(),
        detector=StandardisedNorm(),
    ),
)
