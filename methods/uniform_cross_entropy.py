"""Cross-entropy from the uniform distribution to the softmax.

Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, who try it beside the
maximum softmax probability on networks before and after training with outliers.

    s(x) = H(U; p) = -mean_c log p_c = logsumexp(z) - mean_c z_c,   p = softmax(z)

It is least, log C, where p is uniform, and grows with the least probable classes, which the maximum does not see. Their
code ranks by mean_c log p_c of the float32 softmax; after their training with outliers it is the row
`oe-finetune-uniform`.

Fails where the logits of unlikely classes are not trained: cross-entropy alone hardly says how far below the first
class the others stand.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def uniform_cross_entropy(batch: Outputs) -> Float[Tensor, "n"]:
    """Return H(U; p) in nats."""
    return formulas.uniform_cross_entropy(batch.logits)


METHODS = (
    Method(
        name="uniform-cross-entropy",
        title="H(U; p)",
        family="logits",
        paper=Citation(
            authors="Hendrycks, Mazeika, Dietterich",
            title="Deep Anomaly Detection with Outlier Exposure",
            year=2019,
            url="https://arxiv.org/abs/1812.04606",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), uniform_cross_entropy),
    ),
)
