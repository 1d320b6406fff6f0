"""i-ODIN: ODIN that moves only the one pixel value whose gradient is largest.

OpenOOD's post-processor "iodin" (Jingkang50/OpenOOD, openood/postprocessors/iodin_postprocessor.py, 2025), which names
no paper.

    G = grad_x log softmax(z(x) / T)_y^,   m = 1 where |G| is largest, 0 elsewhere
    x~ = x + eps m sign(G),   s(x) = max_c softmax(z(x~) / T)_c

m is one value: one pixel of one channel. y^ is predicted from the clean input. OpenOOD takes the gradient in
standardised units, there by std times the pixels' own, so that of channels of different std it may choose another;
here it is the pixels'. Its step, divided by std in those units, is eps in pixels, as here. Its defaults are ODIN's, and
its grid is the one below. T and the log-odds are as in `odin`: a key that does not saturate. Of equal gradients the
first is moved; where all are 0, nothing.

Rows: the defaults; tuned on held-out out-of-distribution inputs.

Fails where one value in thousands decides nothing: at the default eps the score is nearly the softmax at T = 1000, and
what separates the two is lost in larger images.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class OnePixelOdin:
    """The tempered softmax probability after a small step of one pixel value towards confidence.

    Attributes:
        T: Temperature.
        eps: Length of the step in pixels of [0, 1].
    """

    T: float = 1000.0
    eps: float = 0.0014

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS, INPUTS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of max softmax(z(x~) / T)."""
        slope = batch.grad(self._confidence).flatten(1)
        steepest = slope.abs().argmax(dim=1, keepdim=True)
        step = torch.zeros_like(slope).scatter(1, steepest, slope.gather(1, steepest).sign())
        x = batch.inputs
        return self._confidence(batch.at(x + self.eps * step.view_as(x)))

    def _confidence(self, batch: Outputs) -> Float[Tensor, "n"]:
        return formulas.tempered_margin(batch.logits, self.T)


PAPER = Citation(
    authors="OpenOOD",
    title="i-ODIN, a post-processor of OpenOOD",
    year=2025,
    url="https://github.com/Jingkang50/OpenOOD/blob/main/openood/postprocessors/iodin_postprocessor.py",
)

METHODS = (
    Method(
        name="i-odin",
        title="i-ODIN (T = 1000, ε = 0.0014)",
        paper=PAPER,
        recipe=Plain(),
        detector=OnePixelOdin(),
        family="perturbation",
    ),
    Method(
        name="i-odin-tuned",
        title="i-ODIN (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=OnePixelOdin(),
        family="perturbation",
        search=Grid(over=(("T", (1.0, 10.0, 100.0, 1000.0)), ("eps", (0.0014, 0.0028)))),
    ),
)
