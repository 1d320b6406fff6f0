"""Residual networks for CIFAR as their paper has them: depth 6n + 2, widths 16, 32, 64, shortcuts without weights.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2, option A: where a stage
halves the size and doubles the channels, the shortcut takes every second row and column, and pads channels by zeros.
The names of the weights are those of the public checkpoints of these networks.
"""

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from oodbench.networks.wide_resnet import initialise


class Block(nn.Module):
    """conv-BN-ReLU, conv-BN, plus the input (subsampled, its channels padded), ReLU."""

    def __init__(self, narrow: int, wide: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.stride, self.padding = stride, (wide - narrow) // 2
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        residual = self.bn2(self.conv2(self.dropout(relu(self.bn1(self.conv1(x))))))
        return relu(residual + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the input as the residual's shape: half of the added channels, of zeros, on either side."""
        if self.stride == 1:
            return x
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))


class HeResNet(nn.Module):
    """Stem and three stages: four feature maps."""

    def __init__(self, *, depth: int, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest:
            raise ValueError(f"depth {depth}: a residual network for CIFAR has a depth of 6n + 2 (20, 32, 44, 56, ...)")
        self.width = 64
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(blocks, 16, 16, 1, dropout)
        self.layer2 = _stage(blocks, 16, 32, 2, dropout)
        self.layer3 = _stage(blocks, 32, 64, 2, dropout)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps after the stem's ReLU and after each stage."""
        maps = [relu(self.bn1(self.conv1(x)))]
        for stage in (self.layer1, self.layer2, self.layer3):
            maps.append(stage(maps[-1]))
        return tuple(maps)


def _stage(blocks: int, narrow: int, wide: int, stride: int, dropout: float) -> nn.Sequential:
    others = (Block(wide, wide, 1, dropout) for _ in range(blocks - 1))
    return nn.Sequential(Block(narrow, wide, stride, dropout), *others)
