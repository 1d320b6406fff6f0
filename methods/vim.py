"""Virtual-logit matching, and the residual of the features alone.

Wang, Li, Feng & Zhang, "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022.

    u = -W^+ b,   R = the F - d directions in which E (f - u)(f - u)^T is smallest         (W, b the head; training set)
    residual:  s(x) = -||R^T (f(x) - u)||
    vim:       s(x) = log sum_c exp z_c(x) - alpha ||R^T (f(x) - u)||
               alpha = sum_i max_c z_ic / sum_i ||R^T (f_i - u)||                                        (training set)

u is where all logits are 0, as far as b allows; the moment is about u, not about the mean. Softmax over the C logits
and a virtual one, alpha times the residual, would give that one a probability that falls as s rises. d is 1,000 where
F >= 2,048, 512 where F >= 768, else F / 2: the rule of the authors' code. The tuned rows choose a share of F.

The decomposition is in float64 and symmetric. The authors and OpenOOD call a general `eig`, which may answer in complex
numbers, and take any d: at d >= F nothing is left over, and the score is NaN or the same for all. OpenOOD's sweep,
{256, 1000}, does that to a network of 512 features, and so does its default for the residual, d = 512, which it also
fits on validation images. pytorch-ood halves F where d is larger, and leaves d = F as it is.

Fails where outliers differ from training images inside the principal space alone. alpha rests on the sign of the
logits, which softmax does not: a classifier whose largest logits are negative on average is refused.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURES, HEAD, LOGITS, Citation, FitData, Grid, Head, Material, Method, Output, Outputs
from oodbench.errors import BadData, BadMethod
from oodbench.feature_statistics import principal
from oodbench.recipes import Plain

RTOL = 1e-10
"""Share of the whole second moment below which a residual is rounding of float32 activations, not data."""


class Space(NamedTuple):
    """What is left of features outside their principal space.

    Attributes:
        u: The origin.
        R: Orthonormal columns.
    """

    u: Float[Tensor, "F"]
    R: Float[Tensor, "F r"]

    def residual(self, f: Float[Tensor, "n F"]) -> Float[Tensor, "n"]:
        """Return ||R^T (f - u)||, in float64."""
        length: Tensor = ((f.double() - self.u) @ self.R).norm(dim=1)
        return length


def dimension(d: float | None, F: int) -> int:
    """Return the dimension of the principal space of F features: d, that share of F below 1, or the authors' rule.

    Raises:
        BadMethod: It would be all F, or is negative.
    """
    if d is None:
        return 1000 if F >= 2048 else 512 if F >= 768 else F // 2
    if d < 0 or d >= F:
        raise BadMethod(
            f"a principal space of {d:g} of {F} features leaves no residual; expected 0 <= d < {F}: give a smaller d, "
            f"a share of the features as 0.5, or none for the authors' rule"
        )
    return int(d) if d >= 1 else int(d * F)


def space_of(f: Float[Tensor, "N F"], head: Head, d: float | None) -> Space:
    """Return what lies outside the d principal directions of training features about u = -W^+ b.

    Raises:
        BadData: Nothing does.
    """
    u = -torch.linalg.pinv(head.weight.double()) @ head.bias.double()
    kept = dimension(d, f.shape[1])
    _, direction, variance = principal(f, u)
    if variance[kept:].sum() <= RTOL * variance.sum():
        raise BadData(
            f"the training features lie in {int((variance > RTOL * variance[0]).sum())} of their {f.shape[1]} "
            f"directions, all inside a principal space of {kept}: no residual is left; give a smaller d"
        )
    return Space(u, direction[:, kept:].contiguous())


@final
@dataclass(frozen=True)
class Residual:
    """Minus the length of the features outside their principal space.

    Attributes:
        d: Dimension of the principal space, below 1 a share of F; None for the authors' rule.
    """

    d: float | None = None

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Space:
        """Return the space outside the principal one."""
        return space_of(data.train.features, data.train.head, self.d)

    def score(self, state: Space, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -||R^T (f - u)||."""
        return -state.residual(batch.features)


class Matched(NamedTuple):
    """The space outside the principal one, and what makes a virtual logit of a residual."""

    space: Space
    alpha: float


@final
@dataclass(frozen=True)
class Vim:
    """The energy of the logits less a virtual logit.

    Attributes:
        d: As above.
    """

    d: float | None = None

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Matched:
        """Return the space, and the ratio of the largest logits to the residuals on the training set.

        Raises:
            BadData: The largest logits are not positive on average.
        """
        space = space_of(data.train.features, data.train.head, self.d)
        residual = sum(float(space.residual(f).sum()) for f in torch.split(data.train.features, formulas.ROWS))
        largest = float(data.train.logits.amax(dim=1).double().sum())
        if largest <= 0:
            raise BadData(
                f"vim: the largest logits are {largest / len(data.train):.4g} on average, so that a residual would "
                f"raise the score; expected more than 0: add a constant to the head's bias, or take the row residual"
            )
        return Matched(space, largest / residual)

    def score(self, state: Matched, batch: Outputs) -> Float[Tensor, "n"]:
        """Return logsumexp z - alpha ||R^T (f - u)||."""
        return formulas.energy(batch.logits.double()) - state.alpha * state.space.residual(batch.features)


PAPER = Citation(
    authors="Wang, Li, Feng, Zhang",
    title="ViM: Out-Of-Distribution with Virtual-logit Matching",
    year=2022,
    url="https://arxiv.org/abs/2203.10807",
)
SHARES = Grid(over=(("d", (0.05, 0.15, 0.25, 0.5, 0.75, 0.9)),))

row = partial(Method, family="features", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="vim", title="ViM", detector=Vim()),
    row(name="vim-tuned", title="ViM, d tuned", detector=Vim(), search=SHARES),
    row(name="residual", title="Residual (ViM)", detector=Residual()),
    row(name="residual-tuned", title="Residual (ViM), d tuned", detector=Residual(), search=SHARES),
)
