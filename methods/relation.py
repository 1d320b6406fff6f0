"""Relation: how strongly an input is tied to the training inputs, in features and in predictions at once.

Kim, Yun & Song, "Neural Relation Graph: A Unified Framework for Identifying Label Noise and Outlier Data", NeurIPS
2023.

    k(x, i) = max(0, cos(f(x), f(x_i))) * p(x) . p(x_i),   p the softmax
    s(x) = sum_i 1[k(x, i) > 0.03] k(x, i)^t               over all training inputs

p . p' is the chance that two inputs that are labelled by their softmax get the same label. The threshold is in the
authors' code, not in the paper's formula. So is t = 1 for out-of-distribution inputs (other t are for label noise),
which the row `relation` has; `relation-tuned` chooses among 1, 2, 4, 6 and 8 as OpenOOD does. The authors score 1 / (s
+ 10^-6) the other way round: the same rank. Sums are in float64. An input costs a product with every training input;
blocks of both are compared, so that memory grows with neither set. Of more than `most` training inputs a random draw of
so many stands for all.

Fails where the classes differ in size: the sum is over the inputs of the predicted class nearly alone, so that an input
of a rare class scores low for its class, not for itself. And with very many classes and flat softmaxes every k falls
below the threshold, and all such inputs tie at 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import banks
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

ROWS = 2048
"""Inputs, and training inputs, that are compared at a time."""


class Graph(NamedTuple):
    """Directions of the training features, and softmaxes."""

    u: Float[Tensor, "N F"]
    p: Float[Tensor, "N C"]


@final
@dataclass(frozen=True)
class Relation:
    """The sum of the kernel between an input and all training inputs.

    Attributes:
        t: Its power: the larger, the more the closest count.
        threshold: Relations of at most this are no edge of the graph.
        most: Training inputs that are kept.
    """

    t: int = 1
    threshold: float = 0.03
    most: int = 2**17

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Graph:
        """Return the training inputs' directions and softmaxes."""
        rows = banks.drawn(len(data.train), self.most, data.seed)
        return Graph(*_nodes(data.train.features[rows], data.train.logits[rows]))

    def score(self, state: Graph, batch: Outputs) -> Float[Tensor, "n"]:
        """Return sum_i 1[k > threshold] k^t."""
        nodes = _nodes(batch.features, batch.logits)
        return torch.cat([self._edges(state, *block) for block in _blocks(*nodes)]).float()

    def _edges(self, state: Graph, u: Tensor, p: Tensor) -> Float[Tensor, "n"]:
        total = u.new_zeros(len(u), dtype=torch.float64)
        for u_i, p_i in _blocks(*state):
            k = (u @ u_i.T).clamp_min(0) * (p @ p_i.T)
            total += torch.where(k > self.threshold, k**self.t, 0.0).sum(dim=1, dtype=torch.float64)
        return total


def _blocks(u: Tensor, p: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(u, ROWS), torch.split(p, ROWS), strict=True)


def _nodes(f: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    return normalize(f, dim=1), z.softmax(dim=1)


PAPER = Citation(
    authors="Kim, Yun, Song",
    title="Neural Relation Graph: A Unified Framework for Identifying Label Noise and Outlier Data",
    year=2023,
    url="https://arxiv.org/abs/2301.12321",
)

METHODS = (
    Method(
        name="relation",
        title="Relation (t = 1)",
        paper=PAPER,
        recipe=Plain(),
        detector=Relation(),
        family="features",
    ),
    Method(
        name="relation-tuned",
        title="Relation (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=Relation(),
        family="features",
        search=Grid(over=(("t", (1, 2, 4, 6, 8)),)),
    ),
)
