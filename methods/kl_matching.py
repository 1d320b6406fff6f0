"""KL matching.

Hendrycks, Basart, Mazeika, Zou, Kwon, Mostajabi, Steinhardt & Song, "Scaling Out-of-Distribution Detection for
Real-World Settings", ICML 2022.

    d_k = mean of p(x') over the validation images x' that are predicted as k,   s(x) = -min_k KL(p(x) || d_k)

No label is used. A class that no validation image is predicted as has no d_k, and the minimum is over the others, as in
pytorch-ood; OpenOOD gives it a vector with a single 1, against which every divergence is infinite: the same. d_k
comes from held-out images, not from training ones, whose p is too sure. All is done by logarithms, since p and d_k
may be 0.0 in floating point and the ratio of two such numbers decides.

Of inputs whose p is nearly 1 the score tends to log d_kk, and its differences fall below what float32 can tell from it:
scores are float64. The surest inputs are not the best: those as sure as d_k are.

Fails where the class is predicted by few validation images: d_k is the mean of those. Inputs surer than the mean of
their class score lower than it, so that an easy in-set image may rank below a strange one.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Templates(NamedTuple):
    """log d_k of the K classes that occur among the predictions, in float64."""

    log_d: Float[Tensor, "K C"]


@final
@dataclass(frozen=True)
class KlMatching:
    """Minus the divergence from the nearest class's mean posterior, in nats."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"validation"})

    def fit(self, data: FitData) -> Templates:
        """Return the mean posteriors."""
        logits = data.validation.logits
        log_p, _ = formulas.log_probabilities(logits)
        predicted = logits.argmax(dim=1)
        own = [log_p[predicted == k] for k in torch.unique(predicted)]
        return Templates(torch.stack([rows.logsumexp(dim=0) - math.log(len(rows)) for rows in own]))

    def score(self, state: Templates, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -min_k KL(p || d_k), at most 0, in float64."""
        log_p, _ = formulas.log_probabilities(batch.logits)
        p = log_p.exp()
        divergence = (p * log_p).sum(dim=1, keepdim=True) - p @ state.log_d.T
        return -divergence.amin(dim=1)


METHODS = (
    Method(
        name="kl-matching",
        title="KL matching",
        family="logits",
        paper=Citation(
            authors="Hendrycks, Basart, Mazeika, Zou, Kwon, Mostajabi, Steinhardt, Song",
            title="Scaling Out-of-Distribution Detection for Real-World Settings",
            year=2022,
            url="https://arxiv.org/abs/1911.11132",
        ),
        recipe=Plain(),
        detector=KlMatching(),
    ),
)
