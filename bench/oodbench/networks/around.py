"""A classifier with something beside it that training or a score needs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from oodbench.contract import Output
from oodbench.networks.classifier import NONE


class Around(nn.Module, ABC):
    """A model around another, the inner one: what a subclass does not say otherwise is the inner one's."""

    @property
    @abstractmethod
    def inner(self) -> Any:
        """The inner model."""

    @property
    def passes(self) -> int:
        """Forward passes of one call of `outputs`."""
        return int(self.inner.passes)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        head: nn.Linear = self.inner.head
        return head

    @property
    def entries(self) -> frozenset[Output]:
        """Outputs that the network can go on from."""
        entries: frozenset[Output] = self.inner.entries
        return entries

    @property
    def constants(self) -> Mapping[Output, Any]:
        """Outputs that are the same for all inputs."""
        constants: Mapping[Output, Any] = self.inner.constants
        return constants

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C] of pixels [n c h w] or tokens [n t]."""
        logits: Tensor = self.inner(x)
        return logits

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass."""
        given: Mapping[Output, Any] = self.inner.outputs(x, wanted, replacing)
        return given
