"""Glow as a network: levels of squeeze, steps of flow, and a split (Kingma & Dhariwal 2018).

    step:   ActNorm, 1x1 convolution, coupling
    level:  squeeze, K steps, then half of the channels is set aside (all of them at the last level)
    log p(y) = log p(z) + log|det dz/dy|,   log p(z) = sum over levels of log N(z_l; m_l, v_l^2)

z_l is what level l sets aside, its mean and deviation are learned: functions of what the level keeps, and constants of
each channel at the last. eps_l = (z_l - m_l) / v_l, of all levels together, is the code: standard normal under the
prior, of as many dimensions as y.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from oodbench.contract import LATENT, LOG_DENSITY, Output
from oodbench.networks.dequantise import Dequantise
from oodbench.networks.flow import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    Chain,
    Convolution1x1,
    CouplingNet,
    Invertible,
    Split,
    Squeeze,
    summed,
)
from oodbench.spaces import Shape

Volume = Literal["affine", "constant"]
"""Which couplings: affine (the volume depends on the input) or additive (it does not)."""


class Code(NamedTuple):
    """What a flow makes of inputs.

    Attributes:
        eps: The whitened codes of all levels [n c_l h_l w_l], the finest first.
        log_prior: log p(z) [n], in nats, float64.
        log_det: log|det dz/dy| [n], in nats, float64.
    """

    eps: tuple[Tensor, ...]
    log_prior: Tensor
    log_det: Tensor


class GlowNet(nn.Module):
    """A flow that gives the density and the code of its inputs.

    Args:
        shape: Of the inputs; sides are even as often as there are levels.
        levels: L.
        depth: K, steps a level.
        hidden: Channels inside the couplings' networks.
        volume: Which couplings.
    """

    passes = 1
    entries: frozenset[Output] = frozenset()
    constants: Mapping[Output, Any] = MappingProxyType({})

    def __init__(self, shape: Shape, *, levels: int, depth: int, hidden: int, volume: Volume) -> None:
        super().__init__()
        self.dequantise = Dequantise(shape)
        self.levels, self.splits = nn.ModuleList(), nn.ModuleList()
        channels = shape[0]
        for level in range(levels):
            channels *= 4
            steps = (layer for _ in range(depth) for layer in step(channels, hidden, volume))
            self.levels.append(Chain((Squeeze(), *steps)))
            if level < levels - 1:
                self.splits.append(Split(channels))
                channels //= 2
        self.codes = code_shapes(shape, levels)
        self.top = ActNorm(channels)  # its shift and scale are the learned prior: eps = (z - m) / v

    def forward(self, x: Tensor) -> Tensor:
        """Return log p(y) [n], in nats, float64, of pixels [n c h w]."""
        code = self.encode(self.dequantise(x))
        return code.log_prior + code.log_det

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p(z) and log|det dz/dy|, each [n], in nats, float64, whose sum is log p(y)."""
        code = self.encode(self.dequantise(x))
        return code.log_prior, code.log_det

    def encode(self, y: Tensor) -> Code:
        """Return the code of y [n c h w]."""
        eps: list[Tensor] = []
        h, log_det, whitening = y, y.new_zeros(len(y), dtype=torch.float64), y.new_zeros(len(y), dtype=torch.float64)
        for level, split in zip(self.levels, (*self.splits, None), strict=True):
            h, volume = level(h)
            log_det = log_det + volume
            if split is not None:
                (h, noise), narrowing = split(h)
            else:
                noise, narrowing = self.top(h)
            eps.append(noise)
            whitening = whitening + narrowing
        # log N(z; m, v^2) = log N(eps; 0, 1) - log v
        log_normal = -0.5 * torch.stack([summed(e.double() ** 2 + math.log(2 * math.pi)) for e in eps]).sum(dim=0)
        return Code(tuple(eps), log_normal + whitening, log_det)

    def decode(self, eps: tuple[Tensor, ...]) -> Tensor:
        """Return the y [n c h w] of a code."""
        h: Tensor = self.top.inverse(eps[-1])
        backwards = zip(reversed(self.levels), (None, *reversed(self.splits)), reversed((*eps[:-1], None)), strict=True)
        for level, split, noise in backwards:
            h = h if split is None else split.inverse(h, noise)  # type: ignore[operator]
            h = level.inverse(h)  # type: ignore[operator]
        return h

    def draw(self, n: int) -> Tensor:
        """Return n samples y, eps from torch's global generator as dropout draws; they may leave [0, 1)."""
        weight = next(self.parameters())
        eps = (torch.randn(n, *shape, device=weight.device, dtype=weight.dtype) for shape in self.codes)
        return self.decode(tuple(eps))

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass."""
        code = self.encode(self.dequantise(x))
        latent = torch.cat([e.flatten(1) for e in code.eps], dim=1)
        return {LOG_DENSITY: code.log_prior + code.log_det, LATENT: latent}


def step(channels: int, hidden: int, volume: Volume) -> tuple[Invertible, ...]:
    """Return one step of flow."""
    half = channels // 2
    coupling: Invertible = (
        AffineCoupling(CouplingNet(half, hidden, 2 * half))
        if volume == "affine"
        else AdditiveCoupling(CouplingNet(half, hidden, half))
    )
    return ActNorm(channels), Convolution1x1(channels), coupling


def code_shapes(shape: Shape, levels: int) -> tuple[Shape, ...]:
    """Return the shapes of what each level of a flow sets aside: half its channels, and all of them at the last."""
    c, h, w = shape
    halved = [(c * 2**level, h >> level, w >> level) for level in range(1, levels + 1)]
    *others, (wide, height, width) = halved
    return (*others, (2 * wide, height, width))
