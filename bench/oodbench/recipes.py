"""The plain recipe: cross-entropy on the matrix's own network. Most methods judge the model that it trains."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.contract import Material, Scale, Shape, TrainBatch, Training, View
from oodbench.networks import classifier


@final
@dataclass(frozen=True)
class Plain:
    """A classifier trained by cross-entropy, as the matrix says: its network, its schedule."""

    training: Training = Training(network="resnet-small", epochs=8)

    provides: ClassVar[frozenset[View]] = frozenset({"inputs", "logits", "features", "layers", "head", "gradient"})
    wants: ClassVar[frozenset[Material]] = frozenset()

    def at(self, scale: Scale, training: Training) -> "Plain":
        """Return the recipe with the matrix's training."""
        return replace(self, training=training)

    def build(self, shape: Shape, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
        """Return a fresh classifier."""
        return classifier(self.training.network, shape, classes, mean, std, self.training.dropout)

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of the batch."""
        return cross_entropy(net(batch.inputs), batch.labels, label_smoothing=self.training.label_smoothing)
