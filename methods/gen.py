"""Generalised entropy (GEN).

Liu, Lochman & Zach, "GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection", CVPR 2023.

    s(x) = -sum_{j among the M largest p} p_j^gamma (1 - p_j)^gamma,   ranked by its logarithm,
    -log sum_j exp(gamma (log p_j + log(1 - p_j)))

gamma = 0.1 and M = 100, the paper's own for ImageNet's 1,000 classes; all classes where there are fewer. A small gamma
lets many small probabilities weigh as much as one large one. The authors' code and OpenOOD raise the float32 softmax
itself to the power: where p is 1.0 the term of the largest class is 0, and all such inputs lose what tells them apart;
pytorch-ood clips p to [1e-7, 1 - 1e-7], with the same effect. Here 1 - p is the sum of the other probabilities, in
float64 and by logarithms. pytorch-ood takes the mean over classes, not the sum: the same rank.

At gamma = 1 and over all classes sum_j p_j (1 - p_j) = 1 - sum_j p_j^2: the Gini index of `doctor`.

Fails where strange inputs have a flat softmax over more than M classes: their M largest probabilities are small, and a
flat softmax is not the least sure. As every score of the softmax it does not see what moves all logits alike.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

GAMMAS = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""OpenOOD's grid; its M makes no difference with up to a hundred classes."""


@final
@dataclass(frozen=True)
class GeneralisedEntropy:
    """Minus the logarithm of the generalised entropy of the largest probabilities.

    Attributes:
        gamma: Exponent, > 0.
        M: How many of the largest probabilities; all where there are fewer.
    """

    gamma: float = 0.1
    M: int = 100

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return -log G."""
        log_p, log_q = formulas.log_probabilities(batch.logits)
        top = log_p.topk(min(self.M, log_p.shape[1]), dim=1)
        terms = self.gamma * (top.values + log_q.gather(1, top.indices))
        return -torch.logsumexp(terms, dim=1).float()


PAPER = Citation(
    authors="Liu, Lochman, Zach",
    title="GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
    year=2023,
    url="https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html",
)

METHODS = (
    Method(
        name="gen", title="GEN (γ = 0.1)", paper=PAPER, recipe=Plain(), detector=GeneralisedEntropy(), family="logits"
    ),
    Method(
        name="gen-tuned",
        title="GEN (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=GeneralisedEntropy(),
        family="logits",
        search=Grid(over=(("gamma", GAMMAS),)),
    ),
)
