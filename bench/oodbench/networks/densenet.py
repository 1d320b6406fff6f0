"""DenseNet-BC (Huang 2017, arXiv:1608.06993): bottlenecks of 4k channels, compression 0.5, three dense blocks.

Shao 2020 (arXiv:2010.02364) puts tanh in the place of the last ReLU, so that features are bounded. Whether before the
global average pool or after is not said; here before, where the ReLU is.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from oodbench.networks.wide_resnet import initialise


class Bottleneck(nn.Module):
    """BN-ReLU-conv1x1(4k), BN-ReLU-conv3x3(k), concatenated to the input."""

    def __init__(self, width: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return [x, new features]."""
        narrow = self.dropout1(self.conv1(relu(self.bn1(x))))
        new = self.dropout2(self.conv2(relu(self.bn2(narrow))))
        return torch.cat([x, new], dim=1)


class Transition(nn.Module):
    """BN-ReLU-conv1x1 to half the channels, 2x2 average pooling."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width // 2, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the compressed map."""
        return avg_pool2d(self.dropout(self.conv(relu(self.bn(x)))), 2)


class DenseNet(nn.Module):
    """Stem, three dense blocks with transitions between, last BN and activation: four feature maps."""

    def __init__(
        self,
        *,
        depth: int,
        growth: int,
        channels: int,
        dropout: float = 0.0,
        last: Callable[[Tensor], Tensor] = relu,
    ) -> None:
        super().__init__()
        self.last = last
        per_block = (depth - 4) // 6
        width = 2 * growth
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for compressed in (True, True, False):
            self.blocks.append(
                nn.Sequential(*(Bottleneck(width + i * growth, growth, dropout) for i in range(per_block)))
            )
            width += per_block * growth
            if compressed:
                self.transitions.append(Transition(width, dropout))
                width //= 2
        self.bn = nn.BatchNorm2d(width)
        self.width = width
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps after the stem, each transition, and the last activation (the four that Lee 2018 reads)."""
        maps = [self.stem(x)]
        for block, transition in zip(self.blocks[:-1], self.transitions, strict=True):
            maps.append(transition(block(maps[-1])))
        return (*maps, self.last(self.bn(self.blocks[-1](maps[-1]))))
