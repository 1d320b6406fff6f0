"""MCM: maximum concept matching, of cosines.

Ming, Cai, Gu, Sun, Li & Li, "Delving into Out-of-Distribution Detection with Vision-Language Representations", NeurIPS
2022.

    cos_c = f.w_c / (||f|| ||w_c||),   s(x) = max_c softmax(cos / tau)_c,   ranked by   -tau log mean_{i != y} exp(...)

as `baseline-t` has it. In the paper w_c is the embedding of the words of class c and f that of the image: the head of a
zero-shot classifier made from CLIP. tau = 1 is the paper's; the logits of such a classifier are 100 cos.

The score is a function of cosines, so it reads the features and the head and makes cosines of them; a bias has no place
in it. It does not read the logits: on a usual classifier max softmax(z / tau) is the MSP at a temperature, which is
`baseline-t`, though OpenOOD lists it as MCM. On such a classifier this row is a softmax of angles to the head's
weights: defined, but without the paper's reason, that the w_c mean something beyond the training set.

Fails where lengths carry the evidence: it drops that of the features, which tells many out-sets from the in-set.
"""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import formulas
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class ConceptMatching:
    """The largest softmax probability of cosines at a temperature, by a key that does not saturate.

    Attributes:
        tau: Temperature.
    """

    tau: float = 1.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the rank key of max softmax(cos / tau)."""
        u, w = (normalize(x.double(), dim=1) for x in (batch.features, batch.head.weight))
        return formulas.tempered_margin(u @ w.T, self.tau).float()


PAPER = Citation(
    authors="Ming, Cai, Gu, Sun, Li, Li",
    title="Delving into Out-of-Distribution Detection with Vision-Language Representations",
    year=2022,
    url="https://arxiv.org/abs/2211.13445",
)

METHODS = (
    Method(name="mcm", title="MCM (τ = 1)", family="logits", paper=PAPER, recipe=Plain(), detector=ConceptMatching()),
    Method(
        name="mcm-tuned",
        title="MCM (tuned)",
        family="logits",
        paper=PAPER,
        recipe=Plain(),
        detector=ConceptMatching(),
        search=Grid(over=(("tau", (0.01, 0.1, 1.0, 10.0)),)),
    ),
)
