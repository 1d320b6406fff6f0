"""IB-INN: a generative classifier between a density model (beta = 0) and a discriminative one (beta = infinity).

Ardizzone et al., "Training Normalizing Flows with the Information Bottleneck for Competitive Generative
Classification", NeurIPS 2020; as a detector Mackowiak et al., "Generative Classifiers as a Basis for Trustworthy Image
Classification", CVPR 2021. Network, mixture, L_X and L_Y are in `bench/oodbench/networks/inn.py`.

    loss = 2 / (1 + beta) L_X / D + 2 beta / (1 + beta) L_Y
    ib-inn-<beta>:               s(x) = two-sided p-value of log q(y) among the training inputs'
    ib-inn-2-class-likelihood:   s(x) = max_k log q(y|k)
    ib-inn-2-msp:                s(x) = max_k p(k|y), ranked by its log odds

beta weighs the NLL of one dimension against the cross-entropy of one image. At beta = 0 no label is ever used: the
mixture's components have no names, and the model is a density that does not classify; misclassifications and attacks
are the plain classifier's. At beta = infinity nothing holds the density to the data: bits per dimension and p-values
mean nothing, inputs from elsewhere may well have the higher ones (AUROC 44 in the paper), and the row is there to show
it.

Scale "paper" is the authors' CIFAR-10 recipe (450 epochs of SGD) with these differences: wavelets where they have
down-sampling couplings; the means' rate is three times the network's, but with its momentum and decay; of the
augmentation the matrix's own crops and flips, without jitter, rotation and padding by edges; the classes' weights take
L_Y's gradient, too, where theirs are cut off from it; the part below the last down-sampling is one coupling, which
leaves a half of its inputs as they are, where theirs moves both; classes are those of the largest w_k N_k, where theirs
leave w out. Smaller scales train 6 convolutional and 2 connected couplings (666,000 weights on 28x28) with Adam; so few
may scale by exp(2) each, where the authors' 57 may by exp(0.7). Training adds noise of 0.01 to y; evaluation adds none.

Fails at either end of beta: near 0 it is a density of images, high for what is simple; as beta grows it is a softmax
over distances to the class means, and forgets what tells no class from another.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oodbench import formulas
from oodbench.contract import LOG_DENSITY, LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.detectors.densities import Typicality
from oodbench.networks.inn import IB_INN, Beta, GenerativeClassifier, Sizes, estimate_norms, losses, provided, share
from oodbench.spaces import Images, Space
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone

BETAS: tuple[Beta, ...] = (0, 1, 2, 4, 8, 16, 32, "inf")
"""The papers' grid."""

LARGEST = 64
"""Longest side of an image: means are free in all dimensions, and the connected couplings as wide as they are many."""

PAPER = Sizes((8, 24, 24), (16, 32, 64), fc=(1024,), dropout=(0.25, 0.5), initial=0.75, gain=0.1, clamp=0.7)
SMALL = Sizes((2, 4), (16, 32), fc=(256, 256), dropout=(0.0, 0.0), initial=1.0, gain=1.0, clamp=2.0)


@final
@dataclass(frozen=True)
class IbInn(Defaults):
    """An invertible network trained for likelihood and for classes.

    Attributes:
        training: How the one loop drives it.
        beta: Weight of the classes; a number from 0, or "inf", which JSON has no number for.
        sizes: Of the network.
        m: Distance between the class means before training.
        pace: How many times as fast as the network a step moves the means.
        noise: Standard deviation of the noise on y.
        looks: Passes over the training split that re-estimate BatchNorm's statistics.
    """

    training: Training = Training(network=IB_INN, epochs=8)
    beta: Beta = 2
    sizes: Sizes = SMALL
    m: float = 5.0
    pace: float = 3.0
    noise: float = 0.01
    looks: int = 1

    version: ClassVar[int] = 1

    @property
    def provides(self) -> frozenset[Output]:
        """Return its outputs: no logits where no label was used."""
        return provided(self.beta)

    def refuses(self, space: Space) -> str | None:
        """Return what is too large about an image."""
        if not isinstance(space, Images) or max(space.shape[1:]) <= LARGEST:
            return None
        got = "x".join(map(str, space.shape))
        return (
            f"the IB-INN of small images got images of {got}, expected sides of at most {LARGEST}; "
            f"the recipe for ImageNet takes them: ib-inn-imagenet-2"
        )

    def sized(self, scale: Scale, training: Training) -> "IbInn":
        """Return the recipe at a scale."""
        how = replace(training, network=IB_INN, clip=8.0, label_smoothing=0.02, precision="float32", nesterov=False)
        if scale == "paper":
            how = replace(how, epochs=450, batch=128, optimiser="sgd", lr=0.07, weight_decay=1e-4)
            how = replace(how, schedule="step", milestones=(150 / 450, 250 / 450, 350 / 450), gamma=0.1)
            return replace(self, training=how, sizes=PAPER, pace=math.sqrt(3), looks=5)
        epochs = max(1, 3 * training.epochs // 4 if scale == "tiny" else training.epochs // 12)
        how = replace(how, epochs=epochs, batch=min(training.batch, 64), optimiser="adam", lr=4e-3, weight_decay=0.0)
        return replace(self, training=replace(how, schedule="onecycle", augment=()))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network, its training, and the pass that re-estimates BatchNorm's statistics."""
        net = GenerativeClassifier(
            in_set.images.shape,
            in_set.classes,
            in_set.images.mean,
            in_set.images.std,
            self.sizes,
            m=self.m,
            pace=self.pace,
            noise=self.noise,
        )
        return Fit(net, alone(net, partial(self.loss, net)), partial(self.settle, net))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the weighted sum of L_X / D and L_Y."""
        assert isinstance(net, GenerativeClassifier)
        l_x, l_y = losses(net.code(batch.inputs), batch.labels, self.training.label_smoothing)
        return 2 * (1 - share(self.beta)) * l_x + 2 * share(self.beta) * l_y

    def settle(self, net: nn.Module, batches: Iterator[TrainBatch]) -> None:
        """Re-estimate BatchNorm's statistics, from all images in memory: a data set may come a class at a time."""
        assert isinstance(net, GenerativeClassifier)
        x = torch.cat([batch.inputs for batch in batches])
        orders = (torch.split(torch.randperm(len(x)), self.training.batch) for _ in range(self.looks))
        estimate_norms(net, (x[index] for order in orders for index in order))


def class_likelihood(batch: Outputs) -> Float[Tensor, "n"]:
    """Return max_k log q(y|k), in nats, float64."""
    return batch[LOG_DENSITY.of_members].amax(dim=1)


def posterior(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the largest p(k|y): the logits are its logarithms."""
    return formulas.msp_key(batch.logits)


MACKOWIAK = Citation(
    authors="Mackowiak, Ardizzone, Köthe, Rother",
    title="Generative Classifiers as a Basis for Trustworthy Image Classification",
    year=2021,
    url="https://arxiv.org/abs/2007.15036",
)


def swept(beta: Beta) -> Method:
    """Return the row of a beta."""
    title = f"IB-INN, beta {beta}, two-sided p-value of log q(x)"
    return Method(
        name=f"ib-inn-{beta}",
        title=title,
        family="bottleneck",
        paper=MACKOWIAK,
        recipe=IbInn(beta=beta),
        detector=Typicality(),
    )


EXCUSED = {
    "ib-inn-inf": {"direction": "no term of its loss holds the density to the data: noise may be the more typical"},
    "ib-inn-2-msp": {"direction": "log odds of Gaussians are linear in z: far from all means the posterior is sure"},
}
"""Laws of the check that a row cannot keep, and why."""

METHODS = (
    *map(swept, BETAS),
    Method(
        name="ib-inn-2-class-likelihood",
        title="IB-INN, beta 2, largest log q(x|y)",
        family="bottleneck",
        paper=MACKOWIAK,
        recipe=IbInn(beta=2),
        detector=Stateless(frozenset({LOG_DENSITY.of_members}), class_likelihood),
    ),
    Method(
        name="ib-inn-2-msp",
        title="IB-INN, beta 2, largest p(y|x)",
        family="bottleneck",
        paper=MACKOWIAK,
        recipe=IbInn(beta=2),
        detector=Stateless(frozenset({LOGITS}), posterior),
    ),
)
