"""i-ODIN: ODIN that moves only the pixel value which the confidence hangs on most.

Regmi, "Going Beyond Conventional OOD Detection", 2024; the definition is the author's code in OpenOOD (pull request
284 there).

    g = grad_x log softmax(z(x) / T)_y^,   k = argmax_k |g_k| over all C H W values
    x~ = x + eps sign(g_k) e_k,   s(x) = max_c softmax(z(x~) / T)_c

One value of one channel of one pixel moves, not a pixel. As in `odin` the step is in pixels of [0, 1] and not clipped,
a gradient of 0 moves nothing (the author's code moves by +eps), and both softmaxes are replaced by the log-odds of the
same probability, which order alike and never saturate. Of values that are as steep as each other the first moves.

Fails where no single value matters: the step changes the log probability by eps |g_k| at first order, and where that
is small against the differences between images the ranks are those of the softmax at temperature T, for a backward pass
and a second forward pass more.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


def steepest(g: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the sign of each image's largest derivative in its place, and 0 elsewhere."""
    flat = g.flatten(1)
    k = flat.abs().argmax(dim=1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, k, flat.gather(1, k).sign()).view_as(g)


@final
@dataclass(frozen=True)
class IOdin:
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
        return self._confidence(batch.at(batch.inputs + self.eps * steepest(batch.grad(self._confidence))))

    def _confidence(self, batch: Outputs) -> Float[Tensor, "n"]:
        return formulas.tempered_margin(batch.logits, self.T)


PAPER = Citation(
    authors="Regmi", title="Going Beyond Conventional OOD Detection", year=2024, url="https://arxiv.org/abs/2411.10794"
)

METHODS = (
    Method(name="i-odin", title="i-ODIN", paper=PAPER, recipe=Plain(), detector=IOdin(), family="perturbation"),
    Method(
        name="i-odin-tuned",
        title="i-ODIN, tuned",
        paper=PAPER,
        recipe=Plain(),
        detector=IOdin(),
        family="perturbation",
        search=Grid(over=(("T", (1.0, 10.0, 100.0, 1000.0)), ("eps", (0.0014, 0.0028)))),
    ),
)
