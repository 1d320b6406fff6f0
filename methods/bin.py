"""One yes-or-no classifier a class.

Sreeramdass & Sarawagi, "Out-of-distribution image detection": BIN.

    loss = sum_k [y_k softplus(-z_k) + zeta (1 - y_k) softplus(z_k)],   y the one-hot class, averaged over the batch
    s(x) = max_k sigmoid(z_k),   ranked by   max_k z_k;   the class is argmax_k z_k

The paper prints the loss without logarithm and minus sign; minimised as it stands it would push every positive to 0. It
also gives the ratio of positives to negatives as C - 1 : 1, which is 1 : C - 1. The probability is 1.0 in float32 from
z = 17 on, so z itself ranks. The biases start at the log-odds of one class among C, lest the first steps go to the
negatives.

For CIFAR-10 the paper's training is that of the matrix: WRN-28-10 without dropout, 200 epochs, the rate cut to a tenth
at half and at three quarters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from oodbench import formulas
from oodbench.contract import Citation, Material, Method, Scale, Shape, Stateless, TrainBatch, Training, View, Views
from oodbench.networks import classifier
from oodbench.networks.one_vs_rest import one_vs_rest_loss, start_at_prior_odds


@final
class OneVsRest(nn.Module):
    """A classifier whose logits are the log-odds of C yes-or-no questions."""

    passes = 1

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        start_at_prior_odds(self.head)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self.body.head  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        """Return log-odds [n C] of pixels [n c h w]."""
        z: Tensor = self.body(x)
        return z

    def show(self, x: Tensor, wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return views of x after one forward pass."""
        shown: Mapping[View, Any] = self.body.show(x, wanted)  # type: ignore[operator]
        return {**shown, "binary": shown["logits"]}


@final
@dataclass(frozen=True)
class Bin:
    """The matrix's own network, trained as C yes-or-no classifiers.

    Attributes:
        zeta: Weight of a negative; a positive weighs 1.
        training: How the training loop drives it.
    """

    zeta: float = 0.05
    training: Training = Training(network="resnet-small", epochs=8)

    provides: ClassVar[frozenset[View]] = frozenset(
        {"inputs", "logits", "binary", "features", "layers", "head", "gradient"}
    )
    wants: ClassVar[frozenset[Material]] = frozenset()

    def at(self, scale: Scale, training: Training) -> "Bin":
        """Return the recipe with the matrix's training."""
        return replace(self, training=training)

    def build(self, shape: Shape, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
        """Return a fresh model."""
        return OneVsRest(classifier(self.training.network, shape, classes, mean, std, self.training.dropout))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the weighted loss of the C classifiers."""
        return one_vs_rest_loss(net(batch.inputs), batch.labels, self.zeta)


def largest_log_odds(batch: Views) -> Float[Tensor, "n"]:
    """Return max_k z_k."""
    return formulas.max_logit(batch.binary)


METHODS = (
    Method(
        name="bin",
        title="Binary classifiers (BIN)",
        paper=Citation(
            authors="Sreeramdass, Sarawagi",
            title="Out-of-distribution image detection",
            year=None,
            url="https://github.com/varshiths/cal-exp",  # the first author's code; no address of the report was found
        ),
        recipe=Bin(),
        detector=Stateless(frozenset({"binary"}), largest_log_odds),
    ),
)
