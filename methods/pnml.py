"""pNML: regret of the last layer.

Bibas, Feder & Hassner, "Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution Detection",
NeurIPS 2021.

    u = f / ||f||,   X = the training images' u in rows,   g = u^T (X^T X)^+ u,   kappa = g / (1 + g)
    p = softmax(W u + b),   t_c = p_c / (p_c + (1 - p_c) p_c^kappa),   s(x) = -log sum_c t_c / log C,   ranked by
    -log(sum_c t_c - 1) = -log sum_c t_c (1 - p_c)(1 - p_c^kappa)

log sum_c t_c is the regret of not knowing the label, were the last layer fitted with it. The last sum has terms that
are none below 0: kappa is about F / N, and in float32 the regrets of most inputs are the rounding of 1. p is that of
the normalised features, as in the authors' code and in pytorch-ood: with the features as they are, it is sure of too
much. The authors invert X^T X and fall back to the pseudo-inverse; here it is always that, without the directions
whose variance is rounding.

Features that are all 0 have no direction (NaN in the authors' code): they count as unlike any, kappa = 1.

Fails where strange inputs lie in directions in which no training feature has any width: the pseudo-inverse says that
nothing is to be learnt there, and calls them sure. With many images a feature, kappa is small for all, and the
softmax decides alone.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import formulas
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Training(NamedTuple):
    """R with R R^T = (X^T X)^+."""

    R: Float[Tensor, "F r"]


@final
@dataclass(frozen=True)
class Pnml:
    """Minus the regret of the last layer.

    Attributes:
        rtol: Directions of at most this share of the largest second moment are rounding, and left out.
    """

    rtol: float = 1e-10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Training:
        """Return the root of the pseudo-inverse."""
        f = data.train.features
        gram = f.new_zeros(f.shape[1], f.shape[1], dtype=torch.float64)
        for rows in torch.split(f, formulas.ROWS):
            u = normalize(rows.double(), dim=1)
            gram += u.T @ u
        return Training(formulas.precision_root(gram, self.rtol))

    def score(self, state: Training, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -log(sum_c t_c - 1)."""
        f = batch.features.double()
        u = normalize(f, dim=1)
        g = (u @ state.R).square().sum(dim=1, keepdim=True)
        kappa = torch.where(f.any(dim=1, keepdim=True), g / (1 + g), 1.0)
        log_p, log_q = formulas.log_probabilities(formulas.through_head(u, batch.head))
        log_t = log_p - torch.logaddexp(log_p, log_q + kappa * log_p)
        excess = (log_t + log_q).exp() * -torch.expm1(kappa * log_p)
        return -excess.sum(dim=1).clamp_min(torch.finfo(f.dtype).tiny).log().float()


METHODS = (
    Method(
        name="pnml",
        title="pNML",
        family="features",
        paper=Citation(
            authors="Bibas, Feder, Hassner",
            title="Single Layer Predictive Normalized Maximum Likelihood for Out-of-Distribution Detection",
            year=2021,
            url="https://arxiv.org/abs/2110.09246",
        ),
        recipe=Plain(),
        detector=Pnml(),
    ),
)
