"""WeiPer+KLD: how far the histograms of the features and of perturbed logits are from those of training inputs.

Granz, Heurich & Landgraf, "WeiPer: OOD Detection using Weight Perturbations of Class Projections", NeurIPS 2024.

    W_r = W + delta ||w_c|| n_rc / ||n_rc||  row by row,   n_rc ~ N(0, I),   r = 1 .. R         (R C perturbed logits)
    q_f(x), q_w(x) = histograms of the F features, and of the R C numbers W_r f + b: the training set's range in B bins
    p_f, p_w = their means over the training set
    J(p, q) = sum (p - q) log p / q,   after q is smoothed by a mean over s bins, eps is added, and both sum to 1 again
    s(x) = -[J(p_f, q_f) + lambda_1 J(p_w, q_w) - lambda_2 1/R sum_r max_c softmax_c(W_r f + b)]

One histogram for all features of one input: it forgets which unit was how large. Settled by the authors' code
(github.com/mgranz/weiper): the divergence is symmetric; q is smoothed and p is not; eps is 0.01 for the features and
0.025 for the perturbed logits; numbers beyond the range fall in no bin, but count among all. The hyper-parameters are
those of its configuration file, which were searched for on outliers; the tuned row chooses the two weights.

Their code passes its perturbed weights on under a name that nobody reads, and so draws new ones for every batch: the
score of an input is not the same twice. Here they are drawn from `data.seed`, again for every batch and not stored: of
1,000 classes and 2,048 features they would be 800 MB.

Fails where features are few: a histogram of 64 numbers in 100 bins is mostly smoothing. An outlier that permutes the
units of a training image has the same q_f.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from oodbench.banks import drawn
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Grid, Head, Material, Method, Output, Outputs
from oodbench.formulas import ROWS
from oodbench.recipes import Plain

EPS = (0.01, 0.025)
"""Added to the bins of the features, and of the perturbed logits."""

AT_ONCE = 1000
"""Perturbed logits of an input that exist at a time, or those of one head."""


class Histograms(NamedTuple):
    """Of the features and of the perturbed logits over the training set.

    Attributes:
        seed: Of the perturbations.
        range_f: Smallest and largest feature.
        range_w: Smallest and largest perturbed logit.
        p_f: Share of the features in each bin, a mean over inputs.
        p_w: Share of the perturbed logits.
    """

    seed: int
    range_f: Float[Tensor, "2"]
    range_w: Float[Tensor, "2"]
    p_f: Float[Tensor, "B"]
    p_w: Float[Tensor, "B"]


def histogram(v: Float[Tensor, "n V"], ends: Float[Tensor, "2"], bins: int) -> Float[Tensor, "n B"]:
    """Return the share of each row's numbers in each bin between the ends; what lies beyond them is in none."""
    low, high = ends
    width = torch.where(high > low, high - low, 1.0)
    inside = (v >= low) & (v <= high)
    place = ((v - low) / width * bins).clamp(0, bins - 1).long()
    counts = v.new_zeros(len(v), bins, dtype=torch.float64)
    return counts.scatter_add_(1, place, inside.double()) / v.shape[1]


def divergence(p: Float[Tensor, "B"], q: Float[Tensor, "n B"], s: int, eps: float) -> Float[Tensor, "n"]:
    """Return J(p, q), q smoothed over s bins; beyond the ends its outer bins go on."""
    before = (s - 1) // 2
    smooth = avg_pool1d(pad(q[:, None], (before, s - 1 - before), mode="replicate"), s, stride=1)[:, 0]
    p, q = p + eps, smooth + eps
    p, q = p / p.sum(), q / q.sum(dim=1, keepdim=True)
    return ((p - q) * (p / q).log()).sum(dim=1)


@final
@dataclass(frozen=True)
class WeiPerKld:
    """Minus two divergences from the training histograms, plus the mean softmax of perturbed heads.

    Attributes:
        R: Perturbed heads.
        delta: Length of a perturbation in units of a class's weights.
        lambda_1: Weight of the perturbed logits' divergence.
        lambda_2: Weight of the mean softmax.
        bins: B.
        s_f: Bins over which the features' histogram is smoothed.
        s_w: Bins over which that of the perturbed logits is.
        most: Training inputs, drawn at random, that are looked at.
    """

    R: int = 100
    delta: float = 1.8
    lambda_1: float = 2.5
    lambda_2: float = 0.1
    bins: int = 100
    s_f: int = 4
    s_w: int = 15
    most: int = 300_000

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Histograms:
        """Return ranges and mean histograms of the training set."""
        head, f = data.train.head, data.train.features
        f = f[drawn(len(f), self.most, data.seed).to(f.device)]
        range_f = torch.stack(f.aminmax()).double()
        ends = torch.stack([torch.stack(z.aminmax()) for z in self._all_logits(f, head, data.seed)])
        range_w = torch.stack([ends[:, 0].amin(), ends[:, 1].amax()])
        p_f, p_w = f.new_zeros(2, self.bins, dtype=torch.float64)
        for rows in torch.split(f, ROWS):
            p_f += histogram(rows.double(), range_f, self.bins).sum(dim=0) / len(f)
        for z in self._all_logits(f, head, data.seed):
            p_w += histogram(z.flatten(1), range_w, self.bins).sum(dim=0) * (z.shape[1] / self.R / len(f))
        return Histograms(data.seed, range_f, range_w, p_f, p_w)

    def score(self, state: Histograms, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -[J(p_f, q_f) + lambda_1 J(p_w, q_w) - lambda_2 MSP]."""
        f = batch.features
        q_w = f.new_zeros(len(f), self.bins, dtype=torch.float64)
        msp = f.new_zeros(len(f), dtype=torch.float64)
        for z in self._logits(f, batch.head, state.seed):
            q_w += histogram(z.flatten(1), state.range_w, self.bins) * (z.shape[1] / self.R)
            msp += z.softmax(dim=2).amax(dim=2).sum(dim=1) / self.R
        q_f = histogram(f.double(), state.range_f, self.bins)
        apart = divergence(state.p_f, q_f, self.s_f, EPS[0])
        return self.lambda_2 * msp - apart - self.lambda_1 * divergence(state.p_w, q_w, self.s_w, EPS[1])

    def _all_logits(self, f: Tensor, head: Head, seed: int) -> Iterator[Float[Tensor, "n r C"]]:
        for rows in torch.split(f, ROWS):
            yield from self._logits(rows, head, seed)

    def _logits(self, f: Tensor, head: Head, seed: int) -> Iterator[Float[Tensor, "n r C"]]:
        """Yield the logits of some perturbed heads at a time, in float64: a rounding error must not change a bin."""
        draw = torch.Generator().manual_seed(seed)
        f, W, b = f.double(), head.weight.double(), head.bias.double()
        size = W.norm(dim=1, keepdim=True)
        together = max(1, AT_ONCE // len(W))
        for first in range(0, self.R, together):
            heads = range(first, min(first + together, self.R))
            n = torch.stack([torch.randn(W.shape, generator=draw) for _ in heads]).to(W)
            perturbed = W + self.delta * size * n / n.norm(dim=2, keepdim=True)
            yield (f @ perturbed.flatten(0, 1).T).view(len(f), len(heads), len(W)) + b


PAPER = Citation(
    authors="Granz, Heurich, Landgraf",
    title="WeiPer: OOD Detection using Weight Perturbations of Class Projections",
    year=2024,
    url="https://arxiv.org/abs/2405.17164",
)

row = partial(Method, family="features", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="weiper-kld", title="WeiPer+KLD", detector=WeiPerKld()),
    row(
        name="weiper-kld-tuned",
        title="WeiPer+KLD, tuned",
        detector=WeiPerKld(),
        search=Grid(over=(("lambda_1", (0.1, 1.0, 2.5, 4.0)), ("lambda_2", (0.1, 1.0, 5.0)))),
    ),
)
