"""The plain recipe: cross-entropy on the matrix's own network. Most methods judge the model that it trains."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.contract import EMBEDDINGS, FEATURE_MAP, FEATURES, HEAD, LAYERS, LOGITS, Material, Output
from oodbench.networks import classifier
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class Plain(Defaults):
    """A classifier trained by cross-entropy, as the matrix says: its network, its schedule."""

    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, FEATURE_MAP, EMBEDDINGS, LAYERS, HEAD})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})
    wants: ClassVar[frozenset[Material]] = frozenset()

    def sized(self, scale: Scale, training: Training) -> "Plain":
        """Return the recipe with the matrix's training."""
        return replace(self, training=training)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, and its training."""
        net = classifier(self.training.network, in_set, self.training.dropout)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of the batch."""
        return cross_entropy(net(batch.inputs), batch.labels, label_smoothing=self.training.label_smoothing)
