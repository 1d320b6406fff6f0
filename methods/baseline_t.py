"""Softmax at the temperature that detects best on held-out outliers.

Liang, Li & Srikant, "Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks", ICLR 2018,
without the perturbation of the input; the "Baseline+T" of Sreeramdass & Sarawagi, who name no grid: this is Liang's.

    s(x) = max_c softmax(z / T)_c,   ranked by   -T log mean_{i != y^} exp((z_i - z_y^) / T)

As T grows the rank tends to that of z_y^ - mean_i z_i (Liang's Proposition 1).

Fails where the outliers to come are unlike the held-out ones that chose the temperature; and, as any score of the
softmax, where strange inputs drive one logit far above the others.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

TEMPERATURES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Liang's grid."""


@final
@dataclass(frozen=True)
class TemperedSoftmax:
    """The maximum softmax probability at a given temperature, ranked by a key that does not saturate.

    Attributes:
        T: Temperature.
    """

    T: float = 1.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of max softmax(z / T)."""
        return formulas.tempered_margin(batch.logits, self.T)


METHODS = (
    Method(
        name="baseline-t",
        title="Baseline + T",
        family="logits",
        paper=Citation(
            authors="Liang, Li, Srikant",
            title="Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks",
            year=2018,
            url="https://arxiv.org/abs/1706.02690",
        ),
        recipe=Plain(),
        detector=TemperedSoftmax(),
        search=Grid(over=(("T", TEMPERATURES),)),
    ),
)
