"""The flow of the IB-INN for ImageNet: an invertible ResNet-50, and class means of low rank.

Mackowiak, Ardizzone, Köthe & Rother, "Generative Classifiers as a Basis for Trustworthy Image Classification", CVPR
2021, and the authors' code. An entry flow halves the image twice, by a coupling of two resolutions and by wavelets;
then come stages of 3, 4, 6 and 3 couplings by bottlenecks, of which all but the first begin with a halving; then the
DCT. No coupling follows it, so that each dimension of the code is one frequency of one channel.
"""

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, softplus

from oodbench.networks.flow import Chain, Invertible, summed
from oodbench.networks.inn import Architecture
from oodbench.networks.inn_layers import Coupling, Dct, FrequencyFirst, Haar, Permutation, Times
from oodbench.networks.inn_means import LowRankMeans
from oodbench.spaces import Shape

MOMENTUM = 0.05
"""Of BatchNorm's running statistics."""


@final
@dataclass(frozen=True)
class ResNetSizes(Architecture):
    """How large an invertible ResNet is.

    Attributes:
        blocks: Couplings of each stage.
        planes: Channels inside the bottlenecks of each stage; they widen to four times as many.
        entry: Channels inside the networks of the entry flow.
        clamp: Largest log-scale of a coupling.
        initial: Before training, what each channel is multiplied by after each coupling: 0.2 log(1 + exp(initial / 2)).
        full: Dimensions of the code in which class means are free; in the others they have a low rank.
        rank: That rank.
        spread: Standard deviation of the factors of the means of low rank, before training.
    """

    blocks: tuple[int, ...]
    planes: tuple[int, ...]
    entry: int
    clamp: float = 0.7
    initial: float = 7.0
    full: int = 3072
    rank: int = 128
    spread: float = 0.01

    @property
    def halvings(self) -> int:
        """How often the sides of an image are halved: twice by the entry flow, and by each stage but the first."""
        return 1 + len(self.blocks)

    def flow(self, shape: Shape) -> Chain:
        """Return f without its standardisation."""
        return invertible_resnet(shape, self)

    def tail(self, classes: int, dims: int) -> LowRankMeans | None:
        """Return the means in the dimensions where they are not free; None where they are in all of `dims`."""
        return LowRankMeans(classes, dims - self.full, self.rank, self.spread) if dims > self.full else None


IMAGENET = ResNetSizes(blocks=(3, 4, 6, 3), planes=(64, 128, 256, 512), entry=64)
"""The authors'."""


class SoftScale(Invertible):
    """z = s x + b for each channel, with s = 0.1 softplus(a) of sharpness 1/2, that is 0.2 log(1 + exp(a / 2)).

    Args:
        channels: Of inputs [n c h w].
        initial: a before training.
    """

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((channels, 1, 1), initial))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and h w sum log s."""
        log_det = x[0, 0].numel() * self._scale(self.a.double()).log().sum()
        return x * self._scale(self.a) + self.shift, log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        return (z - self.shift) / self._scale(self.a)

    @staticmethod
    def _scale(a: Tensor) -> Tensor:
        return 0.1 * softplus(a, beta=0.5)


class HalvingCoupling(Invertible):
    """Each 2x2 square becomes four channels, and each part of the channels moves the other.

        y2 = exp(s2) squeeze(x2) + t2,  (s2, t2) of down(x1);   y1 = exp(s1) squeeze(x1) + t1,  (s1, t1) of flat(y2)

    s = clamp tanh(0.2 a) for what the networks say, t as they say it.

    Args:
        down: Maps the first part of the channels to eight times as many as the second has, and halves the sides.
        flat: Maps four times the second part to eight times the first, and keeps the sides.
        sizes: Of the two parts.
        clamp: Largest log-scale.
    """

    def __init__(self, down: nn.Module, flat: nn.Module, sizes: tuple[int, int], clamp: float) -> None:
        super().__init__()
        self.down, self.flat, self.sizes, self.clamp = down, flat, sizes, clamp

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, four times the first part before four times the second, and sum s."""
        x1, x2 = torch.split(x, list(self.sizes), dim=1)
        s2, t2 = self._affine(self.down(x1))
        y2 = s2.exp() * pixel_unshuffle(x2, 2) + t2
        s1, t1 = self._affine(self.flat(y2))
        return torch.cat((s1.exp() * pixel_unshuffle(x1, 2) + t1, y2), dim=1), summed(s1) + summed(s2)

    def log_det_by_place(self, x: Tensor) -> Tensor:
        """Return the sum of s1 and s2 over channels [n h/2 w/2]."""
        x1, x2 = torch.split(x, list(self.sizes), dim=1)
        s2, t2 = self._affine(self.down(x1))
        s1, _ = self._affine(self.flat(s2.exp() * pixel_unshuffle(x2, 2) + t2))
        return torch.cat((s1, s2), dim=1).double().sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        """Return x."""
        y1, y2 = torch.split(z, [4 * size for size in self.sizes], dim=1)
        s1, t1 = self._affine(self.flat(y2))
        x1 = pixel_shuffle((-s1).exp() * (y1 - t1), 2)
        s2, t2 = self._affine(self.down(x1))
        return torch.cat((x1, pixel_shuffle((-s2).exp() * (y2 - t2), 2)), dim=1)

    def _affine(self, said: Tensor) -> tuple[Tensor, Tensor]:
        a, t = said.chunk(2, dim=1)
        return self.clamp * torch.tanh(0.2 * a), t


def bottleneck(inputs: int, planes: int, outputs: int, stride: int = 1) -> nn.Module:
    """Return BN-ReLU before each of conv1x1, conv3x3 (which strides), conv1x1 to four times the planes, and conv1x1."""
    return _kaiming(
        *_normed(inputs),
        nn.Conv2d(inputs, planes, 1, bias=False),
        *_normed(planes),
        nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False),
        *_normed(planes),
        nn.Conv2d(planes, 4 * planes, 1, bias=False),
        *_normed(4 * planes),
        nn.Conv2d(4 * planes, outputs, 1),
    )


def entry(inputs: int, planes: int, outputs: int, *, halves: bool) -> nn.Module:
    """Return conv3x3-BN-ReLU, once more with stride 2 if it halves the sides, and conv1x1."""
    second = (nn.Conv2d(planes, planes, 3, stride=2, padding=1, bias=False), *_normed(planes)) if halves else ()
    first = nn.Conv2d(inputs, planes, 3, padding=1, bias=False)
    return _kaiming(first, *_normed(planes), *second, nn.Conv2d(planes, outputs, 1, bias=halves))


def pointwise(inputs: int, hidden: int, outputs: int) -> nn.Module:
    """Return conv1x1-ReLU-conv1x1."""
    return _kaiming(nn.Conv2d(inputs, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))


def _normed(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, momentum=MOMENTUM), nn.ReLU()


def _kaiming(*layers: nn.Module) -> nn.Module:
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


@dataclass
class _Growing:
    """A chain that is being built, and the channels and sides of what leaves it."""

    sizes: ResNetSizes
    c: int
    h: int
    w: int
    layers: list[Invertible] = field(default_factory=list)

    @property
    def halves(self) -> tuple[int, int]:
        return self.c - self.c // 2, self.c // 2

    def halve(self, down: nn.Module, flat: nn.Module) -> None:
        self.layers.append(HalvingCoupling(down, flat, self.halves, self.sizes.clamp))
        self._quartered()
        self._mix()

    def couple(self, net: nn.Module) -> None:
        self.layers.append(Coupling(net, self.halves, clamp=self.sizes.clamp, gain=0.1))
        self._mix()

    def wavelets(self, *rest: Invertible) -> None:
        self.layers += (Haar(), *rest)
        self._quartered()

    def _quartered(self) -> None:
        self.c, self.h, self.w = 4 * self.c, self.h // 2, self.w // 2

    def _mix(self) -> None:
        self.layers += (SoftScale(self.c, self.sizes.initial), Permutation(self.c))


def invertible_resnet(shape: Shape, sizes: ResNetSizes) -> Chain:
    """Return f without its standardisation; the sides can be halved `sizes.halvings` times.

    A grey image cannot be parted by channels: wavelets come before the entry flow, and its sides are halved once more.
    As in the authors' code wavelets and DCT are followed by a factor of 1/2.
    """
    chain = _Growing(sizes, *shape)
    if shape[0] == 1:
        chain.wavelets()
    first, second = chain.halves
    down = entry(first, sizes.entry, 8 * second, halves=True)
    chain.halve(down, entry(4 * second, sizes.entry, 8 * first, halves=False))
    chain.wavelets(Times(0.5, math.prod(shape)))
    chain.couple(pointwise(chain.halves[0], chain.c, 2 * chain.halves[1]))
    for stage, (blocks, planes) in enumerate(zip(sizes.blocks, sizes.planes, strict=True)):
        for block in range(blocks):
            first, second = chain.halves
            if stage and not block:
                chain.halve(bottleneck(first, planes, 8 * second, 2), bottleneck(4 * second, planes, 8 * first))
            else:
                chain.couple(bottleneck(first, planes, 2 * second))
    pooled = chain.c, chain.h, chain.w
    return Chain([*chain.layers, Dct(pooled), Times(0.5, math.prod(shape)), FrequencyFirst(pooled)])
