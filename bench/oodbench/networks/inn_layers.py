"""Invertible layers of the IB-INN: wavelets, couplings, fixed rotations, the discrete cosine transform.

Ardizzone, Mackowiak, Rother & Köthe, "Training Normalizing Flows with the Information Bottleneck for Competitive
Generative Classification", NeurIPS 2020. Haar wavelets, rotations and the cosine transform here are orthonormal: they
keep volumes and lengths, and their inverse is their transpose.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from oodbench.networks.flow import Invertible, summed

HAAR = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
"""The wavelets of a 2x2 square (its rows one after the other): mean, horizontal, vertical, diagonal."""


class Haar(Invertible):
    """Each 2x2 square of pixels becomes four wavelet coefficients: [n c h w] to [n 4c h/2 w/2]; h and w are even."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, all means before all other wavelets, and 0."""
        n, c, h, w = x.shape
        squares = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4, -1)
        return (HAAR.to(x) @ squares).view(n, 4 * c, h // 2, w // 2), _none(x)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        n, c, h, w = z.shape
        squares = (HAAR.to(z).T @ z.reshape(n, 4, -1)).view(n, 2, 2, c // 4, h, w)
        return squares.permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


class Rotation(Invertible):
    """z = Q x at each pixel, Q a random orthogonal matrix over the channels that is never trained.

    Args:
        channels: c; Q is [c c].
    """

    q: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("q", torch.linalg.qr(torch.randn(channels, channels)).Q.contiguous())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and 0."""
        return conv2d(x, self.q[:, :, None, None]), _none(x)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return conv2d(z, self.q.T[:, :, None, None])


class Permutation(Invertible):
    """The channels in another order: random, and never trained.

    Args:
        channels: Of inputs [n c h w].
    """

    order: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and 0."""
        return x[:, self.order], _none(x)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return z[:, self.order.argsort()]


class Times(Invertible):
    """z = factor x, never trained.

    Args:
        factor: Above 0.
        dims: D.
    """

    def __init__(self, factor: float, dims: int) -> None:
        super().__init__()
        self.factor, self.log_det = factor, dims * math.log(factor)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and D log factor."""
        return self.factor * x, _none(x) + self.log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return z / self.factor


class FrequencyFirst(Invertible):
    """The DCT's dimensions by frequency, not by channel: first all channels at frequency 0, their means over places.

    Args:
        shape: c, h, w.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z [n chw] and 0."""
        return x.view(-1, self.shape[0], self.shape[1] * self.shape[2]).mT.flatten(1), _none(x)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x [n chw]."""
        return z.view(-1, self.shape[1] * self.shape[2], self.shape[0]).mT.flatten(1)


class Scale(Invertible):
    """z = exp(a) x + b for each channel.

    Args:
        channels: Of inputs [n c h w].
        initial: exp(a) before training.
    """

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((channels, 1, 1), math.log(initial)))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and h w sum a."""
        log_det = x[0, 0].numel() * self.log_scale.double().sum()
        return x * self.log_scale.exp() + self.shift, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return (z - self.shift) * (-self.log_scale).exp()


class Coupling(Invertible):
    """z1 = x1, z2 = exp(s) x2 + t, where (a, t) = net(x1) and s = clamp tanh(a): |s| has a bound wherever x1 lies.

    Args:
        net: Maps one part of the dimensions to twice as many as the other part has.
        sizes: Of the two parts along dimension 1.
        clamp: Largest log-scale.
        gain: What the network's outputs are multiplied by: how fast they leave 0.
        second: The second part moves the first.
    """

    def __init__(
        self, net: nn.Module, sizes: tuple[int, int], *, clamp: float, gain: float, second: bool = False
    ) -> None:
        super().__init__()
        self.net, self.sizes, self.clamp, self.gain, self.second = net, sizes, clamp, gain, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and sum s."""
        still, moved = self._parts(x)
        s, t = self._affine(still)
        return self._joined(still, s.exp() * moved + t), summed(s)

    def log_det_by_place(self, x: Tensor) -> Tensor | None:
        """Return the sum of s over channels [n h w]; None where x is flat."""
        return self._affine(self._parts(x)[0])[0].double().sum(dim=1) if x.ndim == 4 else None

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        still, moved = self._parts(z)
        s, t = self._affine(still)
        return self._joined(still, (-s).exp() * (moved - t))

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = torch.split(x, list(self.sizes), dim=1)
        return (second, first) if self.second else (first, second)

    def _joined(self, still: Tensor, moved: Tensor) -> Tensor:
        return torch.cat((moved, still) if self.second else (still, moved), dim=1)

    def _affine(self, still: Tensor) -> tuple[Tensor, Tensor]:
        a, t = (self.gain * self.net(still).to(still.dtype)).chunk(2, dim=1)
        return self.clamp * torch.tanh(a), t


class Dct(Invertible):
    """Each channel's orthonormal two-dimensional DCT-II, flattened: [n c h w] to [n chw]. It pools, and loses nothing.

    The authors' transform is off by sqrt 2 at frequency 0 of each axis, and its log-determinant by 0.03 nats a
    dimension; with this one ||z - mu|| is the length of the picture whose transform z - mu is.

    Args:
        shape: c, h, w.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("rows", cosines(shape[1]).float(), persistent=False)
        self.register_buffer("columns", cosines(shape[2]).float(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and 0."""
        return (self.rows @ x @ self.columns.T).flatten(1), _none(x)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return self.rows.T @ z.view(-1, *self.shape) @ self.columns


def cosines(n: int) -> Tensor:
    """Return the orthonormal DCT-II [n n] in float64: row k is sqrt((2 - [k = 0]) / n) cos(pi k (j + 1/2) / n)."""
    k, j = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    waves = (torch.pi * k * (j + 0.5) / n).cos() * math.sqrt(2 / n)
    waves[0] /= math.sqrt(2)
    return waves


def _none(x: Tensor) -> Tensor:
    return x.new_zeros(len(x), dtype=torch.float64)
