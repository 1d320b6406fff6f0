"""SHE: the inner product with the mean feature of the predicted class.

Zhang, Fu, Chen, Du, Li, Wang, Liu, Han & Zhang, "Out-of-Distribution Detection based on In-Distribution Data Patterns
Memorization with Modern Hopfield Energy", ICLR 2023.

    S_c = mean of f over the training inputs of class c that the classifier gets right
    s(x) = f(x) . S_y,   y = argmax z(x)

Each class is stored as one pattern, where the energy of a Hopfield network has all of them. A class that the classifier
gets right on no training input has no pattern: an input that it is predicted for is compared with the pattern of the
likeliest class that has one. There OpenOOD's score is NaN, and pytorch-ood refuses to fit. The inner product is the
paper's; OpenOOD also offers the cosine and the Euclidean distance, which are other methods.

Fails where the length of the features does not tell inside from outside: the score is proportional to it, so that an
input with strong activations of any kind scores high, and a faint image of a known class scores low.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.recipes import Plain


class Patterns(NamedTuple):
    """The pattern of each class, in float64.

    Attributes:
        S: Rows of zeros for classes without one.
        stored: Which classes have one.
    """

    S: Float[Tensor, "C F"]
    stored: Bool[Tensor, "C"]


@final
@dataclass(frozen=True)
class HopfieldEnergy:
    """The simplified Hopfield energy: the inner product with the predicted class's pattern."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels"})

    def fit(self, data: FitData) -> Patterns:
        """Return the mean features of the training inputs that are classified right, by class.

        Raises:
            BadData: None of them is.
        """
        f, z, labels = data.train.features, data.train.logits, data.train.labels
        right = z.argmax(dim=1) == labels
        if not right.any():
            raise BadData(
                f"she: the classifier gets none of {len(z)} training images right, so that no class has a pattern; "
                f"are the labels those of its outputs, in its order?"
            )
        mean, _ = formulas.class_means(f[right], labels[right])
        present = torch.unique(labels[right])
        S = mean.new_zeros(z.shape[1], f.shape[1]).index_copy(0, present, mean)
        return Patterns(S, torch.isin(torch.arange(len(S), device=present.device), present))

    def score(self, state: Patterns, batch: Outputs) -> Float[Tensor, "n"]:
        """Return f . S_y."""
        y = batch.logits.masked_fill(~state.stored, -torch.inf).argmax(dim=1)
        return (batch.features.double() * state.S[y]).sum(dim=1).float()


METHODS = (
    Method(
        name="she",
        title="SHE",
        paper=Citation(
            authors="Zhang, Fu, Chen, Du, Li, Wang, Liu, Han, Zhang",
            title="Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern "
            "Hopfield Energy",
            year=2023,
            url="https://openreview.net/forum?id=KkazG4lgKL",
        ),
        recipe=Plain(),
        detector=HopfieldEnergy(),
        family="features",
    ),
)
