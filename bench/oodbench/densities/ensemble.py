"""Several densities that differ in nothing but their seed (Choi, Jang & Alemi, "WAIC, but Why?", 2018).

    p(y) = 1/M sum_m p_m(y),   and log p_m(y) of each of them

The members are the models of seeds 0 to M - 1 that the density's own rows judge; nothing is trained here. A matrix
with several seeds asks how far the numbers depend on them: its seed s then judges a bootstrap of the same M members, as
the paper's intervals do (10 draws of 5 with replacement). On average only 3.4 of 5 differ: a weaker ensemble.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from oodbench.contract import Material, Recipe, Scale, Shape, TrainBatch, Training, View
from oodbench.ensembles import bootstrap


@final
@dataclass(frozen=True)
class DensityEnsemble:
    """Densities of one recipe, asked together.

    Attributes:
        density: What each of them is.
        M: How many.
    """

    density: Recipe
    M: int = 5

    provides: ClassVar[frozenset[View]] = frozenset({"inputs", "log_density", "log_densities", "gradient"})
    wants: ClassVar[frozenset[Material]] = frozenset()

    @property
    def training(self) -> Training:
        """That of a member, of which nothing is left to do."""
        return replace(self.density.training, epochs=0)

    def at(self, scale: Scale, training: Training) -> "DensityEnsemble":
        """Return the ensemble of members at a scale."""
        return replace(self, density=self.density.at(scale, training))

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the members."""
        return tuple((self.density, member) for member in bootstrap(self.M, seed, seeds))

    def build(self, shape: Shape, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
        """Return fresh members."""
        return Densities(self.density.build(shape, classes, mean, std) for _ in range(self.M))

    def assemble(self, net: nn.Module, parts: tuple[nn.Module, ...]) -> None:
        """Give each member its weights."""
        for member, part in zip(net.get_submodule("nets").children(), parts, strict=True):
            member.load_state_dict(part.state_dict())

    @property
    def pools(self) -> frozenset[View]:
        """The log density of each member."""
        return frozenset({"log_density"})

    def pool(self, parts: Sequence[Mapping[View, Any]]) -> Mapping[View, Any]:
        """Return the members' log densities [n M], and the log of the mean of their densities."""
        return pooled([part["log_density"] for part in parts])

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of the members' own losses: what each of them minimised."""
        return torch.stack([self.density.loss(member, batch) for member in net.get_submodule("nets").children()]).mean()


class Densities(nn.Module):
    """Models that show a log density, as one."""

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    @property
    def passes(self) -> int:
        """How many there are."""
        return len(self.nets)

    def show(self, x: Tensor, wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return the members' log densities [n M], and the log of the mean of their densities."""
        alone: frozenset[View] = frozenset({"log_density"})
        return pooled([net.show(x, alone)["log_density"] for net in self.nets])  # type: ignore[operator]


def pooled(log_p: Sequence[Tensor]) -> Mapping[View, Any]:
    """Return log p_m(y) [n M], and log 1/M sum_m p_m(y) [n]."""
    each = torch.stack(list(log_p), dim=1)
    return {"log_densities": each, "log_density": each.logsumexp(dim=1) - math.log(len(log_p))}
