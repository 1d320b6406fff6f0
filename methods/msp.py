"""Maximum softmax probability.

Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks", ICLR
2017.

    s(x) = max_c softmax(z)_c,   ranked by   -log sum_{i != y^} exp(z_i - z_y^),   y^ = argmax z

The two order inputs alike, but the probability is 1.0 in float32 for every confident input, and ties decide the
metrics.

Fails where the network is sure far from its training inputs: the softmax sees differences of logits alone, which grow
along every direction that tells classes apart.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


METHODS = (
    Method(
        name="msp",
        title="Maximum softmax probability",
        family="logits",
        paper=Citation(
            authors="Hendrycks, Gimpel",
            title="A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
            year=2017,
            url="https://arxiv.org/abs/1610.02136",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), msp),
    ),
)
