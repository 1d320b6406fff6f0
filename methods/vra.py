"""VRA: activations cut off below, clipped above and lifted in between.

Xu, Lian, Liu & Tao, "VRA: Variational Rectified Activation for Out-of-distribution Detection", NeurIPS 2023.

    g_i = 0 where f_i < alpha_i,   beta_i where f_i > beta_i,   f_i + gamma in between,   s(x) = E(W g + b)
    alpha_i, beta_i = the percentiles lo and hi of unit i over the training set

E is the energy, logsumexp. gamma = 0 is VRA, gamma > 0 VRA+. The best change of an activation, by the calculus of
variations, lowers what is unusually low or high and raises what is usual; this is its piecewise form. lo = 60 and
hi = 90 (VRA), lo = 60, hi = 95 and gamma = 0.6 (VRA+) are the authors' for CIFAR-10, from their code, which takes
percentiles unit by unit there and numbers for ImageNet; the tuned row searches lo and hi on held-out
out-of-distribution inputs.

What is below alpha becomes 0, as in the authors' code; pytorch-ood and OpenOOD clip it to alpha instead, OpenOOD at two
percentiles of all units together, of its validation set. An activation between the two ends may end above beta, by
gamma: that is the authors' code, too. gamma carries the unit of the features, so 0.6 is much on one network and little
on another. With negative features (a transformer's) alpha may be negative: what is below still becomes 0.

Fails where small activations tell classes apart: 60 % of each unit's training activations become 0. Where most units
are 0 for most inputs, alpha is 0 and the score is ReAct's, with a ceiling for each unit.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import shaping
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

BLOCK = 2**22
"""Activations that are sorted at a time, of some units and all training inputs: memory stays flat as features grow."""


class Ends(NamedTuple):
    """Where each unit's usual activations begin and end, in float64."""

    alpha: Float[Tensor, "F"]
    beta: Float[Tensor, "F"]


@final
@dataclass(frozen=True)
class Vra:
    """The energy of features that were cut off, clipped and lifted.

    Attributes:
        lo: In percent: how many of a unit's training activations are below alpha.
        hi: In percent: how many are below beta.
        gamma: What is added in between, in units of the features.
    """

    lo: float = 60.0
    hi: float = 90.0
    gamma: float = 0.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Ends:
        """Return the two percentiles of every unit."""
        f = data.train.features
        units = torch.split(f, max(1, BLOCK // len(f)), dim=1)
        ends = [np.percentile(some.cpu().double().numpy(), (self.lo, self.hi), axis=0) for some in units]
        return Ends(*torch.from_numpy(np.concatenate(ends, axis=1)).to(f.device))

    def score(self, state: Ends, batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(W g + b)."""
        f = batch.features.double()
        low, high = f < state.alpha, f > state.beta
        return shaping.energy((f + self.gamma).where(~high, state.beta).where(~low, 0), batch.head)


PAPER = Citation(
    authors="Xu, Lian, Liu, Tao",
    title="VRA: Variational Rectified Activation for Out-of-distribution Detection",
    year=2023,
    url="https://arxiv.org/abs/2302.11716",
)

row = partial(Method, family="shaping", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="vra", title="VRA (60 to 90 %)", detector=Vra()),
    row(name="vra-plus", title="VRA+ (60 to 95 %, γ = 0.6)", detector=Vra(hi=95.0, gamma=0.6)),
    row(
        name="vra-tuned",
        title="VRA (tuned)",
        detector=Vra(),
        search=Grid(over=(("lo", (10.0, 30.0, 60.0)), ("hi", (85.0, 90.0, 95.0, 99.0)))),
    ),
)
