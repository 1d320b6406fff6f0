"""Mahalanobis distance to the nearest class mean.

Lee, Lee, Lee & Shin, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
NeurIPS 2018.

    mu_c = mean of f over class c,  Sigma = 1/N sum_i (f_i - mu_{y_i})(f_i - mu_{y_i})^T  (training set, true labels)
    d_c(x) = (f(x) - mu_c)^T Sigma^+ (f(x) - mu_c),   c^ = argmin_c d_c(x)
    x~ = x - eps sign grad_x 1/2 d_c^(x)                                               (pixels of [0, 1], not clipped)
    M(x) = max_c -d_c(x~);   with several layers s(x) = sum_l alpha_l M_l(x) + beta, each M_l after its own layer's step

alpha and beta are a logistic regression of held-out in-distribution against held-out out-of-distribution inputs; alpha
is not negative, and its penalty the strongest that does as well in cross-validation, since Lee's regression is
arbitrary where a line separates the two. Rows: (a) last layer; (b) last layer, step; (c) all layers; (d) all layers,
step; (d, FGSM) all layers, step, with validation images after FGSM in the place of the outside: Lee's "unknown"
out-of-distribution inputs and attacks (Tables 2 and 3). eps is chosen on inputs that the regression has not seen.
Sigma is singular where a unit never fires, hence the pseudo-inverse.

Fails where classes are no Gaussians of one covariance, and on the classifier's own mistakes: an input between two
classes is near both. With a nearly singular covariance the distance hangs on directions without data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import (
    FEATURES,
    INPUTS,
    LAYERS,
    NETWORK,
    Citation,
    FitData,
    Grid,
    Material,
    Method,
    Output,
    Outputs,
)
from oodbench.estimators import Gaussians, fit_gaussians, fit_log_odds
from oodbench.recipes import Plain


def confidence(batch: Outputs, d: Callable[[Outputs], Float[Tensor, "n C"]], eps: float) -> Float[Tensor, "n"]:
    """Return M(x): minus the smallest d_c, after a step of length eps towards the mean that is nearest before it."""
    if eps:
        batch = batch.at(batch.inputs - eps * batch.grad(lambda v: 0.5 * d(v).amin(dim=1)).sign())
    return -d(batch).amin(dim=1)


@final
@dataclass(frozen=True)
class Mahalanobis:
    """Minus the squared distance to the nearest class mean in the features (rows a and b).

    Attributes:
        eps: Length of the step, in pixels of [0, 1].
        rtol: Directions of at most this share of the largest variance are rounding of float32 activations, not data.
    """

    eps: float = 0.0
    rtol: float = 1e-10

    version: ClassVar[int] = 1
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    @property
    def reads(self) -> frozenset[Output]:
        """The features, and the gradient if there is a step to take."""
        return frozenset({FEATURES, INPUTS, NETWORK}) if self.eps else frozenset({FEATURES})

    def fit(self, data: FitData) -> Gaussians:
        """Return the Gaussians of the training features."""
        return fit_gaussians(data.train.features, data.train.labels, self.rtol)

    def score(self, state: Gaussians, batch: Outputs) -> Float[Tensor, "n"]:
        """Return M(x)."""
        return confidence(batch, lambda v: state.squared_distance(v.features), self.eps).float()


class Layers(NamedTuple):
    """Every layer's Gaussians, and the regression that weighs their confidences."""

    gaussians: tuple[Gaussians, ...]
    alpha: Float[Tensor, "L"]
    beta: float


@final
@dataclass(frozen=True)
class LayeredMahalanobis:
    """A weighted sum of every layer's confidence: the log-odds of being in-distribution (rows c and d).

    Attributes:
        eps: Length of the step, in pixels of [0, 1].
        rtol: As above.
        folds: Of the cross-validation that chooses the regression's penalty; Lee's scikit-learn had 3.
        against: The held-out bad inputs of the regression.
    """

    eps: float = 0.0
    rtol: float = 1e-10
    folds: int = 3
    against: Literal["ood_validation", "adversarial_validation"] = "ood_validation"

    version: ClassVar[int] = 2

    @property
    def fits_on(self) -> frozenset[Material]:
        """Labels for the Gaussians, held-out good and bad inputs for the regression."""
        return frozenset({"labels", "validation", self.against})

    @property
    def reads(self) -> frozenset[Output]:
        """The layers, and the gradient if there is a step to take."""
        return frozenset({LAYERS, INPUTS, NETWORK}) if self.eps else frozenset({LAYERS})

    def fit(self, data: FitData) -> Layers:
        """Return the Gaussians of the training layers and the regression on held-out inputs."""
        gaussians = tuple(fit_gaussians(f, data.train.labels, self.rtol) for f in data.train.layers)
        bad = data.ood_validation if self.against == "ood_validation" else data.adversarial_validation
        inside, outside = (
            torch.cat([self._confidences(gaussians, batch) for batch in held_out.batches()])
            for held_out in (data.validation, bad)
        )
        alpha, beta = fit_log_odds(inside, outside, folds=self.folds, seed=data.seed)
        return Layers(gaussians, alpha, beta)

    def score(self, state: Layers, batch: Outputs) -> Float[Tensor, "n"]:
        """Return sum_l alpha_l M_l(x) + beta."""
        return (self._confidences(state.gaussians, batch) @ state.alpha + state.beta).float()

    def _confidences(self, gaussians: tuple[Gaussians, ...], batch: Outputs) -> Float[Tensor, "n L"]:
        def d(layer: int, v: Outputs) -> Float[Tensor, "n C"]:
            return gaussians[layer].squared_distance(v.layers[layer])

        return torch.stack([confidence(batch, partial(d, i), self.eps) for i in range(len(gaussians))], dim=1)


PAPER = Citation(
    authors="Lee, Lee, Lee, Shin",
    title="A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
    year=2018,
    url="https://arxiv.org/abs/1807.03888",
)
STEPS = Grid(over=(("eps", (0.0, 0.01, 0.005, 0.002, 0.0014, 0.001, 0.0005)),))
ON_FGSM = replace(STEPS, on="adversarial_validation")

row = partial(Method, family="features", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="mahalanobis-a", title="Mahalanobis (a)", detector=Mahalanobis()),
    row(name="mahalanobis-b", title="Mahalanobis (b): step", detector=Mahalanobis(eps=0.0014), search=STEPS),
    row(name="mahalanobis-c", title="Mahalanobis (c): layers", detector=LayeredMahalanobis()),
    row(
        name="mahalanobis-d",
        title="Mahalanobis (d): layers, step",
        detector=LayeredMahalanobis(eps=0.0014),
        search=STEPS,
    ),
    row(
        name="mahalanobis-d-fgsm",
        title="Mahalanobis (d): layers, step, tuned on FGSM",
        detector=LayeredMahalanobis(eps=0.0014, against="adversarial_validation"),
        search=ON_FGSM,
    ),
)
