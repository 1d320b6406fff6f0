"""Margin between the two largest logits.

Liang, Peng & Sun, "Selective Classification Under Distribution Shifts", TMLR 2024.

    s(x) = z_(1) - z_(2) = log p_(1) / p_(2)

the two largest logits. The paper's other score divides each difference to the largest logit by the distance between
the two rows of the head, and takes the least: how far the features are from the nearest boundary. The older margin of
probabilities, p_(1) - p_(2), saturates; this one does not, and with two classes ranks as `msp` does.

Fails where several classes share the evidence in the same way inside and outside: all classes but two are ignored, so
that a second class which is close makes an in-set input as doubtful as a strange one.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def margin(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the difference of the two largest logits, at least 0."""
    top = batch.logits.double().topk(2, dim=1).values
    return (top[:, 0] - top[:, 1]).float()


METHODS = (
    Method(
        name="margin",
        title="Margin of logits",
        family="logits",
        paper=Citation(
            authors="Liang, Peng, Sun",
            title="Selective Classification Under Distribution Shifts",
            year=2024,
            url="https://arxiv.org/abs/2405.05160",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), margin),
    ),
)
