"""One yes-or-no classifier a class.

Sreeramdass & Sarawagi, "Out-of-distribution image detection": BIN.

    loss = sum_k [y_k softplus(-z_k) + zeta (1 - y_k) softplus(z_k)],   y the one-hot class, averaged over the batch
    s(x) = max_k sigmoid(z_k),   ranked by   max_k z_k;   the class is argmax_k z_k

The paper prints the loss without logarithm and minus sign; minimised as it stands it would push every positive to 0. It
also gives the ratio of positives to negatives as C - 1 : 1, which is 1 : C - 1. The probability is 1.0 in float32 from
z = 17 on, so z itself ranks. The biases start at the log-odds of one class among C, lest the first steps go to the
negatives.

The first author's code (varshiths/cal-exp, commit 9a77f39) averages over classes where the paper sums, and has biases
that start at 0. Alone under SGD with momentum and without weight decay, as that code trains, the average is the sum at
1/C of the learning rate. The sum is kept: as printed, and its positives then weigh what an input weighs in the
cross-entropy for which a matrix's learning rate and weight decay are chosen.

For CIFAR-10 the paper's training is that of the matrix: WRN-28-10 without dropout, 200 epochs, the rate cut to a tenth
at half and at three quarters.

Fails far from the training inputs along directions in which a classifier's log-odds grow: each is a linear function of
the features, and nothing bounds it there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from oodbench import formulas
from oodbench.contract import (
    BINARY,
    FEATURES,
    HEAD,
    LAYERS,
    LOGITS,
    Citation,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.networks import classifier
from oodbench.networks.around import Around
from oodbench.networks.classifier import NONE
from oodbench.networks.one_vs_rest import one_vs_rest_loss, start_at_prior_odds
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone


@final
class OneVsRest(Around):
    """A classifier whose logits are the log-odds of C yes-or-no questions."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        start_at_prior_odds(self.head)

    @property
    def inner(self) -> nn.Module:
        """The classifier."""
        return self.body

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass."""
        given = super().outputs(x, wanted | {LOGITS}, replacing)
        return {**given, BINARY: given[LOGITS]}


@final
@dataclass(frozen=True)
class Bin(Defaults):
    """The matrix's own network, trained as C yes-or-no classifiers.

    Attributes:
        zeta: Weight of a negative; a positive weighs 1.
        training: How the training loop drives it.
    """

    zeta: float = 0.05
    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, BINARY, FEATURES, LAYERS, HEAD})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        net = OneVsRest(classifier(self.training.network, in_set, self.training.dropout))
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the weighted loss of the C classifiers."""
        return one_vs_rest_loss(net(batch.inputs), batch.labels, self.zeta)


def largest_log_odds(batch: Outputs) -> Float[Tensor, "n"]:
    """Return max_k z_k."""
    return formulas.max_logit(batch[BINARY])


METHODS = (
    Method(
        name="bin",
        title="Binary classifiers (BIN)",
        family="training",
        paper=Citation(
            authors="Sreeramdass, Sarawagi",
            title="Out-of-distribution image detection",
            year=None,
            url="https://github.com/varshiths/cal-exp",  # the first author's code; no address of the report was found
        ),
        recipe=Bin(),
        detector=Stateless(frozenset({BINARY}), largest_log_odds),
    ),
)
