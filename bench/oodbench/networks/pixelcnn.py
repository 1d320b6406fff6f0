"""PixelCNN++ (Salimans, Karpathy, Chen & Kingma, ICLR 2017, arXiv:1701.05517): p(x) a pixel at a time.

    p(x) = prod_i p(x_i | x_<i),   each factor a discretised mixture of logistics, pixels in the order of reading

Two streams of gated residual blocks go through the network, and nothing is masked: the padding shifts what they see.

    above   at (i, j) sees rows before i, in full
    left    at (i, j) sees, besides what `above` shows it, row i before column j
    block   x + a sigmoid(b),   (a, b) = conv(dropout(f(conv(f(x)) + W f(aside)))),   f(x) = ELU([x, -x])

On the way up the left stream looks aside at the above stream, on the way down each looks back at what it was. Between
stages the maps are halved, and doubled on the way back. Convolutions are normalised by weight (Salimans & Kingma 2016,
arXiv:1602.07868), and the first training batch sets their gains and biases. Layers and kernels are those of
github.com/openai/pixel-cnn.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import elu, pad
from torch.nn.utils.parametrizations import weight_norm

from oodbench.contract import LOG_DENSITY, Output
from oodbench.errors import BadSetting
from oodbench.networks import logistic_mixture
from oodbench.networks.first_batch import FirstBatch
from oodbench.spaces import Shape

Streams = tuple[Tensor, Tensor]
"""The maps of the stream above and of the left one."""

CHUNK = 64
"""Images that are evaluated at once: the maps of a batch of 512 leave the processor's cache."""


class Convolution(nn.Module):
    """A weight-normalised convolution; its output at (i, j) sees rows to i, and columns to j + the reach rightwards.

    Args:
        inward: Channels in.
        outward: Channels out.
        kernel: Height and width.
        centred: Whether it reaches as far to the right as to the left, or not at all.
        stride: 2 halves the map.
        scale: Standard deviation of the outputs for the batch that initialises it.
    """

    def __init__(
        self,
        inward: int,
        outward: int,
        kernel: tuple[int, int],
        *,
        centred: bool = False,
        stride: int = 1,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        height, width = kernel
        padding = (height - 1, (width - 1) // 2 if centred else width - 1)
        self.conv = weight_norm(nn.Conv2d(inward, outward, kernel, stride, padding))
        self.stride, self.scale = stride, scale

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, without the rows and columns that the padding adds below and to the right."""
        h, w = (side // self.stride for side in x.shape[2:])
        y: Tensor = self.conv(x)
        return y[:, :, :h, :w]


class Doubling(nn.Module):
    """A weight-normalised transposed convolution to twice the height and width; (i, j) sees as a `Convolution` does."""

    scale = 1.0

    def __init__(self, channels: int, *, centred: bool) -> None:
        super().__init__()
        kernel, padding = ((2, 3), (0, 1)) if centred else ((2, 2), 0)
        conv = nn.ConvTranspose2d(channels, channels, kernel, 2, padding, output_padding=padding)
        self.conv = weight_norm(conv, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the larger map."""
        y: Tensor = self.conv(x)
        return y


class GatedBlock(nn.Module):
    """x + a sigmoid(b).

    Args:
        channels: Of x.
        aside: Channels of what it looks at besides; 0 for nothing.
        centred: Whether it belongs to the stream above.
        dropout: Probability.
    """

    def __init__(self, channels: int, aside: int, *, centred: bool, dropout: float) -> None:
        super().__init__()
        kernel = (2, 3) if centred else (2, 2)
        self.first = Convolution(2 * channels, channels, kernel, centred=centred)
        self.aside = Convolution(2 * aside, channels, (1, 1)) if aside else None
        self.dropout = nn.Dropout(dropout)
        self.second = Convolution(2 * channels, 2 * channels, kernel, centred=centred, scale=0.1)

    def forward(self, x: Tensor, aside: Tensor | None = None) -> Tensor:
        """Return the map after the block."""
        inner = self.first(concat_elu(x))
        if self.aside is not None:
            assert aside is not None
            inner = inner + self.aside(concat_elu(aside))
        a, b = self.second(self.dropout(concat_elu(inner))).chunk(2, dim=1)
        y: Tensor = x + a * b.sigmoid()
        return y


class Up(nn.Module):
    """A block of each stream on the way up: the left one looks aside at the one above."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.above = GatedBlock(channels, 0, centred=True, dropout=dropout)
        self.left = GatedBlock(channels, channels, centred=False, dropout=dropout)

    def forward(self, above: Tensor, left: Tensor) -> Streams:
        """Return the streams after it."""
        above = self.above(above)
        return above, self.left(left, above)


class Down(nn.Module):
    """A block of each stream on the way down: each looks aside at what it was on the way up, the left one above too."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.above = GatedBlock(channels, channels, centred=True, dropout=dropout)
        self.left = GatedBlock(channels, 2 * channels, centred=False, dropout=dropout)

    def forward(self, above: Tensor, left: Tensor, above_was: Tensor, left_was: Tensor) -> Streams:
        """Return the streams after it."""
        above = self.above(above, above_was)
        return above, self.left(left, torch.cat([above, left_was], dim=1))


class Resized(nn.Module):
    """A convolution of each stream, to half the size or to twice."""

    def __init__(self, above: nn.Module, left: nn.Module) -> None:
        super().__init__()
        self.above, self.left = above, left

    def forward(self, above: Tensor, left: Tensor) -> Streams:
        """Return the smaller or larger streams."""
        return self.above(above), self.left(left)


def halving(channels: int) -> Resized:
    """Return what halves both streams."""
    above = Convolution(channels, channels, (2, 3), centred=True, stride=2)
    return Resized(above, Convolution(channels, channels, (2, 2), stride=2))


def doubling(channels: int) -> Resized:
    """Return what doubles both streams."""
    return Resized(Doubling(channels, centred=True), Doubling(channels, centred=False))


class PixelCnnPlusPlus(FirstBatch):
    """The density of an image.

    Args:
        shape: Of the inputs; height and width are divisible by 2^(stages - 1).
        stages: Resolutions.
        blocks: In each stage, on the way up; as many on the way down, and one more at each but the lowest resolution.
        filters: Channels of the maps.
        mixtures: Logistics a pixel.
        dropout: Probability, inside the blocks.

    Raises:
        BadSetting: the inputs cannot be halved so often.
    """

    passes = 1
    entries: frozenset[Output] = frozenset()
    constants: Mapping[Output, Any] = MappingProxyType({})

    def __init__(
        self, shape: Shape, *, stages: int, blocks: int, filters: int, mixtures: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if any(side % 2 ** (stages - 1) for side in shape[1:]):
            raise BadSetting(
                f"a PixelCNN++ of {stages} stages got inputs of {shape[1]}x{shape[2]}; "
                f"both must be divisible by {2 ** (stages - 1)}"
            )
        C, F = shape[0], filters
        self.shape, self.mixtures = shape, mixtures
        self.rows_above = Convolution(C + 1, F, (2, 3), centred=True)
        self.row_above = Convolution(C + 1, F, (1, 3), centred=True)
        self.columns_left = Convolution(C + 1, F, (2, 1))
        self.ascent, self.descent = nn.ModuleList(), nn.ModuleList()
        for stage in range(stages):
            if stage:
                self.ascent.append(halving(F))
                self.descent.append(doubling(F))
            self.ascent.extend(Up(F, dropout) for _ in range(blocks))
            self.descent.extend(Down(F, dropout) for _ in range(blocks + (stage > 0)))
        self.out = Convolution(F, logistic_mixture.width(C, mixtures), (1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n P h w"]:
        """Return the parameters of each pixel's mixture, of pixels in [0, 1]; P of (i, j) depend on those before it."""
        if self.due:
            self.initialise(x)
        return self.parameters_of(x)

    def parameters_of(self, x: Tensor) -> Tensor:
        """Return the parameters."""
        x = pad(2 * x - 1, (0, 0, 0, 0, 0, 1), value=1.0)  # ones tell pixels from what lies outside
        streams = shift_down(self.rows_above(x)), shift_down(self.row_above(x)) + shift_right(self.columns_left(x))
        seen = [streams]
        for layer in self.ascent:
            seen.append(layer(*seen[-1]))
        streams = seen.pop()
        for layer in self.descent:
            streams = layer(*streams, *(seen.pop() if isinstance(layer, Down) else ()))
        with torch.autocast(x.device.type, enabled=False):  # half precision does not hold 256 levels
            parameters: Tensor = self.out(elu(streams[1].to(x.dtype)))
        return parameters

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "n c h w"]) -> None:
        """Set gains and biases so that each convolution's outputs have mean 0 and deviation `scale` over a batch."""
        layers = [layer for layer in self.modules() if isinstance(layer, Convolution | Doubling)]
        hooks = [layer.register_forward_hook(standardise) for layer in layers]
        with torch.autocast(x.device.type, enabled=False):  # it would keep the biases of before
            self.parameters_of(x)
        for hook in hooks:
            hook.remove()
        self.initialised.fill_(True)

    def log_mass(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
        """Return log P(x) in nats, all dimensions together: pixels in the precision of x, their sum in float64."""
        mixture = logistic_mixture.split(self(x), self.shape[0], self.mixtures)
        return logistic_mixture.log_mass(mixture, 2 * x - 1).sum(dim=(1, 2), dtype=torch.float64)

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return log p(y) of x: a level's mass is spread over 1/256 of each dimension."""
        log_P = torch.cat([self.log_mass(part) for part in torch.split(x, CHUNK)])
        return {LOG_DENSITY: log_P + math.prod(self.shape) * math.log(256)}


class ConcatElu(torch.autograd.Function):
    """ELU([x, -x]) by exp(y) - 1: torch's own takes expm1, some five times as long, and a third of all training."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return twice as many channels."""
        y = torch.cat([x, -x], dim=1)
        y = torch.maximum(y, y.clamp(max=0).exp_().sub_(1))  # e^y - 1 >= y
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient by x; the slope is 1 above 0 and e^y = ELU(y) + 1 below."""
        (y,) = ctx.saved_tensors
        plus, minus = y.clamp(max=0).add_(1).mul_(gradient).chunk(2, dim=1)
        by_x: Tensor = plus - minus
        return by_x


def concat_elu(x: Tensor) -> Tensor:
    """Return ELU([x, -x]), twice as many channels."""
    y: Tensor = ConcatElu.apply(x)
    return y


def shift_down(x: Tensor) -> Tensor:
    """Return the map one row further down, zeros moving in."""
    return pad(x, (0, 0, 1, -1))


def shift_right(x: Tensor) -> Tensor:
    """Return the map one column further right, zeros moving in."""
    return pad(x, (1, -1))


def standardise(layer: Convolution | Doubling, _: tuple[Tensor], outputs: Tensor) -> Tensor:
    """Rescale a layer, as a forward hook, and return the outputs that it would have had."""
    gain: Tensor = layer.conv.parametrizations.weight.original0
    bias = layer.conv.bias
    assert isinstance(bias, Tensor)
    mean, std = outputs.mean(dim=(0, 2, 3)), outputs.var(dim=(0, 2, 3), correction=0).add(1e-10).sqrt()
    factor = layer.scale / std
    gain.mul_(factor.view(gain.shape))
    bias.copy_((bias - mean) * factor)
    return (outputs - mean[:, None, None]) * factor[:, None, None]
