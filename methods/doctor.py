"""DOCTOR.

Granese, Romanelli, Gorla, Palamidessi & Piantanida, "DOCTOR: A Simple Method for Detecting Misclassification Errors",
NeurIPS 2021; the case of a black box, of which only probabilities are seen.

    g(x) = sum_c p_c^2,   D_alpha(x) = (1 - g) / g,   s(x) = -D_alpha,   ranked by   -log D_alpha = log g / (1 - g)

1 - g = sum_c p_c (1 - p_c) is a sum of positive terms, each made by its logarithm: from float32 probabilities it is 0
for every confident input. The paper's second score, D_beta = (1 - p_y) / p_y with p_y = max_c p_c, falls with p_y: it
ranks as `msp` does, and makes no row. With two classes D_alpha ranks so, too. The score is that of `gen` at gamma = 1
over all classes.

The paper's other case moves the input by a step, and chooses step and temperature; here T = 1, the logits as they are.
Settled by the code of Dadalto et al. (see `rel_u`), which has the same g and D_alpha.

Fails where the softmax is blind to what is strange: it reads no more than the probabilities. It can differ from `msp`
only where the rest 1 - p_y is shared among the other classes unevenly.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def alpha(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -log D_alpha, at least -log(C - 1)."""
    log_p, log_q = formulas.log_probabilities(batch.logits)
    log_rest = torch.logsumexp(log_p + log_q, dim=1)  # log(1 - g)
    return (torch.log1p(-log_rest.exp()) - log_rest).float()


METHODS = (
    Method(
        name="doctor",
        title="DOCTOR (α)",
        family="logits",
        paper=Citation(
            authors="Granese, Romanelli, Gorla, Palamidessi, Piantanida",
            title="DOCTOR: A Simple Method for Detecting Misclassification Errors",
            year=2021,
            url="https://arxiv.org/abs/2106.02395",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), alpha),
    ),
)
