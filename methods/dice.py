"""DICE: a head of which only the weights that contribute most are left.

Sun & Li, "DICE: Leveraging Sparsification for Out-of-Distribution Detection", ECCV 2022.

    V_ci = W_ci E[f_i] over the training set,   M_ci = 1 where V_ci is above the p-th percentile of all C F entries of V
    s(x) = log sum_c exp((M * W)_c . f(x) + b_c)

Units that add little to a class in training but are noisy outside then add nothing. Contributions are signed: what goes
first is what lowers a class most. The percentile is that of the whole matrix, so classes keep different numbers of
weights; "above" is strict, and the bias is whole. p = 90 is the authors' for CIFAR, 70 their ImageNet run; the tuned
row searches p on held-out out-of-distribution inputs. OpenOOD's sweep has no effect: it computes the mask once, before
p is set.

Negative features need no care, for a contribution may have any sign. A unit that never fires contributes 0: it is
kept where the percentile is negative, which it can be only while p is small. Where all contributions are equal nothing
is left, and all inputs have the energy of the bias.

Fails where many features matter to every class, as in a small network: of 64 features and ten classes p = 90 leaves
some six weights a class, and the logits lose what told classes apart. A class may lose all of its weights.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import feature_statistics, shaping
from oodbench.contract import FEATURES, HEAD, Citation, FitData, Grid, Head, Material, Method, Output, Outputs
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class Dice:
    """The energy of the logits of a sparse head.

    Attributes:
        p: In percent: how many of the head's weights are left out.
    """

    p: float = 90.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Head:
        """Return the head with all but the largest contributions 0."""
        W, b = data.train.head
        V = W * feature_statistics.mean(data.train.features)
        return Head(torch.where(feature_statistics.percentile(V, self.p) < V, W, 0), b)

    def score(self, state: Head, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the energy."""
        return shaping.energy(batch.features, state)


PAPER = Citation(
    authors="Sun, Li",
    title="DICE: Leveraging Sparsification for Out-of-Distribution Detection",
    year=2022,
    url="https://arxiv.org/abs/2111.09805",
)

METHODS = (
    Method(name="dice", title="DICE (p = 90)", paper=PAPER, recipe=Plain(), detector=Dice(), family="shaping"),
    Method(
        name="dice-tuned",
        title="DICE (tuned)",
        paper=PAPER,
        recipe=Plain(),
        detector=Dice(),
        family="shaping",
        search=Grid(over=(("p", (10.0, 30.0, 50.0, 70.0, 90.0)),)),
    ),
)
