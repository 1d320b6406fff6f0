"""GradNorm: the length of the gradient that would make the classifier uncertain.

Huang, Geng & Li, "On the Importance of Gradients for Detecting Distributional Shifts in the Wild", NeurIPS 2021.

    s(x) = || d/dW sum_c -log p_c(x) ||_1 = || C p(x) - 1 ||_1 || f(x) ||_1,   p = softmax z,   z = W f + b

The derivative by W_cj is (C p_c - 1) f_j, an outer product, so its absolute entries sum to a product: no backward pass
is needed, where the authors' code, OpenOOD and pytorch-ood take one an image. The paper writes KL(u || p) with u = 1/C,
the authors' code (and OpenOOD's) a cross-entropy to a vector of ones, which is C times that plus a constant: the same
ranks, and here the code's unit. T = 1 and the weights of the last layer alone are the paper's choice; pytorch-ood takes
all parameters unless told. Larger = more in-distribution.

As p becomes one-hot the first factor tends to 2 (C - 1) and only || f ||_1 ranks; on inputs of one length the order is
that of p. In float64, so that p near 1 still tells.

Fails where outliers have large activations: their length multiplies the score without bound, while the softmax's part
is at most 2 (C - 1), so that an uncertain answer hardly counts against them.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def gradient_norm(batch: Outputs) -> Float[Tensor, "n"]:
    """Return ||C p - 1||_1 ||f||_1, in float64."""
    p = batch.logits.double().softmax(dim=1)
    return (p.shape[1] * p - 1).abs().sum(dim=1) * batch.features.double().abs().sum(dim=1)


METHODS = (
    Method(
        name="gradnorm",
        title="GradNorm",
        paper=Citation(
            authors="Huang, Geng, Li",
            title="On the Importance of Gradients for Detecting Distributional Shifts in the Wild",
            year=2021,
            url="https://arxiv.org/abs/2110.00218",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({FEATURES, LOGITS}), gradient_norm),
        family="features",
    ),
)
