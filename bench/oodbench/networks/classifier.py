"""A classifier: standardise, trunk, global average pooling, linear head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import Head, View


class Standardise(nn.Module):
    """(x - mean) / std per channel, for pixels in [0, 1]: gradients by the input are gradients by the pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the standardised batch."""
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """A trunk that returns feature maps, under a linear head on the last map's spatial average."""

    passes = 1

    def __init__(self, trunk: nn.Module, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.standardise = Standardise(mean, std)
        self.trunk = trunk
        self.head = nn.Linear(int(trunk.width), classes)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C] of pixels [n c h w]."""
        logits: Tensor = self.head(self.layers(x)[-1])
        return logits

    def layers(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return every feature map of the trunk, averaged over space."""
        return tuple(feature_map.mean(dim=(2, 3)) for feature_map in self.trunk(self.standardise(x)))

    def show(self, x: Tensor, wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return views of x after one forward pass."""
        layers = self.layers(x)
        return {
            "layers": layers,
            "features": layers[-1],
            "logits": self.head(layers[-1]),
            "head": Head(self.head.weight, self.head.bias),
        }
