"""LTS: logits scaled by how much of the activation is not in the largest features.

Djurisic, Liu & Nikolic, "Logit Scaling for Out-of-Distribution Detection", Machine Vision and Applications 2025.

    r = sum_i a_i / sum_{i in T} a_i,   a = max(f, 0),   T its k = F - round(F q / 100) largest,   s(x) = E(r^2 z(x))

E is the energy, logsumexp. The logits are multiplied, their bias too, and by r^2, not by e^r: it is not SCALE, which
multiplies the features. q = 95 (the largest 5 %) is what the authors' code has for every network; they tune nothing
else. The tuned row searches q on held-out out-of-distribution inputs.

The rectifier in a is in the authors' code and not in the paper; pytorch-ood has it, too. So r lies within [1, F / k],
and is 1 where no feature is positive. k is at least 1: the authors' code would divide by an empty sum where features
are few.

Fails where the largest logit is near 0 or negative: to multiply it then leaves it or turns the ranking about, and
adding one number to all logits, which changes no probability, changes the score. Few features are a danger as in SCALE,
though r^2 grows slower than e^r.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas, shaping
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class LogitScaling:
    """The energy of scaled logits.

    Attributes:
        q: In percent: how many of an input's features are not among the largest.
    """

    q: float = 95.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(r^2 z)."""
        r = shaping.ratio(batch.features, shaping.kept(batch.features.shape[1], self.q))
        return formulas.energy(r.square()[:, None] * batch.logits)


PAPER = Citation(
    authors="Djurisic, Liu, Nikolic",
    title="Logit Scaling for Out-of-Distribution Detection",
    year=2025,
    url="https://arxiv.org/abs/2409.01175",
)

EXCUSED = {
    "lts": {"direction": shaping.EVEN},
    "lts-tuned": {"direction": shaping.EVEN},
}

METHODS = (
    Method(name="lts", title="LTS (q = 95)", paper=PAPER, recipe=Plain(), detector=LogitScaling(), family="shaping"),
    Method(
        name="lts-tuned",
        title="LTS (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=LogitScaling(),
        family="shaping",
        search=Grid(over=(("q", (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)),)),
    ),
)
