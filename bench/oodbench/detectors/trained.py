"""What detectors share that train a small network on features: units, the loop, and weights as one tensor."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

LEAST = 0.1
"""Smallest unit of a feature, as a share of the features' root mean square deviation.

A unit that is never or hardly ever active would otherwise give the score to whatever input stirs it.
"""

N = TypeVar("N", bound=nn.Module)


class Units(NamedTuple):
    """z = (f - centre) / scale: features of mean 0 and, but for the nearly constant ones, variance 1. In float64."""

    centre: Float[Tensor, "F"]
    scale: Float[Tensor, "F"]

    def __call__(self, f: Float[Tensor, "n F"]) -> Float[Tensor, "n F"]:
        """Return z."""
        return (f - self.centre) / self.scale

    @property
    def log_det(self) -> Float[Tensor, ""]:
        """log|det dz/df| = -sum log scale: log p(f) = log p(z) + this."""
        return -self.scale.log().sum()


def units(f: Float[Tensor, "N F"]) -> Units:
    """Return the units of training features; 1 for each if all of them are constant."""
    centre, deviation = f.double().mean(dim=0), f.double().std(dim=0, correction=0)
    least = LEAST * deviation.square().mean().sqrt()
    return Units(centre, torch.where(least > 0, deviation.clamp(min=least), 1.0))


class Schedule(NamedTuple):
    """How long and how fast to train with Adam.

    `steps` or `epochs` passes over the rows, whichever ends first, of `batch` rows each; a step's gradient has at most
    the norm `clip`. The rate is multiplied by `decay` after each pass, or where that is None falls to 0 on a cosine.
    The rows that training does not see judge it `looks` times.
    """

    rate: float
    batch: int
    steps: int | None
    epochs: int
    clip: float
    decay: float | None = None
    looks: int = 20


def minimise(
    net: nn.Module,
    loss: Callable[[Float[Tensor, "b F"]], Float[Tensor, ""]],
    rows: Float[Tensor, "N F"],
    schedule: Schedule,
    generator: torch.Generator,
) -> None:
    """Train a network, and leave it with the weights that were best on every tenth row, which training does not see.

    Rows are drawn with replacement, by the generator alone; gradients need not be on in the caller.
    """
    order = torch.randperm(len(rows), generator=generator).to(rows.device)
    tenth = max(1, len(rows) // 10)
    kept_back, rest = rows[order[:tenth]], rows[order[tenth:]]
    batch = min(schedule.batch, len(rest))
    steps = schedule.epochs * len(rest) // batch
    if schedule.steps is not None:
        steps = min(steps, schedule.steps)
    optimiser = torch.optim.Adam(net.parameters(), lr=schedule.rate)
    rates = _rates(optimiser, schedule.decay, steps, len(rest) / batch)
    best, weights = torch.inf, flat(net)
    for step in range(1, steps + 1):
        drawn = torch.randint(len(rest), (batch,), generator=generator).to(rows.device)
        optimiser.zero_grad()
        with torch.enable_grad():
            loss(rest[drawn]).backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(net.parameters(), schedule.clip)
        optimiser.step()
        rates.step()
        if step % max(1, steps // schedule.looks) == 0 and (now := _evaluated(loss, kept_back)) < best:
            best, weights = now, flat(net)
    vector_to_parameters(weights, net.parameters())


def _rates(optimiser: Optimizer, decay: float | None, steps: int, steps_a_pass: float) -> LRScheduler:
    if decay is None:
        return CosineAnnealingLR(optimiser, steps)
    return LambdaLR(optimiser, lambda step: decay ** (step // steps_a_pass))


def _evaluated(loss: Callable[[Tensor], Tensor], rows: Tensor) -> float:
    with torch.no_grad():
        return float(loss(rows))


def flat(net: nn.Module) -> Float[Tensor, "P"]:
    """Return the weights of a network as one tensor."""
    return parameters_to_vector(net.parameters()).detach()


def filled(net: N, weights: Float[Tensor, "P"]) -> N:
    """Return a network that has just been built, on the weights' device and with their values."""
    net = net.to(weights.device, weights.dtype).requires_grad_(False)
    vector_to_parameters(weights, net.parameters())
    return net
