"""Energy score.

Liu, Wang, Owens & Li, "Energy-based Out-of-distribution Detection", NeurIPS 2020; without the fine-tuning.

    s(x) = -E(x; T) = T log sum_i exp(z_i / T),   T = 1

Fails where strange inputs raise logits of any class: the sum does not ask whether classes contradict each other. For
the classifier's own mistakes the difference between logits counts, which a sum hides.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class Energy:
    """The negative free energy of the logits.

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
        """Return T log sum_i exp(z_i / T)."""
        return formulas.energy(batch.logits, self.T)


METHODS = (
    Method(
        name="energy",
        title="Energy",
        family="logits",
        paper=Citation(
            authors="Liu, Wang, Owens, Li",
            title="Energy-based Out-of-distribution Detection",
            year=2020,
            url="https://arxiv.org/abs/2010.03759",
        ),
        recipe=Plain(),
        detector=Energy(),
    ),
)
