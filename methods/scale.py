"""SCALE: features scaled by how much of their activation is not in the largest entries.

Xu, Chen, Franchi & Yao, "Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement", ICLR 2024.

    r = sum_i a_i / sum_{i in T} a_i,   a = max(f, 0),   T its k = F - round(F q / 100) largest,   s(x) = E(W f e^r + b)

E is the energy, logsumexp. It is ASH-S without the pruning, which the paper finds to do harm: the factor alone detects,
and leaves every prediction as it is but for the bias. q = 85 is the default of the authors' code; the tuned row
searches its values, from 50 to 95, on held-out out-of-distribution inputs (OpenOOD's begin at 65).

The authors' code and OpenOOD scale the pooled features, as here; pytorch-ood scales the feature map before the pool,
with k of all its channels and places, which the row scale-map does at the cost of two forward passes. Negative features
(a transformer's) count as 0 in the sums, as in the code of AdaSCALE; they are scaled like the others. So r lies within
[1, F / k]; where no feature is positive it is 1.

Fails where features are few: r then hangs on a handful of entries, and its exponential outweighs the logits. It takes
inputs whose activation is spread over many units for ordinary ones: on a network whose training inputs light up a few
units each, the sign is wrong.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import shaping
from oodbench.contract import (
    FEATURE_MAP,
    FEATURES,
    HEAD,
    LOGITS,
    NETWORK,
    Citation,
    FitData,
    Grid,
    Material,
    Method,
    Output,
    Outputs,
)
from oodbench.recipes import Plain


def scaled(x: Float[Tensor, "n F"], q: float) -> Float[Tensor, "n F"]:
    """Return the activations times e^r."""
    return x * shaping.sharpening(x, shaping.kept(x.shape[1], q))


@final
@dataclass(frozen=True)
class Scale:
    """The energy of scaled features.

    Attributes:
        q: In percent: how many of an input's features are not among the largest.
    """

    q: float = 85.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(W f e^r + b)."""
        return shaping.energy(scaled(batch.features, self.q), batch.head)


@final
@dataclass(frozen=True)
class ScaleAtMap:
    """The same with the last feature map in the place of the features; the network pools it afterwards.

    Attributes:
        q: In percent: how many of the map's entries, of all channels and places, are not among the largest.
    """

    q: float = 85.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURE_MAP, LOGITS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the energy after the scaled map."""
        return shaping.energy_at_map(batch, lambda a: scaled(a, self.q))


PAPER = Citation(
    authors="Xu, Chen, Franchi, Yao",
    title="Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement",
    year=2024,
    url="https://arxiv.org/abs/2310.00227",
)

EXCUSED = {
    "scale": {"direction": shaping.EVEN},
    "scale-tuned": {"direction": shaping.EVEN},
    "scale-map": {"direction": shaping.EVEN},
}

row = partial(Method, family="shaping", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="scale", title="SCALE (q = 85)", detector=Scale()),
    row(
        name="scale-tuned",
        title="SCALE (tuned)",
        detector=Scale(),
        search=Grid(over=(("q", (50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)),)),
    ),
    row(name="scale-map", title="SCALE (q = 85) on the last feature map", detector=ScaleAtMap()),
)
