"""The log density of the features under a Gaussian mixture (Shao 2020): see `methods/feature_gmm.py`."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, FitData, Material, Output, Outputs
from oodbench.estimators import Mixture, fit_mixture, unit_scale


@final
@dataclass(frozen=True)
class FeatureMixture:
    """The log density of the features under one mixture.

    Attributes:
        K: Components.
        max_iter: Most steps of EM.
        tol: Rise of the mean log density, in nats, below which EM stops.
        floor: Added to each variance, in units of the feature's variance.
        points: Fewest training images a component stands for on average; caps K.
    """

    K: int
    max_iter: int = 200
    tol: float = 1e-3
    floor: float = 1e-6
    points: int = 10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Mixture:
        """Return the mixture of the training features."""
        f = data.train.features
        return fit_mixture(
            f,
            max(1, min(self.K, len(f) // self.points)),
            scale=unit_scale(f),
            floor=self.floor,
            tol=self.tol,
            max_iter=self.max_iter,
            seed=data.seed,
        )

    def score(self, state: Mixture, batch: Outputs) -> Float[Tensor, "n"]:
        """Return log p(f(x)), in nats."""
        return state.log_density(batch.features).float()
