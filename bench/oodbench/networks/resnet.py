"""Residual networks of four stages (He 2016, arXiv:1512.03385).

For 32x32 inputs the stem is a 3x3 convolution (Lee 2018 judges these, and OpenOOD, as ResNet18_32x32); for 224x224 it
is the paper's own, 7x7 and a max-pooling.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import relu

from oodbench.networks.wide_resnet import initialise


class BasicBlock(nn.Module):
    """conv-BN-ReLU, conv-BN, plus the input, ReLU."""

    def __init__(self, narrow: int, wide: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut = nn.Sequential()
        if stride != 1 or narrow != wide:
            self.shortcut = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        residual = self.bn2(self.conv2(self.dropout(relu(self.bn1(self.conv1(x))))))
        return relu(residual + self.shortcut(x))


def small_stem(channels: int) -> nn.Sequential:
    """Return a 3x3 convolution, BN, ReLU: inputs keep their size."""
    return nn.Sequential(nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())


def large_stem(channels: int) -> nn.Sequential:
    """Return a 7x7 convolution of stride 2, BN, ReLU, max-pooling: inputs become a quarter of their size."""
    wide = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
    return nn.Sequential(wide, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))


class ResNet(nn.Module):
    """Stem and four stages of widths 64 to 512: five feature maps."""

    def __init__(
        self,
        *,
        blocks: tuple[int, int, int, int],
        channels: int,
        dropout: float = 0.0,
        stem: Callable[[int], nn.Sequential] = small_stem,
    ) -> None:
        super().__init__()
        self.width = 512
        self.stem = stem(channels)
        widths, strides = (64, 64, 128, 256, 512), (1, 2, 2, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(BasicBlock(narrow if i == 0 else wide, wide, stride if i == 0 else 1, dropout) for i in range(n))
            )
            for n, narrow, wide, stride in zip(blocks, widths[:-1], widths[1:], strides, strict=True)
        )
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps after the stem and after each stage."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)
