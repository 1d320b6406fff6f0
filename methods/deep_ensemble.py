"""Deep ensemble: several classifiers that differ in nothing but their seed.

Lakshminarayanan, Pritzel & Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
NeurIPS 2017, without its adversarial training; the mutual information is that of Houlsby et al. 2011 ("BALD").

    p(x) = 1/M sum_m softmax(z_m(x)),   H[p] = -sum_c p_c log p_c
    s(x) = -H[p(x)],   or   s(x) = -I(x),   I = H[p] - 1/M sum_m H[softmax(z_m)],   both in nats

The members are the plain classifiers of seeds 0 to M - 1, which other methods judge anyway; nothing is trained here. A
matrix with several seeds asks how far the numbers depend on them: its seed s then judges a bootstrap of the members, M
of them drawn with replacement, among which on average only 3.4 of 5 differ. That is a weaker ensemble than the five.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oodbench import formulas
from oodbench.contract import Citation, Material, Method, Scale, Shape, Stateless, TrainBatch, Training, View, Views
from oodbench.ensembles import bootstrap
from oodbench.networks.members import Ensemble
from oodbench.recipes import Plain


@final
@dataclass(frozen=True)
class DeepEnsemble:
    """Plain classifiers, asked together.

    Attributes:
        M: How many.
        bootstrap: With several seeds in the matrix each draws its members with replacement from the same M; without,
            seed s has M of its own, those of seeds sM to sM + M - 1.
        plain: What each of them is.
    """

    M: int = 5
    bootstrap: bool = True
    plain: Plain = Plain()

    provides: ClassVar[frozenset[View]] = frozenset({"inputs", "logits", "members", "gradient"})
    wants: ClassVar[frozenset[Material]] = frozenset()

    @property
    def training(self) -> Training:
        """That of a member, of which nothing is left to do."""
        return replace(self.plain.training, epochs=0)

    def at(self, scale: Scale, training: Training) -> "DeepEnsemble":
        """Return the ensemble of the matrix's own classifiers."""
        return replace(self, plain=self.plain.at(scale, training))

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Plain, int], ...]:
        """Return the members."""
        return tuple((self.plain, member) for member in self.members(seed, seeds))

    def members(self, seed: int, seeds: tuple[int, ...]) -> list[int]:
        """Return the members' seeds."""
        if self.bootstrap or len(seeds) == 1:
            return bootstrap(self.M, seed, seeds)
        return list(range(seed * self.M, (seed + 1) * self.M))

    def build(self, shape: Shape, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
        """Return fresh members."""
        return Ensemble(self.plain.build(shape, classes, mean, std) for _ in range(self.M))

    def assemble(self, net: nn.Module, parts: tuple[nn.Module, ...]) -> None:
        """Give each member its weights."""
        for member, part in zip(net.get_submodule("nets").children(), parts, strict=True):
            member.load_state_dict(part.state_dict())

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of the members' own losses: what each of them minimised."""
        return torch.stack([self.plain.loss(member, batch) for member in net.get_submodule("nets").children()]).mean()


def certainty(batch: Views) -> Float[Tensor, "n"]:
    """Return minus the entropy of the mean of the members' probabilities."""
    return -formulas.predictive_entropy(batch.members)


def agreement(batch: Views) -> Float[Tensor, "n"]:
    """Return minus the mutual information of the class and the member."""
    return -formulas.mutual_information(batch.members)


PAPER = Citation(
    authors="Lakshminarayanan, Pritzel, Blundell",
    title="Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    year=2017,
    url="https://arxiv.org/abs/1612.01474",
)

METHODS = (
    Method(
        name="deep-ensemble",
        title="Deep ensemble of 5, entropy (several seeds: bootstraps of the 5)",
        paper=PAPER,
        recipe=DeepEnsemble(),
        detector=Stateless(frozenset({"members"}), certainty),
    ),
    Method(
        name="deep-ensemble-mi",
        title="Deep ensemble of 5, mutual information (several seeds: bootstraps of the 5)",
        paper=PAPER,
        recipe=DeepEnsemble(),
        detector=Stateless(frozenset({"members"}), agreement),
    ),
)
