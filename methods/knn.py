"""Distance to the k-th nearest training feature.

Sun, Ming, Zhu & Li, "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.

    u = f(x) / ||f(x)||,   s(x) = -||u - u_(k)||,   u_(k) the k-th nearest among the training inputs' u

All training features are kept (the paper's alpha = 100 %); k = 50 is its choice for CIFAR-10.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain

ROWS = 64
"""Inputs compared with the whole bank at a time: memory does not depend on the batch."""

SPARE = 10
"""Candidates found beyond k: float32 products can swap neighbours that are nearly as far as each other."""


class Bank(NamedTuple):
    """The training features on the unit sphere."""

    u: Float[Tensor, "N F"]


@final
@dataclass(frozen=True)
class NearestNeighbours:
    """Minus the distance to the k-th nearest training feature on the unit sphere, in [-2, 0].

    Attributes:
        k: Which neighbour; the farthest one where there are fewer.
    """

    k: int = 50

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Bank:
        """Return the normalised training features."""
        return Bank(normalize(data.train.features, dim=1))

    def score(self, state: Bank, batch: Outputs) -> Float[Tensor, "n"]:
        """Return minus the distance to the k-th neighbour."""
        u = normalize(batch.features, dim=1)
        return torch.cat([-self._distance(state.u, rows) for rows in torch.split(u, ROWS)]).to(u.dtype)

    def _distance(self, bank: Tensor, u: Tensor) -> Tensor:
        # ||u - v||^2 = 2 - 2 u.v cancels for close neighbours: products choose the candidates, differences measure them
        candidates = (u @ bank.T).topk(min(self.k + SPARE, len(bank)), dim=1, sorted=False).indices
        distances = (u[:, None].double() - bank[candidates].double()).norm(dim=2)
        kth: Tensor = distances.kthvalue(min(self.k, len(bank)), dim=1).values
        return kth


METHODS = (
    Method(
        name="knn",
        title="Nearest neighbours (k = 50)",
        paper=Citation(
            authors="Sun, Ming, Zhu, Li",
            title="Out-of-Distribution Detection with Deep Nearest Neighbors",
            year=2022,
            url="https://arxiv.org/abs/2204.06507",
        ),
        recipe=Plain(),
        detector=NearestNeighbours(),
    ),
)
