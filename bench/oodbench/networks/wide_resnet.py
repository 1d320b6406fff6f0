"""Wide residual networks (Zagoruyko & Komodakis 2016, arXiv:1605.07146)."""

from torch import Tensor, nn
from torch.nn.functional import relu


class Block(nn.Module):
    """Pre-activation block B(3,3): BN-ReLU-conv, BN-ReLU-dropout-conv, plus the input."""

    def __init__(self, narrow: int, wide: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.shortcut = None if narrow == wide and stride == 1 else nn.Conv2d(narrow, wide, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output; a projection shortcut takes the activated input."""
        activated = relu(self.bn1(x))
        residual = self.conv2(self.dropout(relu(self.bn2(self.conv1(activated)))))
        identity = x if self.shortcut is None else self.shortcut(activated)
        out: Tensor = identity + residual
        return out


class WideResNet(nn.Module):
    """Stem, three stages of widths 16K, 32K, 64K, last BN-ReLU: four feature maps."""

    def __init__(self, *, depth: int, widen: int, channels: int, dropout: float = 0.0, stem_stride: int = 1) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest:
            raise ValueError(f"depth {depth}: a wide residual network's depth is 6n + 4 (10, 16, 28, 40, ...)")
        self.width = 64 * widen
        self.stem = nn.Conv2d(channels, 16, 3, stem_stride, padding=1, bias=False)
        widths = [16, 16 * widen, 32 * widen, 64 * widen]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(Block(narrow if i == 0 else wide, wide, stride if i == 0 else 1, dropout) for i in range(blocks))
            )
            for narrow, wide, stride in zip(widths[:-1], widths[1:], (1, 2, 2), strict=True)
        )
        self.bn = nn.BatchNorm2d(self.width)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps after the stem, stages 1 and 2, and the last BN-ReLU."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return (*maps[:-1], relu(self.bn(maps[-1])))


def initialise(net: nn.Module) -> None:
    """Draw every convolution's weights from He's normal distribution (fan out)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
