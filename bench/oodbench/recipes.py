"""The plain recipe, cross-entropy on the matrix's own network, and the given one, that is loaded in its place.

Most methods judge the plain classifier; some train it on for a while.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.contract import (
    EMBEDDINGS,
    FEATURE_MAP,
    FEATURES,
    FIRST_MAP,
    HEAD,
    LAYERS,
    LOGITS,
    MAPS,
    Output,
)
from oodbench.ensembles import take_weights
from oodbench.given import GivenModel
from oodbench.networks import classifier
from oodbench.spaces import Images, SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class Plain(Defaults):
    """A classifier trained by cross-entropy, as the matrix says: its network, its schedule."""

    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset(
        {LOGITS, FEATURES, FEATURE_MAP, FIRST_MAP, MAPS, EMBEDDINGS, LAYERS, HEAD}
    )
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, and its training."""
        net = classifier(self.training.network, in_set, self.training.dropout)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of the batch."""
        return cross_entropy(net(batch.inputs), batch.labels, label_smoothing=self.training.label_smoothing)


def fine_tuning(scale: Scale, training: Training, rate: float = 0.01) -> Training:
    """Return how the matrix's plain classifier is trained on: a quarter of its epochs, at most 10, at scale "paper".

    Elsewhere it takes 2 epochs from a tenth of the learning rate, as there are far fewer steps. The rate falls along a
    half cosine.

    Args:
        scale: Of the matrix.
        training: Of the plain classifier.
        rate: Share of its largest learning rate that fine-tuning begins with at scale "paper".

    Example:
        >>> fine_tuning("paper", Training(network="wrn-40-2", epochs=100, lr=0.1)).epochs
        10
    """
    epochs, lr = (
        (max(1, min(10, training.epochs // 4)), training.lr * rate) if scale == "paper" else (2, training.lr / 10)
    )
    return replace(training, epochs=epochs, lr=lr, schedule="cosine")


def from_plain(plain: Plain, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> nn.Module:
    """Return a network with the weights and running statistics of the plain classifier, if it is among the parts.

    Example:
        >>> in_set = InSet(Images((1, 8, 8), (0.0,), (1.0,)), classes=3)
        >>> plain = Plain(Training(network="toy-cnn", epochs=1))
        >>> type(from_plain(plain, in_set, (), torch.zeros(0), seed=0)).__name__
        'Classifier'
    """
    net = plain.start(in_set, (), labels, seed).net
    take_weights([net], parts)
    return net


@final
@dataclass(frozen=True)
class Given(Defaults):
    """A classifier that a matrix is given: its weights are loaded, and nothing is trained."""

    model: GivenModel

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    @property
    def training(self) -> Training:
        """No epochs."""
        return Training(network=self.model.network, epochs=0)

    def given(self) -> GivenModel:
        """Return the model."""
        return self.model

    def sized(self, scale: Scale, training: Training) -> "Given":
        """Return the recipe: it is the same at every scale."""
        return self

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return the network, that standardises as the model's own training did; its weights are yet to be loaded."""
        if isinstance(in_set.space, Images):
            in_set = replace(in_set, space=replace(in_set.space, mean=self.model.mean, std=self.model.std))
        return Fit(classifier(self.model.network, in_set))
