"""NAC-UE: how often training inputs brought each unit into the state that an input brings it into.

Liu, Tian, Li, Ma & Wang, "Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization",
ICLR 2024.

    KL(x) = KL(1/C || p(x)),   p = softmax(W f + b)
    u_j(x) = sigmoid(alpha f_j dKL/df_j) = sigmoid(alpha f_j [W^T (p(x) - 1/C)]_j)
    s(x) = 1/F sum_j min(n_j(u_j(x)) / O, 1),   n_j(u) = training inputs in the bin of u

The paper takes the mean over several layers; here it is the features alone ("avgpool" in the authors' code), where the
derivative has a closed form and no backward pass is needed. Left out are the layers before it ("layer1" to "layer3"),
which the authors' own results have, too.

Settled by the authors' code (github.com/BierOne/ood_coverage): the target is 1/C; counts are of 1,000 training images
(here drawn at random by seed, theirs as many a class); the bins are not equal but narrow about 1/2, where a unit has no
say, and wide towards 0 and 1:

    e_i = log_1000(1 + i (sqrt(1000) - 1) / (M/2 - 1)),   i = 0 .. M/2 - 1,   and 1 - e_i: M - 2 bins

pytorch-ood has them the other way round, narrow towards 0 and 1. M, O and alpha are the authors' for CIFAR-10, chosen
on outliers; alpha carries the unit of the features, so the tuned row chooses it, and O.

Fails where every unit is in a state that O training inputs share, as in a network of few features: the score is then
1, for outliers too, and ties. It looks at each unit alone: usual states in an unusual combination are trusted.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.banks import drawn
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, FitData, Grid, Head, Material, Method, Output, Outputs
from oodbench.errors import BadMethod
from oodbench.recipes import Plain


class Coverage(NamedTuple):
    """The bins' edges, and min(n / O, 1) of every unit and bin."""

    edges: Float[Tensor, "E"]
    phi: Float[Tensor, "F B"]


def edges_of(M: int) -> Float[Tensor, "E"]:
    """Return the edges of the authors' M - 2 bins of [0, 1] in float64, M even; the last is beyond 1.

    Raises:
        BadMethod: M is odd or below 4.
    """
    if M < 4 or M % 2:
        raise BadMethod(f"nac: M = {M} bins; expected an even number, 4 at least: half of them are below 1/2")
    left = torch.linspace(1, math.sqrt(1000), M // 2, dtype=torch.float64).log() / math.log(1000)
    edges = torch.cat([left, (1 - left).flip(0)[1:]])
    edges[-1] += 0.01
    return edges


def states(f: Float[Tensor, "n F"], logits: Float[Tensor, "n C"], head: Head, alpha: float) -> Float[Tensor, "n F"]:
    """Return sigmoid(alpha f W^T (p - 1/C)), in float64."""
    p = logits.double().softmax(dim=1)
    return (alpha * f.double() * ((p - 1 / p.shape[1]) @ head.weight.double())).sigmoid()


@final
@dataclass(frozen=True)
class NeuronCoverage:
    """The mean coverage of the units' states.

    Attributes:
        M: Bins, plus 2.
        O: Training inputs in a bin that cover it.
        alpha: Steepness of the sigmoid.
        most: Training inputs, drawn at random, that are counted.
    """

    M: int = 50
    O: float = 50  # noqa: E741 (the paper's letter)
    alpha: float = 100.0
    most: int = 1000

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Coverage:
        """Return the coverage of every unit's bins by training inputs."""
        train = data.train
        chosen = drawn(len(train), self.most, data.seed).to(train.features.device)
        edges = edges_of(self.M).to(train.features.device)
        u = states(train.features[chosen], train.logits[chosen], train.head, self.alpha)
        place = torch.bucketize(u, edges, right=True) - 1
        counts = u.new_zeros(u.shape[1], len(edges) - 1).scatter_add_(1, place.T, torch.ones_like(u.T))
        return Coverage(edges, (counts / self.O).clamp_max(1))

    def score(self, state: Coverage, batch: Outputs) -> Float[Tensor, "n"]:
        """Return 1/F sum_j phi_j(u_j)."""
        u = states(batch.features, batch.logits, batch.head, self.alpha)
        place = torch.bucketize(u, state.edges, right=True) - 1
        return state.phi.gather(1, place.T).mean(dim=0)


PAPER = Citation(
    authors="Liu, Tian, Li, Ma, Wang",
    title="Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization",
    year=2024,
    url="https://arxiv.org/abs/2306.02879",
)

METHODS = (
    Method(
        name="nac", title="NAC-UE, features", paper=PAPER, recipe=Plain(), detector=NeuronCoverage(), family="features"
    ),
    Method(
        name="nac-tuned",
        title="NAC-UE, features, tuned",
        paper=PAPER,
        recipe=Plain(),
        detector=NeuronCoverage(),
        family="features",
        search=Grid(over=(("O", (10, 50)), ("alpha", (1.0, 10.0, 100.0, 1000.0, 3000.0)))),
    ),
)
