"""VOS: virtual outliers, drawn where the classes' own features are rare.

Du, Wang, Cai & Li, "VOS: Learning What You Don't Know by Virtual Outlier Synthesis", ICLR 2022.

    features of class c ~ N(mu_c, Sigma),   Sigma shared, + 1e-4 I;   v_c: the least likely of N = 10,000 draws of them
    E_w(z) = -log sum_c w_c exp(z_c),   w_c >= 0 learnt
    L = mean CE(y, p) + beta mean BCE(is an input, a - b E_w)   over the step's inputs and one v_c a class,   beta = 0.1

Means and covariance are of the last 1,000 features a class (at most 50,000 in all), the matrix's own schedule is kept,
and the second term begins after 40 % of it (epoch 40 of 100).

A draw is mu_c + L e with L L^T = Sigma, and its density falls with |e| alone: the least likely of N has a direction
uniform on the sphere, and |e|^2 is the largest of N draws of chi^2 with F degrees. It is drawn as such, from the
quantile at u^(1/N): the same law as the authors' 10,000 draws a class and step, at the cost of one. A w_c of 0 would
have no logarithm; the least is 1e-6.

Scores: `vos` is -E with w = 1, the energy that the authors' tests on CIFAR rank by; `vos-weighted` is the paper's,
a - b E_w, the log-odds that the second term trained.

The trap: OpenOOD's trainer makes w anew in each call and takes the energies through lists of numbers, so that no
derivative of the second term reaches the network. What its boards call VOS is trained by cross-entropy alone (near
AUROC 87.70 on CIFAR-10, where plain energy has 87.58).

Fails where features within a class are no Gaussian of the shared covariance: virtual outliers then lie where inputs
are, or far from where outliers come. They move the head alone, as a Gaussian has no derivative by the images; so an
out-set that the features do not tell from inputs stays where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import chi2
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from oodbench import formulas
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.networks.around import Around
from oodbench.networks.classifier import NONE
from oodbench.recipes import Plain
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

INSIDE = Output[Tensor]("inside_odds", "n")
"""Log-odds that an input is none of the virtual outliers."""
DEPTH, ROWS = 1000, 50_000
"""Features that are kept, of a class and in all."""


class WithInside(Around):
    """A classifier, the last features of each class, and what tells them from virtual outliers.

    Args:
        net: The classifier, a `Model`.
        classes: How many classes there are.
        width: Features, F.
    """

    def __init__(self, net: nn.Module, classes: int, width: int) -> None:
        super().__init__()
        self.net = net
        self.w = nn.Parameter(torch.rand(classes))
        self.odds = nn.Linear(1, 1)
        nn.init.ones_(self.odds.weight)
        nn.init.zeros_(self.odds.bias)
        self.register_buffer("bank", torch.zeros(classes, max(2, min(DEPTH, ROWS // classes)), width))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.int64))

    @property
    def inner(self) -> nn.Module:
        """The classifier."""
        return self.net

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return the classifier's outputs for x, and the log-odds that x is inside."""
        given = super().outputs(x, wanted - {INSIDE}, replacing)
        return {**given, INSIDE: self.inside(given[LOGITS])}

    def inside(self, logits: Float[Tensor, "n C"]) -> Float[Tensor, "n"]:
        """Return a - b E_w, E_w = -log sum_c w_c exp(z_c)."""
        negative_energy = (logits.float() + self.w.clamp(min=1e-6).log()).logsumexp(dim=1)
        # no matrix product: half precision must not round what is ranked
        odds: Tensor = self.odds.weight[0, 0] * negative_energy + self.odds.bias
        return odds

    @torch.no_grad()
    def keep(self, features: Float[Tensor, "n F"], labels: Int[Tensor, "n"]) -> None:
        """Put a step's features in the place of the oldest ones of their classes."""
        bank, seen = self.get_buffer("bank"), self.get_buffer("seen")
        depth = bank.shape[1]
        for c in torch.unique(labels):
            rows = features[labels == c][-depth:].to(bank.dtype)
            bank[c, (seen[c] + torch.arange(len(rows), device=seen.device)) % depth] = rows
            seen[c] += len(rows)

    @torch.no_grad()
    def virtual(self, draws: int) -> Float[Tensor, "K F"]:
        """Return the least likely of `draws` features of each class that has been seen."""
        bank, seen = self.get_buffer("bank"), self.get_buffer("seen")
        filled = torch.arange(bank.shape[1], device=seen.device) < seen[:, None]
        member, _ = filled.nonzero(as_tuple=True)
        x = bank[filled]
        means, member = formulas.class_means(x, member)
        covariance = formulas.within_class_covariance(x, means, member)
        # `_ex`: of a network that diverges it makes NaN, which the loop tells, where `cholesky` fails
        L = torch.linalg.cholesky_ex(covariance + 1e-4 * torch.eye(len(covariance), device=x.device)).L
        e = least_likely(torch.randn(means.shape, dtype=torch.float64), draws).to(x.device)
        v: Tensor = (means + e @ L.T).to(x.dtype)
        return v


def least_likely(e: Float[Tensor, "K F"], draws: int) -> Float[Tensor, "K F"]:
    """Return standard normal vectors that are as long as the longest of `draws`; the directions of e are kept."""
    u = torch.rand(len(e), dtype=torch.float64).numpy()
    # |e|^2 ~ chi^2_F; the largest of N lies above a share 1 - u^(1/N) of them
    squared = chi2.isf(-np.expm1(np.log(u) / draws), e.shape[1])
    longest: Tensor = e / e.norm(dim=1, keepdim=True) * torch.from_numpy(squared).sqrt()[:, None]
    return longest


@final
@dataclass(frozen=True)
class Vos(Defaults):
    """The matrix's classifier and schedule, virtual outliers beside the inputs from some time on.

    Attributes:
        training: How it is trained.
        beta: Weight of the second term.
        start_at: Share of the training after which it begins.
        draws: N, of which the least likely is a virtual outlier.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    beta: float = 0.1
    start_at: float = 0.4
    draws: int = 10_000

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides | {INSIDE}
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, the matrix's own, with an empty bank; its training."""
        plain = Plain(self.training).start(in_set, (), labels, seed).net
        width = plain.constants[HEAD].weight.shape[1]  # type: ignore[index,union-attr]
        net = WithInside(plain, in_set.classes, width)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: WithInside, batch: TrainBatch) -> Tensor:
        """Return L; the step's features go into the bank."""
        given = net.outputs(batch.inputs, frozenset({FEATURES}))
        net.keep(given[FEATURES], batch.labels)
        loss = cross_entropy(given[LOGITS].float(), batch.labels, label_smoothing=self.training.label_smoothing)
        if batch.progress < self.start_at:
            return loss
        weight, bias = net.constants[HEAD]
        outside = net.inside(net.virtual(self.draws).to(weight.dtype) @ weight.T + bias)
        odds = torch.cat([given[INSIDE], outside])
        inside = torch.arange(len(odds), device=odds.device) < len(batch.inputs)
        return loss + self.beta * binary_cross_entropy_with_logits(odds, inside.to(odds.dtype))


def energy(batch: Outputs) -> Float[Tensor, "n"]:
    """Return log sum_c exp(z_c)."""
    return formulas.energy(batch.logits)


def inside_odds(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the log-odds that were trained against virtual outliers."""
    return batch[INSIDE]


PAPER = Citation(
    authors="Du, Wang, Cai, Li",
    title="VOS: Learning What You Don't Know by Virtual Outlier Synthesis",
    year=2022,
    url="https://arxiv.org/abs/2202.01197",
)

row = partial(Method, family="training", paper=PAPER, recipe=Vos())

METHODS = (
    row(name="vos", title="VOS, energy", detector=Stateless(frozenset({LOGITS}), energy)),
    row(
        name="vos-weighted",
        title="VOS, log-odds of the weighted energy",
        detector=Stateless(frozenset({INSIDE}), inside_odds),
    ),
)
