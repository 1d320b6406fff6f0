"""ReAct: activations clipped from above.

Sun, Guo & Li, "ReAct: Out-of-distribution Detection With Rectified Activations", NeurIPS 2021.

    s(x) = log sum_c exp(w_c . min(f(x), c) + b_c),   c the q-th percentile of all entries of the training features

An input from outside can drive a few units far higher than any training input does, and these alone make it confident;
clipped, they weigh no more than a large ordinary activation. The class is still predicted from the whole features.
q = 90 is the paper's choice. It tunes q on noise images; the tuned row does so on held-out out-of-distribution inputs,
over OpenOOD's four values.

Only the upper end is clipped: negative features (a transformer's) stay as they are. The authors' code takes a number
for c (1.0 for ResNet-50). OpenOOD takes the percentile over its small validation set, pytorch-ood over whatever it is
handed, which may be feature maps; here as in the paper it is the training set's pooled features.

Fails where what is odd about an input is too little activation, not too much: below c nothing changes, and the score is
the energy. Where features are few, or units differ much in scale, one c for all of them clips the busiest units of
ordinary inputs, too.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from jaxtyping import Float
from torch import Tensor

from oodbench import feature_statistics, shaping
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Ceiling(NamedTuple):
    """What no activation passes."""

    c: float


@final
@dataclass(frozen=True)
class ReAct:
    """The energy of clipped features.

    Attributes:
        q: In percent: how many of the training activations are below the ceiling.
    """

    q: float = 90.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Ceiling:
        """Return the percentile of all training activations."""
        return Ceiling(feature_statistics.percentile(data.train.features, self.q))

    def score(self, state: Ceiling, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the energy of min(f, c)."""
        return shaping.energy(batch.features.double().clamp(max=state.c), batch.head)


PAPER = Citation(
    authors="Sun, Guo, Li",
    title="ReAct: Out-of-distribution Detection With Rectified Activations",
    year=2021,
    url="https://arxiv.org/abs/2111.12797",
)

METHODS = (
    Method(name="react", title="ReAct (q = 90)", paper=PAPER, recipe=Plain(), detector=ReAct(), family="shaping"),
    Method(
        name="react-tuned",
        title="ReAct (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=ReAct(),
        family="shaping",
        search=Grid(over=(("q", (85.0, 90.0, 95.0, 99.0)),)),
    ),
)
