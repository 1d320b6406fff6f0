"""Trust score: how much nearer the predicted class is than the nearest other one.

Jiang, Kim, Guan & Gupta, "To Trust Or Not To Trust A Classifier", NeurIPS 2018.

    H_c = training features of class c, without the share alpha of them whose k-th nearest neighbour in c is farthest
    d_c(x) = min_{h in H_c} ||f(x) - h||,   y = argmax z(x)
    r(x) = min_{c != y} d_c(x) / d_y(x),    s(x) = (r - 1) / (r + 1)

s ranks as the ratio r does, within [-1, 1]: it is 1 for a training feature of the predicted class, and 0 where both
distances are 0. Features are the penultimate ones, not scaled. The definition is settled from the authors' code, which
has k = 10, the point itself counted, and no filter unless told. The row `trust-score` drops a sixteenth,
`trust-score-tuned` chooses. The authors' code measures the second nearest feature of each class, the paper and this the
nearest. A class without a training feature is no nearest other class; an input that it is predicted for has the score
-1.

Fails where inputs from outside lie far from all classes, along a direction in which one of them is nearest: a ratio
does not see that both distances are large. It is made for the classifier's own mistakes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench import banks
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.recipes import Plain

ENTRIES = 2**22
"""Distances that exist at a time."""


class Dense(NamedTuple):
    """The training features that were kept.

    Attributes:
        f: One class after the other.
        sizes: How many there are of each.
    """

    f: Float[Tensor, "N F"]
    sizes: Int[Tensor, "C"]


@final
@dataclass(frozen=True)
class TrustScore:
    """A ratio of two distances to training features: to the nearest other class, and to the predicted one.

    Attributes:
        alpha: Share of a class's training features that are dropped, the least dense first.
        k: Which neighbour's distance, itself counted, tells how dense it is about a feature.
        most: Numbers of training features (N x F) that are kept; of more, a random draw.
    """

    alpha: float = 0.0625
    k: int = 10
    most: int = 2**26

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Dense:
        """Return the training features of each class without the least dense ones.

        Raises:
            BadData: Fewer than two classes occur.
        """
        n, width = data.train.features.shape
        rows = banks.drawn(n, max(1, self.most // width), data.seed)
        f, labels = data.train.features[rows], data.train.labels[rows]
        count = labels.bincount(minlength=data.train.logits.shape[1])
        if (count > 0).sum() < 2:
            raise BadData(
                f"trust-score: the training images are of {int((count > 0).sum())} class; "
                f"expected two at least, one to be nearer than the other"
            )
        kept = [self._dense(own) for own in torch.split(f[labels.argsort(stable=True)], count.tolist())]
        return Dense(torch.cat(kept), torch.tensor([len(own) for own in kept]))

    def _dense(self, own: Float[Tensor, "N F"]) -> Float[Tensor, "M F"]:
        if not self.alpha or not len(own):
            return own
        k = min(self.k, len(own))
        radius = torch.cat([distance.kthvalue(k, dim=1).values for distance in _distances(own, own)])
        return own[radius <= radius.quantile(1 - self.alpha)]

    def score(self, state: Dense, batch: Outputs) -> Float[Tensor, "n"]:
        """Return (d_other - d_y) / (d_other + d_y), which is (r - 1) / (r + 1)."""
        f, y = batch.features, batch.logits.argmax(dim=1, keepdim=True)
        d = f.new_full((len(f), len(state.sizes)), torch.inf, dtype=torch.float64)
        for c, own in enumerate(torch.split(state.f, state.sizes.tolist())):
            if len(own):
                d[:, c] = torch.cat([distance.amin(dim=1) for distance in _distances(f, own)])
        predicted = d.gather(1, y)[:, 0]
        other = d.scatter(1, y, torch.inf).amin(dim=1)
        ratio = (other - predicted) / (other + predicted)
        return torch.where(predicted.isinf(), -1.0, ratio.nan_to_num(0.0)).float()


def _distances(x: Float[Tensor, "n F"], own: Float[Tensor, "N F"]) -> Iterator[Float[Tensor, "m N"]]:
    """Yield the distances of some rows of x at a time to all rows of a class, in float64."""
    own = own.double()
    for rows in torch.split(x, max(1, ENTRIES // len(own))):
        yield torch.cdist(rows.double(), own, compute_mode="use_mm_for_euclid_dist")


PAPER = Citation(
    authors="Jiang, Kim, Guan, Gupta",
    title="To Trust Or Not To Trust A Classifier",
    year=2018,
    url="https://arxiv.org/abs/1805.11783",
)

METHODS = (
    Method(
        name="trust-score",
        title="Trust score (α = 1/16)",
        paper=PAPER,
        recipe=Plain(),
        detector=TrustScore(),
        family="features",
    ),
    Method(
        name="trust-score-tuned",
        title="Trust score (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=TrustScore(),
        family="features",
        search=Grid(over=(("alpha", (0.0, 0.015625, 0.0625, 0.25)),)),
    ),
)
