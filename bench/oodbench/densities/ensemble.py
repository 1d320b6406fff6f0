"""Several densities that differ in nothing but their seed (Choi, Jang & Alemi, "WAIC, but Why?", 2018).

    p(y) = 1/M sum_m p_m(y),   and log p_m(y) of each of them

The members are the models of the density's own rows, M distinct ones; nothing else is trained here. In a matrix with
several seeds they overlap from seed to seed (`oodbench.ensembles.members`), which its records say. The paper's
intervals are bootstraps of five, among which on average only 3.4 differ: a weaker ensemble.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from oodbench.contract import LOG_DENSITY, Output
from oodbench.ensembles import members, take_weights
from oodbench.training import Defaults, Fit, InSet, Parts, Pool, Recipe, Scale, Training

ALONE: frozenset[Output] = frozenset({LOG_DENSITY})


@final
@dataclass(frozen=True)
class DensityEnsemble(Defaults):
    """Densities of one recipe, asked together.

    Attributes:
        density: What each of them is.
        M: How many.
    """

    density: Recipe
    M: int = 5

    provides: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY, LOG_DENSITY.of_members})

    @property
    def version(self) -> int:
        """The members': what they make of an input moves what their ensemble makes of it."""
        return self.density.version

    @property
    def training(self) -> Training:
        """That of a member, of which nothing is left to do."""
        return replace(self.density.training, epochs=0)

    def sized(self, scale: Scale, training: Training) -> "DensityEnsemble":
        """Return the ensemble of members at a scale."""
        return replace(self, density=self.density.sized(scale, training))

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the members."""
        return tuple((self.density, member) for member in members(self.M, seed, seeds))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return the members, of which nothing is left to train."""
        nets = [self.density.start(in_set, (), labels, seed).net for _ in range(self.M)]
        take_weights(nets, parts)
        return Fit(Densities(nets))

    def pool(self) -> Pool:
        """Return how the members' log densities [n M], and the log of their mean, follow from each of them."""
        return Pool(ALONE, lambda parts: pooled([part[LOG_DENSITY] for part in parts]))


class Densities(nn.Module):
    """Models that give a log density, as one."""

    entries: frozenset[Output] = frozenset()
    constants: Mapping[Output, Any] = MappingProxyType({})

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    @property
    def passes(self) -> int:
        """How many there are."""
        return len(self.nets)

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return the members' log densities [n M], and the log of the mean of their densities."""
        return pooled([net.outputs(x, ALONE)[LOG_DENSITY] for net in self.nets])  # type: ignore[operator]


def pooled(log_p: Sequence[Tensor]) -> Mapping[Output, Any]:
    """Return log p_m(y) [n M], and log 1/M sum_m p_m(y) [n]."""
    each = torch.stack(list(log_p), dim=1)
    return {LOG_DENSITY.of_members: each, LOG_DENSITY: each.logsumexp(dim=1) - math.log(len(log_p))}
