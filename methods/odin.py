"""ODIN.

Liang, Li & Srikant, "Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks", ICLR 2018.

    x~ = x + eps sign(grad_x log softmax(z(x) / T)_y^),   s(x) = max_c softmax(z(x~) / T)_c

y^ is predicted from the clean input; the maximum after the step is over all classes. T stands in both places. eps is
in pixels of [0, 1]: standardisation is part of the network, so the gradient is the pixels' own. As in the original,
x~ is not clipped to [0, 1]. Where the gradient is exactly 0 the pixel stays (the original code moves it by +eps; the
paper's sign(0) is 0).

Rows: the paper's T and eps; both tuned on held-out out-of-distribution inputs; both tuned on validation images after
FGSM (Lee et al. 2018, Table 2), which needs no out-of-distribution input.

Both softmaxes are replaced by the log-odds of the same probability: a monotone function of it, so the sign of the
gradient and the rank are the same, but neither vanishes where the probability is 1.0 in floating point.

Fails where a step towards confidence moves strange inputs as much as training inputs, and where the step was tuned on
images of another kind. It costs a gradient and a second pass.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

TEMPERATURES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
STEPS = tuple(round(0.0002 * i, 4) for i in range(21))
"""Liang's grid: ten temperatures, and 21 steps evenly from 0 to 0.004."""


@final
@dataclass(frozen=True)
class Odin:
    """The tempered softmax probability after a small step towards confidence.

    Attributes:
        T: Temperature.
        eps: Length of the step in pixels of [0, 1]; the default is the paper's choice for CIFAR-10.
    """

    T: float = 1000.0
    eps: float = 0.0014

    version: ClassVar[int] = 1
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    @property
    def reads(self) -> frozenset[Output]:
        """The logits, and the gradient if there is a step to take."""
        return frozenset({LOGITS, INPUTS, NETWORK}) if self.eps else frozenset({LOGITS})

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of max softmax(z(x~) / T)."""
        if self.eps:
            batch = batch.at(batch.inputs + self.eps * batch.grad(self._confidence).sign())
        return self._confidence(batch)

    def _confidence(self, batch: Outputs) -> Float[Tensor, "n"]:
        return formulas.tempered_margin(batch.logits, self.T)


PAPER = Citation(
    authors="Liang, Li, Srikant",
    title="Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks",
    year=2018,
    url="https://arxiv.org/abs/1706.02690",
)

GRID = Grid(over=(("T", TEMPERATURES), ("eps", STEPS)))

row = partial(Method, family="perturbation", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="odin", title="ODIN (T = 1000, ε = 0.0014)", detector=Odin()),
    row(name="odin-tuned", title="ODIN (tuned)", detector=Odin(), search=GRID),
    row(
        name="odin-fgsm",
        title="ODIN (tuned on FGSM)",
        detector=Odin(),
        search=replace(GRID, on="adversarial_validation"),
    ),
)
