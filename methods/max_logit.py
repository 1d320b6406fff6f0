"""Maximum logit.

Hendrycks, Basart, Mazeika, Zou, Kwon, Mostajabi, Steinhardt & Song, "Scaling Out-of-Distribution Detection for
Real-World Settings", ICML 2022.

    s(x) = max_c z_c

Fails where strange inputs have one large logit, however large the second is: for the classifier's own mistakes the gap
between the two counts.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def max_logit(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the largest logit."""
    return formulas.max_logit(batch.logits)


METHODS = (
    Method(
        name="max-logit",
        title="Maximum logit",
        family="logits",
        paper=Citation(
            authors="Hendrycks, Basart, Mazeika, Zou, Kwon, Mostajabi, Steinhardt, Song",
            title="Scaling Out-of-Distribution Detection for Real-World Settings",
            year=2022,
            url="https://arxiv.org/abs/1911.11132",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({LOGITS}), max_logit),
    ),
)
