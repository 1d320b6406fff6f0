"""C yes-or-no classifiers in one linear head: where it starts, the loss that trains it, and one beside a softmax."""

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot, relu, softplus

from oodbench.contract import BINARY, FEATURE_MAP, FEATURES, HEAD, LOGITS, Head, Output
from oodbench.networks.classifier import NONE


def start_at_prior_odds(head: nn.Linear) -> None:
    """Set the biases to the log-odds of one class among C equally frequent ones, log 1 / (C - 1)."""
    nn.init.constant_(head.bias, -math.log(head.out_features - 1))


def one_vs_rest_loss(z: Float[Tensor, "n C"], labels: Int[Tensor, "n"], zeta: float) -> Float[Tensor, ""]:
    """Return sum_k [y_k softplus(-z_k) + zeta (1 - y_k) softplus(z_k)], y one-hot, averaged over the batch; in float32.

    Each negative weighs zeta, so that the C - 1 of them do not drown the one positive. Where a share p of the inputs
    at hand is of class k, the minimum is at sigmoid(z_k) = p / (p + zeta (1 - p)).
    """
    z = z.float()
    own = one_hot(labels, z.shape[1]).bool()
    return torch.where(own, softplus(-z), zeta * softplus(z)).sum(dim=1).mean()


@final
class TwoHeads(nn.Module):
    """A network whose outputs are the pre-activations of a layer, under a softmax head and one of yes-or-no questions.

    The latter has no biases: where no unit of the layer is active, all of its log-odds are 0.

    Args:
        body: Maps pixels to [n width].
        width: Units of the layer.
        classes: C, of both heads.
    """

    passes = 1
    entries: frozenset[Output] = frozenset({FEATURE_MAP, FEATURES})

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, classes)
        self.binary = nn.Linear(width, classes, bias=False)

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The softmax head."""
        return {HEAD: Head(self.head.weight, self.head.bias)}

    def forward(self, x: Tensor) -> Tensor:
        """Return the softmax head's logits [n C] of pixels [n c h w]."""
        return self.both(x)[0]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and log-odds, each [n C]."""
        h = relu(self.body(x))
        return self.head(h), self.binary(h)

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass; the features are the layer that both heads read."""
        map_alone = {output: value for output, value in replacing.items() if output == FEATURE_MAP}
        below: Mapping[Output, Any] = self.body.outputs(x, wanted | {LOGITS}, map_alone)  # type: ignore[operator]
        h = replacing.get(FEATURES, relu(below[LOGITS]))
        return {**below, FEATURES: h, LOGITS: self.head(h), BINARY: self.binary(h)}
