"""A flow that is also the generator of an adversarial pair, and its critic.

Samples are y = f^-1(eps), eps standard normal: as a flow's code has a density that is known exactly, so has what it
generates. The critic has no normalisation, since the slope penalty speaks of each input alone (Gulrajani 2017).
"""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from oodbench.contract import Output
from oodbench.networks.dcgan import channels
from oodbench.networks.glow import GlowNet
from oodbench.spaces import Shape


class Critic(nn.Module):
    """y [n c h w] to one number [n], the higher the more it looks like data: convolutions of stride 2, then all."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        wide = channels(shape, width)
        layers: list[nn.Module] = []
        for before, after in pairwise([shape[0], *wide]):
            layers += [nn.Conv2d(before, after, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        last = shape[1] >> len(wide), shape[2] >> len(wide)
        self.body = nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, last, bias=False))  # D and D + c are the same

    def forward(self, y: Tensor) -> Tensor:
        """Return D(y)."""
        said: Tensor = self.body(y)
        return said.flatten(1)[:, 0]


def slopes(critic: nn.Module, y: Tensor) -> Tensor:
    """Return the lengths of dD/dy [n], over all pixels; they have gradients by the critic's weights."""
    y = y.detach().requires_grad_()
    (by_y,) = torch.autograd.grad(critic(y).sum(), y, create_graph=True)
    length: Tensor = vector_norm(by_y.flatten(1), dim=1)
    return length


class FlowGanNet(nn.Module):
    """A flow and the critic that it is trained against; its outputs are the flow's.

    Args:
        flow: Of inputs of `shape`.
        shape: Of the inputs.
        width: Half the channels of the critic's widest maps.
    """

    passes = 1
    entries: frozenset[Output] = frozenset()
    constants: Mapping[Output, Any] = MappingProxyType({})

    def __init__(self, flow: GlowNet, shape: Shape, width: int) -> None:
        super().__init__()
        self.flow, self.critic = flow, Critic(shape, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return log p(y) [n], in nats, float64, of pixels [n c h w]."""
        log_p: Tensor = self.flow(x)
        return log_p

    def draw(self, n: int) -> Tensor:
        """Return n samples y of the flow, as it draws them."""
        return self.flow.draw(n)

    @torch.no_grad()
    def meet(self, x: Tensor) -> None:
        """Let the first training batch standardise the flow: its samples come before its densities."""
        if self.training and self.flow.top.due:
            self.flow(x)

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return the flow's outputs for x."""
        return self.flow.outputs(x, wanted)
