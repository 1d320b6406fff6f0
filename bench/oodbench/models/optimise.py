"""How weights move: optimisers, learning rates, the running mean of the weights."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from oodbench.training import OPTIMISERS, SCHEDULES, Player, TrainBatch, Training

WARMUP = 0.04
"""Share of the steps in which a warm-up rises."""


class Mover:
    """A player with its optimiser."""

    def __init__(self, player: Player, how: Training) -> None:
        self.player, self._how = player, how
        self.optimiser: torch.optim.Optimizer = OPTIMISERS.find(how.optimiser)(player.weights, how)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def move(self, batch: TrainBatch, step: int, steps: int) -> float:
        """Take one step out of `steps`; return the loss before it. A loss that is not finite moves nothing."""
        # Half precision is for training alone: nothing that is ranked comes from under this autocast.
        half = self._how.precision == "bfloat16"
        with torch.autocast(batch.inputs.device.type, dtype=torch.bfloat16, enabled=half):
            loss = self.player.loss(batch)
        value = loss.item()
        set_rate(self.optimiser, rate(self._how, step, steps))
        if math.isfinite(value):
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward(inputs=list(self.player.weights))  # type: ignore[no-untyped-call]
            if self._how.clip:
                nn.utils.clip_grad_norm_(self.player.weights, self._how.clip)
            self.optimiser.step()
        return value


class RunningMean:
    """The exponential running mean of a network's weights, as it stands after each step; none at decay 0.

    The mean after step t is that of the weights of steps 1 to t with weights decay^(t - i), which sum to 1.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._net, self._decay, self.steps = net, decay, 0
        named = net.named_parameters() if decay else ()
        self.weights = {name: torch.zeros_like(weight) for name, weight in named}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        for name, mean in self.weights.items():
            new = (1 - self._decay) / (1 - self._decay**self.steps)
            mean.lerp_(self._net.get_parameter(name), new)

    @torch.no_grad()
    def settle(self) -> None:
        """Give the network the mean in place of its weights."""
        if self.steps:
            for name, mean in self.weights.items():
                self._net.get_parameter(name).copy_(mean)


def sgd(weights: Iterable[nn.Parameter], how: Training) -> torch.optim.Optimizer:
    """Return gradient descent with momentum 0.9."""
    return torch.optim.SGD(weights, lr=how.lr, momentum=0.9, nesterov=how.nesterov, weight_decay=how.weight_decay)


def adam(weights: Iterable[nn.Parameter], how: Training) -> torch.optim.Optimizer:
    """Return Adam."""
    return torch.optim.Adam(weights, lr=how.lr, betas=how.betas, weight_decay=how.weight_decay)


def adamax(weights: Iterable[nn.Parameter], how: Training) -> torch.optim.Optimizer:
    """Return Adamax, Adam with the largest gradient so far in place of the root of the mean square."""
    return torch.optim.Adamax(weights, lr=how.lr, betas=how.betas, weight_decay=how.weight_decay)


def rate(how: Training, step: int, steps: int) -> float:
    """Return the learning rate of one step out of `steps`.

    rate(Training(network="resnet-small", epochs=8, schedule="cosine"), step=10, steps=100)
    """
    return float(SCHEDULES.find(how.schedule)(how, step / steps))


def constant(how: Training, done: float) -> float:
    """Return the largest rate."""
    return how.lr


def in_steps(how: Training, done: float) -> float:
    """Return the rate, multiplied by gamma at each milestone that is past."""
    return how.lr * how.gamma ** sum(done >= milestone for milestone in how.milestones)


def warmup(how: Training, done: float) -> float:
    """Return a rate that rises linearly over the first 4 % and stays (Kingma & Dhariwal 2018: 10 epochs of 250)."""
    return how.lr * _risen(done)


def warmup_cosine(how: Training, done: float) -> float:
    """Return a rate that rises linearly over the first 4 %, then falls to a hundredth along a half cosine."""
    return _risen(done) * _cosine(how.lr, how.lr / 100, max(0.0, done - WARMUP) / (1 - WARMUP))


def bell(how: Training, done: float) -> float:
    """Return a rate that rises and falls as a Gaussian does (Laine & Aila 2017)."""
    rise, fall = 80 / 300, 50 / 300
    up = math.exp(-5 * (1 - min(done / rise, 1)) ** 2)
    return how.lr * up * math.exp(-12.5 * max(1 - (1 - done) / fall, 0) ** 2)


def cosine(how: Training, done: float) -> float:
    """Return a rate that falls to 1e-6 along a half cosine."""
    return _cosine(how.lr, 1e-6, done)


def onecycle(how: Training, done: float) -> float:
    """Return a rate that rises from lr/25 over the first 30 %, then falls to lr/250,000 (Smith & Topin 2017)."""
    up = 0.3
    if done < up:
        return _cosine(how.lr / 25, how.lr, done / up)
    return _cosine(how.lr, how.lr / 25e4, (done - up) / (1 - up))


def _risen(done: float) -> float:
    """Return the share of the rate that a warm-up has reached; a first step of none would be lost."""
    return min(1.0, max(done, WARMUP / 100) / WARMUP)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr
