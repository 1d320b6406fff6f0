"""NNGuide: the energy, guided by the nearest training features, each weighed with its own energy.

Park, Jung & Teoh, "Nearest Neighbor Guidance for Out-of-Distribution Detection", ICCV 2023.

    u = f(x) / ||f(x)||,   E(x) = log sum_c exp z_c(x)
    b_i = E(x_i) u_i                                    for a share alpha of the training inputs, drawn at random
    s(x) = E(x) * mean of the k largest u(x) . b_i

The row `nnguide` has the authors' alpha = 1 %, drawn at random, and k = 10; `nnguide-tuned` chooses both. OpenOOD has k
= 100, and for alpha = 1 % reads the first batches of a loader that is not shuffled: on CIFAR-10, whose list is sorted
by class, 500 images of one class. Here the bank is drawn by the seed, and has at least k inputs where there are as
many. It is compared with a block of inputs at a time.

Fails where the energies of known inputs are negative, as they are where all logits are well below 0: then both factors
are, and the less confident of two inputs scores higher. A small bank may hold no image of a rare class.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import banks, formulas
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Guides(NamedTuple):
    """The bank: directions of training features, times their energies."""

    b: Float[Tensor, "N F"]


@final
@dataclass(frozen=True)
class NearestNeighbourGuidance:
    """The energy times the mean of the largest inner products with the bank.

    Attributes:
        alpha: Share of the training inputs that are in the bank.
        k: How many of them guide an input; all where there are fewer.
    """

    alpha: float = 0.01
    k: int = 10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Guides:
        """Return a bank, drawn at random."""
        n = len(data.train)
        rows = banks.drawn(n, max(self.k, round(self.alpha * n)), data.seed)
        f, z = data.train.features[rows], data.train.logits[rows]
        return Guides(normalize(f, dim=1) * formulas.energy(z)[:, None])

    def score(self, state: Guides, batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(x) times the mean of the k largest u . b_i."""
        k = min(self.k, len(state.b))
        guidance = [
            (u @ state.b.T).topk(k, dim=1).values.mean(dim=1)
            for u in torch.split(normalize(batch.features, dim=1), banks.ROWS)
        ]
        return formulas.energy(batch.logits) * torch.cat(guidance)


PAPER = Citation(
    authors="Park, Jung, Teoh",
    title="Nearest Neighbor Guidance for Out-of-Distribution Detection",
    year=2023,
    url="https://arxiv.org/abs/2309.14888",
)

METHODS = (
    Method(
        name="nnguide",
        title="NNGuide (α = 1 %, k = 10)",
        paper=PAPER,
        recipe=Plain(),
        detector=NearestNeighbourGuidance(),
        family="features",
    ),
    Method(
        name="nnguide-tuned",
        title="NNGuide (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=NearestNeighbourGuidance(),
        family="features",
        search=Grid(over=(("alpha", (0.01, 0.1, 1.0)), ("k", (1, 10, 100)))),
    ),
)
