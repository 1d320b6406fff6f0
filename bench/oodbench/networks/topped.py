"""A classifier's network under another top: what its last linear layer and its features become is another module's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, final

from torch import Tensor, nn

from oodbench.contract import FEATURES, LOGITS, Output
from oodbench.networks.classifier import NONE


@final
class Topped(nn.Module):
    """A model whose answers are `top(features, head)`, a mapping from outputs to tensors, the logits among them.

    Args:
        body: A classifier; its last linear layer, the head, has as many rows as the top asks for.
        top: Is given the features [n F] and the head.
    """

    passes = 1
    constants: Mapping[Output, Any] = MappingProxyType({})

    def __init__(self, body: nn.Module, top: nn.Module) -> None:
        super().__init__()
        self.body, self.top = body, top

    @property
    def entries(self) -> frozenset[Output]:
        """Those of the classifier."""
        return self.body.entries  # type: ignore[return-value]

    def answers(self, x: Tensor) -> Mapping[Output, Tensor]:
        """Return what the top makes of x, float32 under autocast, too."""
        return self._above(self.body.outputs(x, frozenset({FEATURES})))  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C] of pixels [n c h w] or tokens [n t]."""
        return self.answers(x)[LOGITS]

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass."""
        below: Mapping[Output, Any] = self.body.outputs(x, wanted | {FEATURES}, replacing)  # type: ignore[operator]
        return {**below, **self._above(below)}

    def _above(self, below: Mapping[Output, Any]) -> Mapping[Output, Tensor]:
        made: Mapping[Output, Tensor] = self.top(below[FEATURES], self.body.head)
        return {output: value.float() if value.dtype.itemsize < 4 else value for output, value in made.items()}
