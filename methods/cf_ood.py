"""CF-OOD: how large a neighbourhood has to be before enough training inputs count an input among their neighbours.

Angiulli, Fassetti & Zupi, "CF-OOD: Concentration-Free Density Estimation for Reliable Out-of-Distribution Detection",
2026; the score is their Concentration-Free Outlier Factor.

    u = f(x) / ||f(x)||,   u_1 ... u_n of training inputs drawn at random, a share alpha of all
    r_i(x) = 1 + number of j != i with ||u_i - u_j|| < ||u_i - u(x)||     x is the r_i-th nearest neighbour of i
    s(x) = -k'(x) / n,   k' the smallest k with r_i(x) <= k for at least rho n of the n references

It is k nearest neighbours the other way round: not how near the references are to x, but how near x is to them by their
own measure. r_i is made continuous, by a line between the two neighbours of i that x lies between and by the distance
beyond the last, so that inputs of equal k' rank; rounded up it is r_i. OpenOOD's code, whose alpha = 10 % and rho = 1 %
are taken over, reads r_i off a grid of 230 sizes, where all inputs beyond the largest tie, and draws its references
without a seed. The definition is settled from that code and the paper's abstract. The references are at least 1 / rho,
so that rho n is one, and at most `most`: their distances to each other are kept, a table of n x n.

Fails where a class has fewer than a share rho of the training inputs: its own images are neighbours of too few.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import banks
from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.recipes import Plain


class References(NamedTuple):
    """The references.

    Attributes:
        u: Directions of their features.
        ascending: The distances of each to the others, nearest first.
    """

    u: Float[Tensor, "n F"]
    ascending: Float[Tensor, "n m"]


@final
@dataclass(frozen=True)
class ConcentrationFree:
    """Minus the share of the references that a neighbourhood has to hold.

    Attributes:
        alpha: Share of the training inputs that are references.
        rho: Share of the references that have to count an input among their neighbours.
        most: References at most.
    """

    alpha: float = 0.1
    rho: float = 0.01
    most: int = 4096

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> References:
        """Return the references and their distances to each other.

        Raises:
            BadData: There is one training input.
        """
        n = len(data.train)
        if n < 2:
            raise BadData("cf-ood: a training input has no neighbour; give two at least")
        size = max(math.ceil(1 / self.rho), round(self.alpha * n))
        u = normalize(data.train.features[banks.drawn(n, min(size, self.most), data.seed)], dim=1)
        others = [_distances(u, rows) for rows in torch.split(u, banks.ROWS)]
        apart = torch.cat(others, dim=1).fill_diagonal_(torch.inf)
        return References(u, apart.sort(dim=1).values[:, :-1].contiguous())

    def score(self, state: References, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -k' / n, k' made continuous."""
        n = len(state.u)
        u = torch.split(normalize(batch.features, dim=1), banks.ROWS)
        ranks = [_ranks(state.ascending, _distances(state.u, rows)) for rows in u]
        return -torch.cat([r.kthvalue(math.ceil(self.rho * n), dim=0).values for r in ranks]) / n


def _distances(u: Tensor, rows: Tensor) -> Float[Tensor, "n q"]:
    return torch.cdist(u.double(), rows.double(), compute_mode="use_mm_for_euclid_dist").to(u.dtype)


def _ranks(ascending: Float[Tensor, "n m"], distance: Float[Tensor, "n q"]) -> Float[Tensor, "n q"]:
    """Return how many of a reference's neighbours are nearer to it, and which part of the way to the next is gone."""
    m = ascending.shape[1]
    nearer = torch.searchsorted(ascending, distance)
    low = ascending.gather(1, (nearer - 1).clamp_min(0)).masked_fill(nearer == 0, 0.0)
    gap = torch.where(nearer < m, ascending.gather(1, nearer.clamp_max(m - 1)) - low, 1.0)
    return nearer + (distance - low) / torch.where(gap > 0, gap, 1.0)


METHODS = (
    Method(
        name="cf-ood",
        title="CF-OOD (α = 10 %, ϱ = 1 %)",
        paper=Citation(
            authors="Angiulli, Fassetti, Zupi",
            title="CF-OOD: Concentration-Free Density Estimation for Reliable Out-of-Distribution Detection",
            year=2026,
            url="https://iris.unical.it/handle/20.500.11770/399817",
        ),
        recipe=Plain(),
        detector=ConcentrationFree(),
        family="features",
    ),
)
