"""OpenMax.

Bendale & Boult, "Towards Open Set Deep Networks", CVPR 2016.

    mu_c = mean of the logits z over the training images of class c that are classified right,  d_c(z) = ||z - mu_c||
    F_c = Weibull fit to the `tail` largest d_c of those images,  w_c = F_c(d_c(z))
    omega_c = w_c (alpha + 1 - i) / alpha for the i-th largest logit, i = 1..alpha, else 0
    z'_c = z_c (1 - omega_c),   z'_0 = sum_c z_c omega_c,   s(x) = -softmax(z')_0,   ranked by
    log p / (1 - p) of p = 1 - softmax(z')_0:   log sum_{c > 0} exp z'_c - z'_0

tail = 20 and alpha = 10 are the paper's. Its Algorithm 2 has the ranks' weights (alpha - i) / alpha; the authors' code
has those above, and so have OpenOOD (alpha = 3) and pytorch-ood. The paper's distance adds the cosine distance to a
200th of the Euclidean one; here, as in OpenOOD, it is the Euclidean one alone. As in the authors' LibMR the distances
are moved to 10,000 above the smallest of the tail, and the Weibull's two parameters are those of greatest likelihood;
there the fit is in effect that of a Gumbel distribution. OpenOOD's accuracy of this row is that of another prediction;
here the classifier's prediction is not touched.

A class with fewer right images than the tail is fitted on what it has; one without any has w_c = 1, nothing being known
of it.

Fails where logits of the largest classes are negative: what is moved to "unknown" then lowers z'_0. It needs training
images whose logits are spread as those of new ones; those of a network that knows its training set by heart are not.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

ORIGIN = 10_000.0
"""Where LibMR moves the smallest distance of a tail."""

HALVINGS = 60
"""Of the interval of log k, from e^-5 to e^30: as much as a float64 can tell."""


class Tails(NamedTuple):
    """Each class's mean logits, and its Weibull distribution of ORIGIN + d - low; low = -inf where there is none."""

    mu: Float[Tensor, "C C"]
    low: Float[Tensor, "C"]
    log_scale: Float[Tensor, "C"]
    k: Float[Tensor, "C"]


@final
@dataclass(frozen=True)
class OpenMax:
    """The log-odds that an input is of a known class.

    Attributes:
        alpha: Largest logits that are revised; all where there are fewer.
        tail: Largest distances of each class that its Weibull distribution is fitted to.
    """

    alpha: int = 10
    tail: int = 20

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Tails:
        """Return the means and the fitted tails."""
        z, labels = data.train.logits, data.train.labels
        right, C = z.argmax(dim=1) == labels, z.shape[1]
        mu, x = z.new_zeros(C, C, dtype=torch.float64), z.new_ones(C, self.tail, dtype=torch.float64)
        low, n = torch.full_like(mu[0], -torch.inf), torch.zeros_like(labels[:1]).repeat(C)
        for c in torch.unique(labels[right]):
            own = z[right & (labels == c)].double()
            mu[c] = own.mean(dim=0)
            d = (own - mu[c]).norm(dim=1).topk(min(self.tail, len(own))).values
            low[c], n[c], x[c, : len(d)] = d[-1], len(d), ORIGIN + d - d[-1]
        return Tails(mu, low, *weibull(x, n))

    def score(self, state: Tails, batch: Outputs) -> Float[Tensor, "n"]:
        """Return log sum_{c > 0} exp z'_c - z'_0."""
        z = batch.logits.double()
        top = z.topk(min(self.alpha, z.shape[1]), dim=1)
        d = torch.stack([(z - state.mu[c]).norm(dim=1) for c in top.indices.unbind(dim=1)], dim=1)
        x = (ORIGIN + d - state.low[top.indices]).clamp_min(torch.finfo(z.dtype).tiny)
        t = state.k[top.indices] * (x.log() - state.log_scale[top.indices])
        w = -torch.expm1(-t.clamp(max=700).exp())
        ranks = d.shape[1]
        omega = w * torch.arange(ranks, 0, -1).to(z) / ranks
        known = z.scatter(1, top.indices, top.values * (1 - omega))
        return (known.logsumexp(dim=1) - (top.values * omega).sum(dim=1)).float()


def weibull(x: Float[Tensor, "K m"], n: Int[Tensor, "K"]) -> tuple[Float[Tensor, "K"], Float[Tensor, "K"]]:
    """Return log scale and k of the Weibull distributions F(x) = 1 - exp(-(x / scale)^k) of greatest likelihood.

    k is the root of sum x^k log x / sum x^k - 1/k - mean log x, which rises with k; e^30 where all x are equal.

    Args:
        x: Samples in rows, > 0.
        n: How many of each row count; one where that is 0.
    """
    n = n.clamp_min(1)[:, None]
    own = torch.arange(x.shape[1], device=x.device) < n
    log_x = x.log() * own
    mean = log_x.sum(dim=1, keepdim=True) / n
    low, high = torch.full_like(mean, -5.0), torch.full_like(mean, 30.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        k = middle.exp()
        share = (k * log_x).masked_fill(~own, -torch.inf).softmax(dim=1)
        above = (share * log_x).sum(dim=1, keepdim=True) - 1 / k > mean
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    k = low.exp()
    log_scale = ((k * log_x).masked_fill(~own, -torch.inf).logsumexp(dim=1, keepdim=True) - n.double().log()) / k
    return log_scale[:, 0], k[:, 0]


PAPER = Citation(
    authors="Bendale, Boult", title="Towards Open Set Deep Networks", year=2016, url="https://arxiv.org/abs/1511.06233"
)

METHODS = (
    Method(name="openmax", title="OpenMax", family="logits", paper=PAPER, recipe=Plain(), detector=OpenMax()),
    Method(
        name="openmax-tuned",
        title="OpenMax (tuned)",
        family="logits",
        paper=PAPER,
        recipe=Plain(),
        detector=OpenMax(),
        search=Grid(over=(("alpha", (1, 3, 5, 10)), ("tail", (10, 20, 50)))),
    ),
)
