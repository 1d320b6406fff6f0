"""Scores that need nothing but a log density, of one model or of several.

Every one is in nats, all dimensions of an image together. Of WAIC that matters: a variance falls with the square of the
unit, so that in nats a dimension it would be the mean alone.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import LOG_DENSITY, FitData, Material, Output, Outputs, Stateless


def log_density(batch: Outputs) -> Float[Tensor, "n"]:
    """Return log p(y), in float64."""
    return batch.log_density


def waic(batch: Outputs) -> Float[Tensor, "n"]:
    """Return mean_m log p_m(y) - var_m log p_m(y), the variance that of a population, 1/M (Choi, Jang & Alemi 2018)."""
    log_p = batch[LOG_DENSITY.of_members].double()
    return log_p.mean(dim=1) - log_p.var(dim=1, correction=0)


LIKELIHOOD = Stateless(frozenset({LOG_DENSITY}), log_density)
"""The log density itself."""

WAIC = Stateless(frozenset({LOG_DENSITY.of_members}), waic)
"""A lower estimate of the log density, by members that agree on what they know."""


class Reference(NamedTuple):
    """The log densities of the training inputs, un-augmented, from the smallest up [N]."""

    ascending: Tensor


@final
@dataclass(frozen=True)
class Typicality:
    """The two-sided p-value of an input's log density among those of the training inputs.

    p = min(1, 2 min(share of them <= log p(y), share of them >= log p(y))), as Mackowiak 2021 tests "y is in-set"; for
    log densities without ties that is 2 min(u, 1 - u), u = F(log p(y)). Beyond the range of the training inputs p is 0
    whatever the distance: there the score is minus the distance to the range, in nats. So all scores of at most 1 are
    ordered, first by p, then by distance.

    A model is surer of the inputs that it was trained on than of others like them: more in-set inputs than a share
    alpha have p < alpha, the more the longer it was trained on the fewer images. It is a score, not a calibrated test.
    """

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Reference:
        """Return the training inputs' log densities in order."""
        return Reference(data.train.log_density.double().sort().values)

    def score(self, state: Reference, batch: Outputs) -> Float[Tensor, "n"]:
        """Return p, or minus the distance where that is 0; in float64."""
        ascending, log_p = state.ascending, batch.log_density.double()
        below = torch.searchsorted(ascending, log_p, right=True)
        above = len(ascending) - torch.searchsorted(ascending, log_p)
        p = (2 * torch.minimum(below, above).double() / len(ascending)).clamp(max=1)
        distance = torch.maximum(ascending[0] - log_p, log_p - ascending[-1]).clamp(min=0)
        return p - distance

    def differentiable(self, state: Reference, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -|log p(y) - median of the training inputs'|, in nats: on either side it falls where p falls."""
        middle = torch.quantile(state.ascending, 0.5)
        return -(batch.log_density.double() - middle).abs()


class Level(NamedTuple):
    """The mean log density of the training inputs, un-augmented, in nats."""

    mean: float


@final
@dataclass(frozen=True)
class TypicalityMean:
    """Minus the distance of an input's log density to the mean of the training inputs', in nats (Nalisnick 2019b)."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Level:
        """Return the mean."""
        return Level(float(data.train.log_density.double().mean()))

    def score(self, state: Level, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -|log p(y) - mean|, in float64."""
        return -(batch.log_density.double() - state.mean).abs()
