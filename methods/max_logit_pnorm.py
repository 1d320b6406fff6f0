"""MaxLogit-pNorm.

Cattelan & Silva, "How to Fix a Broken Confidence Estimator: Evaluating Post-hoc Methods for Selective Classification
with Deep Neural Networks", UAI 2024.

    c = z - mean(z),   s(x) = max_k c_k / ||c||_p,   p = 0: s(x) = max_k c_k
    p* = argmin_p AURC of s on held-out in-distribution images;   MSP where its AURC there is no larger

Ranked, for p > 0, by the log-odds of s^p,  p log c_y - log sum_{k != y} |c_k|^p  with y = argmax c, since s itself
rounds to 1 where one logit stands out and p is large. At p = 1, s is 1/2 for all inputs with a single logit above their
mean: these tie, so keys are rounded to 1e-9, and rounding of sums decides nothing.

AURC is the mean, over how many of the most confident images are kept, of the share of mistakes among them; images that
tie count as in any order. p is one of 0 to 8; the authors' code has 9, too, and goes back to the MSP where its AURC is
smaller; here also where they are equal, as when no held-out image is misclassified: then nothing speaks for another
score. With two classes s is the same for all inputs, and the MSP it is.

Tuned on held-out in-distribution images and their labels alone; chosen for mistakes, never for out-sets.

Fails where few held-out images are wrong: p hangs on them. The norm takes the length of the logits out of the score;
where just that tells out-sets apart, as for `energy` and `max-logit`, it is worse than they are.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Choice(NamedTuple):
    """The exponent, its AURC on the held-out images, and that of the MSP."""

    p: float
    aurc: float
    aurc_msp: float


@final
@dataclass(frozen=True)
class MaxLogitPNorm:
    """The largest centred logit over their p-norm, or the MSP where that is no worse on held-out images.

    Attributes:
        most: Largest exponent that is tried, from 0 on.
    """

    most: int = 8

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels", "validation"})

    def fit(self, data: FitData) -> Choice:
        """Return the exponent of least AURC, the first of equals."""
        z = data.validation.logits.double()
        wrong = z.argmax(dim=1) != data.validation.labels
        found = [aurc(key(z, p), wrong) for p in range(self.most + 1)]
        return Choice(float(found.index(min(found))), min(found), aurc(formulas.msp_key(z), wrong))

    def score(self, state: Choice, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of s, or of the MSP."""
        z = batch.logits.double()
        return (key(z, state.p) if state.aurc < state.aurc_msp else formulas.msp_key(z)).float()


def key(z: Float[Tensor, "n C"], p: float) -> Float[Tensor, "n"]:
    """Return max_k c_k for p = 0, else the log-odds of s^p; -log(C - 1) where all logits are equal."""
    c = z - z.mean(dim=1, keepdim=True)
    top, y = c.max(dim=1, keepdim=True)
    if not p:
        return top[:, 0]
    log_c = p * c.abs().clamp_min(torch.finfo(c.dtype).tiny).log()
    log_odds: Tensor = log_c.gather(1, y)[:, 0] - log_c.scatter(1, y, -torch.inf).logsumexp(dim=1)
    return log_odds.round(decimals=9)


def aurc(confidence: Float[Tensor, "n"], wrong: Bool[Tensor, "n"]) -> float:
    """Return the area under the risk-coverage curve, in [0, 1]; 0 where nothing is wrong."""
    _, group, size = torch.unique(-confidence, return_inverse=True, return_counts=True)
    mistakes = torch.zeros(len(size), dtype=torch.float64, device=wrong.device).index_add_(0, group, wrong.double())
    expected = (mistakes / size).repeat_interleave(size)  # of each place, from the most confident on
    kept = torch.arange(1, len(wrong) + 1, device=wrong.device)
    return float((expected.cumsum(0) / kept).mean())


METHODS = (
    Method(
        name="max-logit-pnorm",
        title="MaxLogit-pNorm",
        family="logits",
        paper=Citation(
            authors="Cattelan, Silva",
            title="How to Fix a Broken Confidence Estimator: Evaluating Post-hoc Methods for Selective Classification "
            "with Deep Neural Networks",
            year=2024,
            url="https://arxiv.org/abs/2305.15508",
        ),
        recipe=Plain(),
        detector=MaxLogitPNorm(),
    ),
)
