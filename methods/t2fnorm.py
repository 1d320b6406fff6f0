"""T2FNorm: features of fixed length in training, features as they are for the score.

Regmi, Panthi, Dotel, Gyawali, Stoyanov & Bhattarai, "T2FNorm: Train-time Feature Normalization for OOD Detection in
Image Classification", CVPR Workshops 2024.

    z = W f / (tau ||f||) + b         training and the class: argmax z
    u = W f / tau + b                 s(x) = max_c softmax(u)_c, ranked by its log-odds

In training the length of f earns nothing, so nothing makes it long; the lengths that remain are larger for what the
network was trained on, and u lets them into the score. From the authors' code (sudarshanregmi/T2FNorm at c78851e, which
is OpenOOD's): tau = 0.1, the bias is not divided, and u has no tau at 1,000 classes, where their network is fine-tuned
and not trained from scratch; here it always has. In the pass that scores OpenOOD's class is argmax u; here it is always
that of the trained classifier, argmax z, which is what is attacked and whose mistakes are detected. Where b is not 0
the two can differ.

Fails where lengths mislead: of two inputs with the same direction of f the longer one is the more trusted, so a bright
or high-contrast outlier that stirs the network more than its training images did scores above them. On MNIST-5k
(`mnist5k-v1`, one seed) nearly all uniform and Gaussian noise scored above the digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.networks import classifier
from oodbench.networks.topped import Topped
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

FREE = Output[Tensor]("free_logits", "n C")
"""u: the logits of features whose length is their own."""


@final
class Normalised(nn.Module):
    """The head on f / (tau ||f||), and beside it on f / tau."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        """Return z and u."""
        return {LOGITS: head(normalize(f, dim=1) / self.tau), FREE: head(f / self.tau)}


@final
@dataclass(frozen=True)
class T2FNorm(Defaults):
    """The matrix's classifier, trained on features of length 1 / tau.

    Attributes:
        training: How it is trained.
        tau: Temperature.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    tau: float = 0.1

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FREE, FEATURES})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        net = Topped(classifier(self.training.network, in_set, self.training.dropout), Normalised(self.tau))
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean cross-entropy of z."""
        return cross_entropy(net(batch.inputs), batch.labels, label_smoothing=self.training.label_smoothing)


def free_msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of max_c softmax(u)_c."""
    return formulas.msp_key(batch[FREE])


METHODS = (
    Method(
        name="t2fnorm",
        title="T2FNorm, softmax of features as they are",
        paper=Citation(
            authors="Regmi, Panthi, Dotel, Gyawali, Stoyanov, Bhattarai",
            title="T2FNorm: Train-time Feature Normalization for OOD Detection in Image Classification",
            year=2024,
            url="https://arxiv.org/abs/2305.17797",
        ),
        recipe=T2FNorm(),
        detector=Stateless(frozenset({FREE}), free_msp),
        family="training",
    ),
)
