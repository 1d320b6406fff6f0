"""Deep ensemble: several classifiers that differ in nothing but their seed.

Lakshminarayanan, Pritzel & Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
NeurIPS 2017, without its adversarial training; the mutual information is that of Houlsby et al. 2011 ("BALD").

    p(x) = 1/M sum_m softmax(z_m(x)),   H[p] = -sum_c p_c log p_c
    s(x) = -H[p(x)],   or   s(x) = -I(x),   I = H[p] - 1/M sum_m H[softmax(z_m)],   both in nats

The members are M distinct plain classifiers, most of which other methods judge anyway. In a matrix with several seeds
they overlap from seed to seed (`oodbench.ensembles.members`), which its records say.

Fails where all members err alike: what they share, the data and the architecture, their disagreement cannot show. It
costs a training and a pass for every member.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.ensembles import members, take_weights
from oodbench.networks.members import Ensemble
from oodbench.recipes import Plain
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, Training


@final
@dataclass(frozen=True)
class DeepEnsemble(Defaults):
    """Plain classifiers, asked together.

    Attributes:
        M: How many.
        disjoint: With several seeds in the matrix, whether seed s has M of its own, those of seeds sM to sM + M - 1;
            else neighbouring seeds share M - 1.
        plain: What each of them is.
    """

    M: int = 5
    disjoint: bool = False
    plain: Plain = Plain()

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, LOGITS.of_members})
    spaces: ClassVar[frozenset[SpaceName]] = Plain.spaces

    @property
    def training(self) -> Training:
        """That of a member, of which nothing is left to do."""
        return replace(self.plain.training, epochs=0)

    def sized(self, scale: Scale, training: Training) -> "DeepEnsemble":
        """Return the ensemble of the matrix's own classifiers."""
        return replace(self, plain=self.plain.sized(scale, training))

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Plain, int], ...]:
        """Return the members."""
        return tuple((self.plain, member) for member in members(self.M, seed, seeds, disjoint=self.disjoint))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return the members, of which nothing is left to train."""
        nets = [self.plain.start(in_set, (), labels, seed).net for _ in range(self.M)]
        take_weights(nets, parts)
        return Fit(Ensemble(nets))


def certainty(batch: Outputs) -> Float[Tensor, "n"]:
    """Return minus the entropy of the mean of the members' probabilities."""
    return -formulas.predictive_entropy(batch[LOGITS.of_members])


def agreement(batch: Outputs) -> Float[Tensor, "n"]:
    """Return minus the mutual information of the class and the member."""
    return -formulas.mutual_information(batch[LOGITS.of_members])


PAPER = Citation(
    authors="Lakshminarayanan, Pritzel, Blundell",
    title="Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    year=2017,
    url="https://arxiv.org/abs/1612.01474",
)

METHODS = (
    Method(
        name="deep-ensemble",
        title="Deep ensemble of 5, entropy (several seeds share members)",
        family="ensembles",
        paper=PAPER,
        recipe=DeepEnsemble(),
        detector=Stateless(frozenset({LOGITS.of_members}), certainty),
    ),
    Method(
        name="deep-ensemble-mi",
        title="Deep ensemble of 5, mutual information (several seeds share members)",
        family="ensembles",
        paper=PAPER,
        recipe=DeepEnsemble(),
        detector=Stateless(frozenset({LOGITS.of_members}), agreement),
    ),
)
