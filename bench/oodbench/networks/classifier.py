"""A classifier: standardise, trunk, global average pooling, linear head."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import FEATURE_MAP, FEATURES, FIRST_MAP, HEAD, LAYERS, LOGITS, MAPS, Head, Output
from oodbench.networks.first_map import first_convolution, recorded


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


NONE: Mapping[Output, Tensor] = MappingProxyType({})


class Classifier(nn.Module):
    """A trunk that returns feature maps, under a linear head on the last map's spatial average."""

    passes = 1
    entries: frozenset[Output] = frozenset({FEATURE_MAP, FEATURES})

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
        return tuple(map(pooled, self.trunk(self.standardise(x))))

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The head."""
        return {HEAD: Head(self.head.weight, self.head.bias)}

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass, or what is left of one after a replaced map or features."""
        if FEATURES in replacing and not wanted & {FEATURE_MAP, LAYERS, MAPS, FIRST_MAP}:
            return self._above(replacing[FEATURES])
        with ExitStack() as hooks:
            first = hooks.enter_context(recorded(first_convolution(self.trunk))) if FIRST_MAP in wanted else []
            *below, top = self.trunk(self.standardise(x))
        top = replacing.get(FEATURE_MAP, top)
        features = replacing.get(FEATURES, pooled(top))
        layers = (*map(pooled, below), features)
        given: dict[Output, Any] = {FEATURE_MAP: top, MAPS: (*below, top), LAYERS: layers}
        if first:
            given[FIRST_MAP] = first[0]
        return given | self._above(features)

    def _above(self, features: Tensor) -> dict[Output, Any]:
        return {FEATURES: features, LOGITS: self.head(features)}


def pooled(feature_map: Tensor) -> Tensor:
    """Return a feature map [n F h w] averaged over space [n F]."""
    return feature_map.mean(dim=(2, 3))
