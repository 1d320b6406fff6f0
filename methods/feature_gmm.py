"""A Gaussian mixture of the features.

Shao, Song & Ermon, "Understanding Classifier Mistakes with Generative Models", 2020.

    p(f) = sum_k pi_k N(f; mu_k, diag sigma2_k),   s(x) = log p(f(x)) in nats

fitted by EM to the features of the training images, un-augmented, without labels. K = 100 for mistakes, K = 1000 for
attacks and out-of-distribution inputs. The paper states no more; chosen here: mini-batch k-means to start, EM until
the mean log density rises by less than 0.001 nats (at most 200 steps, 30 at K = 1000, where each step costs ten times
as much and the training density has all but settled), 1e-6 of each feature's variance added to every component's, and
no more components than one for every ten training images: 350 of the 1000 where there are 3,500. The steps taken, the
last gain and the share of variances that are mostly floor stand in the state.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from bench.contract import FitData, Material, Method, Reference, View, Views
from bench.fits import Mixture, fit_mixture, unit_scale
from bench.recipes import Plain


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

    reads: ClassVar[frozenset[View]] = frozenset({"features"})
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

    def score(self, state: Mixture, batch: Views) -> Float[Tensor, "n"]:
        """Return log p(f(x)), in nats."""
        return state.log_density(batch.features).float()


PAPER = Reference(
    authors="Shao, Song, Ermon",
    title="Understanding Classifier Mistakes with Generative Models",
    year=2020,
    url="https://arxiv.org/abs/2010.02364",
)

METHODS = (
    Method(
        name="gmm-100",
        title="Feature mixture, K = 100",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMixture(K=100),
    ),
    Method(
        name="gmm-1000",
        title="Feature mixture, K = 1000",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMixture(K=1000, max_iter=30),
    ),
)
