"""A Gaussian mixture for each class's features.

Zheng & Hong, "Robust Detection of Adversarial Attacks by Modeling the Intrinsic Properties of Deep Neural Networks",
NeurIPS 2018.

    p_c(f) = sum_k pi_ck N(f; mu_ck, diag sigma2_ck), fitted by EM to the training features whose true class is c
    s(x) = log p_y^(f(x)) - tau_y^,   y^ the predicted class,   tau_c the 5 % quantile of log p_c over held-out
                                      in-distribution inputs that are predicted as c

The paper rejects x where s(x) < 0. It states neither K nor the covariance: K = 10, diagonal, chosen here. A field
offers two other ways to make classes comparable: "cdf", the class's own distribution function of log p_c, continued as
a straight line beyond its ends so that nothing ties; and "none", the raw log density, which gives a different ROC.

Fails where strange inputs excite the layer as inputs of the predicted class do: nothing but these activations is looked
at.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.estimators import Mixture, fit_mixture, unit_scale
from oodbench.recipes import Plain


class Classes(NamedTuple):
    """What is known of each class."""

    mixtures: tuple[Mixture, ...]
    """p_c; of all classes together for a class without training images."""
    percentiles: Float[Tensor, "C 101"]
    """Of log p_c over held-out inputs predicted as c; over all held-out inputs for a class that is never predicted."""


@final
@dataclass(frozen=True)
class ClassMixtures:
    """The predicted class's log density of the features, made comparable between classes.

    Attributes:
        K: Components of each class.
        normalise: "threshold" subtracts tau_c; "cdf" and "none" as above.
        percentile: Which percentile tau_c is.
        max_iter: Most steps of EM.
        tol: Rise of the mean log density, in nats, below which EM stops.
        floor: Added to each variance, in units of the feature's variance over all classes.
        points: Fewest training images a component stands for on average; caps K.
    """

    K: int = 10
    normalise: Literal["threshold", "cdf", "none"] = "threshold"
    percentile: int = 5
    max_iter: int = 200
    tol: float = 1e-3
    floor: float = 1e-6
    points: int = 10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels", "validation"})

    def fit(self, data: FitData) -> Classes:
        """Return each class's mixture, and the percentiles of its log density on held-out inputs."""
        f, labels = data.train.features, data.train.labels
        scale = unit_scale(f)

        def mixture(of: Tensor) -> Mixture:
            components = max(1, min(self.K, len(of) // self.points))
            return fit_mixture(
                of, components, scale=scale, floor=self.floor, tol=self.tol, max_iter=self.max_iter, seed=data.seed
            )

        mixtures = tuple(mixture(own(f, labels, c)) for c in range(data.classes))
        y = data.validation.logits.argmax(dim=1)
        log_p = log_density(mixtures, data.validation.features, y)
        levels = torch.linspace(0, 1, 101, dtype=log_p.dtype, device=log_p.device)
        return Classes(mixtures, torch.stack([own(log_p, y, c).quantile(levels) for c in range(data.classes)]))

    def score(self, state: Classes, batch: Outputs) -> Float[Tensor, "n"]:
        """Return s(x)."""
        y = batch.logits.argmax(dim=1)
        log_p = log_density(state.mixtures, batch.features, y)
        if self.normalise == "threshold":
            log_p = log_p - state.percentiles[y, self.percentile]
        elif self.normalise == "cdf":
            log_p = distribution_function(log_p, state.percentiles[y])
        return log_p.float()


def own(rows: Tensor, labels: Int[Tensor, "n"], c: int) -> Tensor:
    """Return the rows of class c, or all rows if it has none."""
    chosen = rows[labels == c]
    return chosen if len(chosen) else rows


def log_density(mixtures: tuple[Mixture, ...], f: Float[Tensor, "n F"], y: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return log p_y(f) of each row under its own class's mixture, in float64."""
    log_p = f.new_empty(len(f), dtype=torch.float64)
    for c in torch.unique(y).tolist():
        log_p[y == c] = mixtures[c].log_density(f[y == c])
    return log_p


def distribution_function(value: Float[Tensor, "n"], percentiles: Float[Tensor, "n 101"]) -> Float[Tensor, "n"]:
    """Return each value's place in its row's distribution: within [0, 1], and on along a straight line beyond."""
    lowest, highest = percentiles[:, 0], percentiles[:, -1]
    within = value.clamp(lowest, highest)[:, None]
    above = torch.searchsorted(percentiles, within).clamp(1, 100)
    left, right = percentiles.gather(1, above - 1), percentiles.gather(1, above)
    share = (above - 1 + (within - left) / _width(right - left)) / 100
    return share[:, 0] + (value - within[:, 0]) / _width(highest - lowest)


def _width(difference: Tensor) -> Tensor:
    return torch.where(difference > 0, difference, 1.0)


METHODS = (
    Method(
        name="zheng",
        title="Class mixtures (I-defender)",
        family="features",
        paper=Citation(
            authors="Zheng, Hong",
            title="Robust Detection of Adversarial Attacks by Modeling the Intrinsic Properties of Deep Neural "
            "Networks",
            year=2018,
            url="https://proceedings.neurips.cc/paper/2018/hash/e7a425c6ece20cbc9056f98699b53c6f-Abstract.html",
        ),
        recipe=Plain(),
        detector=ClassMixtures(),
    ),
)
