"""NCI: how well the centred features point along the predicted class's weights.

Liu & Qin, "Detecting Out-of-Distribution Through the Lens of Neural Collapse", CVPR 2025.

    s(x) = w_y . (f(x) - mu) / ||f(x) - mu|| + alpha ||f(x)||_1,   y = argmax z(x),   mu the mean training feature

Under neural collapse the centred features of a class lie along its row of W, and far from the origin: the first term is
||w_y|| times the cosine, the second tells short features apart. The sum is of two units: alpha is in lengths of w_y per
unit of f, so that a value that suits one network may drown either term of another. OpenOOD, into which the authors put
their code, starts from 0.0001 and tunes over 0.0001 to 0.1 on out-of-distribution inputs; pytorch-ood starts from 0,
and tunes up to 1. The row `nci` has OpenOOD's start, `nci-tuned` its grid, 0 and 1. f - mu = 0 has no direction, and
the cosine 0. ||f||_1 is of the features as they are, not centred.

Fails where the rows of W differ in length: the first term then ranks inputs by the class that is predicted for them,
whatever they are. And where features may be negative and large on strange inputs, the second rewards them for it.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import feature_statistics
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Centre(NamedTuple):
    """The mean training feature, in float64."""

    mu: Float[Tensor, "F"]


@final
@dataclass(frozen=True)
class CollapseProximity:
    """The projection of the predicted class's weights on the direction of the centred features, and their L1 norm.

    Attributes:
        alpha: Weight of the norm, in units of W per unit of f.
    """

    alpha: float = 0.0001

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Centre:
        """Return the mean training feature."""
        return Centre(feature_statistics.mean(data.train.features))

    def score(self, state: Centre, batch: Outputs) -> Float[Tensor, "n"]:
        """Return w_y . (f - mu) / ||f - mu|| + alpha ||f||_1."""
        f = batch.features.double()
        w_y = batch.head.weight[batch.logits.argmax(dim=1)].double()
        along = (w_y * normalize(f - state.mu, dim=1)).sum(dim=1)
        return (along + self.alpha * f.abs().sum(dim=1)).float()


PAPER = Citation(
    authors="Liu, Qin",
    title="Detecting Out-of-Distribution Through the Lens of Neural Collapse",
    year=2025,
    url="https://arxiv.org/abs/2311.01479",
)

METHODS = (
    Method(
        name="nci",
        title="NCI (α = 0.0001)",
        paper=PAPER,
        recipe=Plain(),
        detector=CollapseProximity(),
        family="features",
    ),
    Method(
        name="nci-tuned",
        title="NCI (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=CollapseProximity(),
        family="features",
        search=Grid(over=(("alpha", (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0)),)),
    ),
)
