"""Monte-Carlo dropout: one classifier, thinned in several ways.

Gal & Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning", ICML 2016.

    z_m(x) = the logits under mask m,   p(x) = 1/M sum_m softmax(z_m(x)),   s(x) = -H[p(x)] in nats

The M masks are drawn once and are the same for every input, so that a score depends on its own input alone; the paper
draws anew each time. Dropout stands inside the network's blocks, with WRN's probability of 0.3. Whole channels drop, in
training as in judging: the masks are draws of what the network was trained under. The mutual information of class and
mask makes no row: where channels are few, its direction hangs on which ten masks were drawn.

Fails where the masks agree on a wrong answer: they share all weights. It costs a pass for every mask, and a training
with dropout.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.networks import classifier
from oodbench.networks.members import Thinned
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class McDropout(Defaults):
    """A classifier trained with dropout, that judges under fixed masks.

    Attributes:
        M: Masks.
        dropout: Probability of dropping a channel.
        training: The matrix's own, with this dropout.
    """

    M: int = 10
    dropout: float = 0.3
    training: Training = Training(network="resnet-small", epochs=8, dropout=0.3)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, LOGITS.of_members})

    def sized(self, scale: Scale, training: Training) -> "McDropout":
        """Return the recipe with the matrix's training, and dropout in it."""
        return replace(self, training=replace(training, dropout=self.dropout))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier with its masks, and its training."""
        net = Thinned(classifier(self.training.network, in_set, self.dropout), in_set.images.shape, self.M)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of the batch, under dropout."""
        return cross_entropy(net(batch.inputs).float(), batch.labels, label_smoothing=self.training.label_smoothing)


def certainty(batch: Outputs) -> Float[Tensor, "n"]:
    """Return minus the entropy of the mean of the probabilities under each mask."""
    return -formulas.predictive_entropy(batch[LOGITS.of_members])


METHODS = (
    Method(
        name="mc-dropout",
        title="Monte-Carlo dropout, 10 masks",
        family="ensembles",
        paper=Citation(
            authors="Gal, Ghahramani",
            title="Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning",
            year=2016,
            url="https://arxiv.org/abs/1506.02142",
        ),
        recipe=McDropout(),
        detector=Stateless(frozenset({LOGITS.of_members}), certainty),
    ),
)
