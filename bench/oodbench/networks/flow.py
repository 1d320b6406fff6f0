"""Invertible layers with the log-determinants of their Jacobians: the parts of Glow.

Kingma & Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", NeurIPS 2018. Each layer maps x to z of as
many dimensions; `forward` returns z and log|det dz/dx| [n], summed in float64, `inverse` returns x.

FrEIA, the library of the invertible classifiers' authors, has ActNorm and couplings, but no learned 1x1 convolution, no
learned prior of what a level sets aside, and no log-scale as Glow's; whether its ActNorm has seen data is not part of
its state dict, so that a resumed training would not be bit-equal. What would be left to borrow is the squeeze.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, logsigmoid, pixel_shuffle, pixel_unshuffle, relu

from oodbench.networks.first_batch import FirstBatch

LIMIT = 3.0
"""Largest size of what a network may say about a log-scale: see `bounded`."""

NARROWEST = 1e-4
"""Smallest standard deviation of a channel by which ActNorm begins to divide."""


def bounded(h: Tensor) -> Tensor:
    """Return LIMIT tanh(h / LIMIT): h where it is small, and never beyond the limit.

    Far from the training inputs these networks' outputs grow without bound, and log-scales with them.
    """
    return LIMIT * torch.tanh(h / LIMIT)


def summed(terms: Tensor) -> Tensor:
    """Return the sums over all dimensions but the first [n], in float64."""
    return terms.double().flatten(1).sum(dim=1)


class Invertible(nn.Module, ABC):
    """A bijection with a tractable Jacobian."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log|det dz/dx| [n]."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""

    def log_det_by_place(self, x: Tensor) -> Tensor | None:
        """Return log|det dz/dx| by place of z [n h w], in float64, which sums to it; None where it is all places'."""
        return None


class Chain(Invertible):
    """One layer after the other."""

    def __init__(self, layers: Iterable[Invertible]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and the sum of the layers' log-determinants."""
        total = x.new_zeros(len(x), dtype=torch.float64)
        for layer in self.layers:
            x, log_det = layer(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)  # type: ignore[operator]
        return z


class ActNorm(FirstBatch, Invertible):
    """z = exp(s) (x + b) for each channel; the first training batch leaves with mean 0 and variance 1.

    Args:
        channels: Of inputs [n c ...].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and h w sum s."""
        if self.due:
            self._look(x)
        z = (x + _along(self.bias, x)) * _along(self.log_scale, x).exp()
        return z, (x[0, 0].numel() * self.log_scale.double().sum()).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return z * (-_along(self.log_scale, z)).exp() - _along(self.bias, z)

    @torch.no_grad()
    def _look(self, x: Tensor) -> None:
        channels = x.transpose(0, 1).flatten(1)
        self.bias.copy_(-channels.mean(dim=1))
        self.log_scale.copy_(-channels.std(dim=1, correction=0).clamp(min=NARROWEST).log())
        self.initialised.fill_(True)


def _along(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(-1, *[1] * (x.ndim - 2))


class Convolution1x1(Invertible):
    """z = W x at each pixel, W a full matrix over the channels that begins as a random rotation.

    Args:
        channels: c; W is [c c].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels)).Q.contiguous())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and h w log|det W|."""
        z = conv2d(x, self.weight[:, :, None, None])
        return z, (x[0, 0].numel() * torch.linalg.slogdet(self.weight.double()).logabsdet).expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        back = torch.linalg.inv(self.weight.double()).to(z.dtype)
        return conv2d(z, back[:, :, None, None])


class Squeeze(Invertible):
    """Each 2x2 square of pixels becomes four times as many channels."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z [n 4c h/2 w/2] and 0."""
        return pixel_unshuffle(x, 2), x.new_zeros(len(x), dtype=torch.float64)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return pixel_shuffle(z, 2)


class AffineCoupling(Invertible):
    """z1 = x1, z2 = (x2 + t) s, where (t, h) = net(x1) and s = sigmoid(bounded(h) + 2).

    Args:
        net: Maps the first half of the channels to twice as many channels as the second half has.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and sum log s."""
        x1, x2 = x.chunk(2, dim=1)
        shift, log_scale = self._affine(x1)
        return torch.cat([x1, (x2 + shift) * log_scale.exp()], dim=1), summed(log_scale)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        z1, z2 = z.chunk(2, dim=1)
        shift, log_scale = self._affine(z1)
        return torch.cat([z1, z2 * (-log_scale).exp() - shift], dim=1)

    def _affine(self, x1: Tensor) -> tuple[Tensor, Tensor]:
        shift, h = self.net(x1).chunk(2, dim=1)
        return shift, logsigmoid(bounded(h) + 2)


class AdditiveCoupling(Invertible):
    """z1 = x1, z2 = x2 + net(x1): volume is kept.

    Args:
        net: Maps the first half of the channels to as many channels as the second half has.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and 0."""
        x1, x2 = x.chunk(2, dim=1)
        return torch.cat([x1, x2 + self.net(x1)], dim=1), x.new_zeros(len(x), dtype=torch.float64)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        z1, z2 = z.chunk(2, dim=1)
        return torch.cat([z1, z2 - self.net(z1)], dim=1)


class Split(nn.Module):
    """Half of the channels is kept, the other set aside as noise: eps = (x2 - m) / v, (m, log v) = bounds of net(x1).

    Under the prior eps is standard normal, that is x2 ~ N(m, v^2) given x1.

    Args:
        channels: Of the inputs.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = ZeroConvolution(channels // 2, channels)

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return (x1, eps), and the log-determinant -sum log v."""
        x1, x2 = x.chunk(2, dim=1)
        mean, log_std = self._prior(x1)
        return (x1, (x2 - mean) * (-log_std).exp()), -summed(log_std)

    def inverse(self, x1: Tensor, eps: Tensor) -> Tensor:
        """Return x."""
        mean, log_std = self._prior(x1)
        return torch.cat([x1, mean + eps * log_std.exp()], dim=1)

    def _prior(self, x1: Tensor) -> tuple[Tensor, Tensor]:
        mean, h = self.net(x1).chunk(2, dim=1)
        return mean, bounded(h)


class ZeroConvolution(nn.Conv2d):
    """A 3x3 convolution that begins as 0, each channel of it multiplied by exp(3 a), a learned."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        self.log_gain = nn.Parameter(torch.zeros(outputs))
        nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps."""
        return super().forward(x) * (3 * _along(self.log_gain, x)).exp()


class CouplingNet(nn.Module):
    """conv3x3-ActNorm-ReLU, conv1x1-ActNorm-ReLU, conv3x3 from zero: a coupling begins as the same map for all x1."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        widths = pairwise((inputs, hidden, hidden))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(*ends, side, padding=side // 2, bias=False) for ends, side in zip(widths, (3, 1), strict=True)
        )
        self.norms = nn.ModuleList(ActNorm(hidden) for _ in range(2))
        self.last = ZeroConvolution(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = relu(norm(convolution(x))[0])
        h: Tensor = self.last(x)
        return h
