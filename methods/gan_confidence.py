"""Confidence-calibrated classifiers: a generator of images near the training data, on which p is to be uniform.

Lee, Lee, Lee & Shin, "Training Confidence-calibrated Classifiers for Detecting Out-of-Distribution Samples", ICLR 2018.

    discriminator  -mean_x log D(x) - mean_z log(1 - D(G(z)))
    generator      -mean_z log D(G(z)) + beta mean_z KL(U || p(G(z)))
    classifier     mean_x CE(y, p(x)) + beta mean_z KL(U || p(G(z)))      + lambda mean_out H(U; p)

KL(U || p) = H(U; p) - log C. The last term stands in `gan-confidence-oe` alone: Outlier Exposure beside the generator
(the rows MSP + GAN and MSP + GAN + OE of Hendrycks, Mazeika & Dietterich 2019). Score: the maximum softmax probability.

From the authors' code (alinlab/Confident_classifier at 0d9fd17e): the order of the moves, standard normal noise of 100
dimensions, as many images of G as inputs, Adam at 2e-4 without weight decay for 100 epochs, the rate times 0.1 at 60,
its first moment forgotten at 0.5 for the pair, beta = 0.1 for CIFAR-10 (1 for SVHN, which is not offered apart).
Choices, for want of a source [?]:

- Inputs, the generator's images and outliers make one batch of the classifier. The code has two passes through a
  VGG-13 without BatchNorm, where that is the same; with BatchNorm, two passes would let it tell them apart for free.
- In the generator's move the classifier is looked at in evaluation mode, so that its running statistics stay.
- lambda = 0.5 joins the same training, where the source may have fine-tuned. There is an outlier beside each input:
  with the generator's images the classifier sees as much from outside as in Outlier Exposure alone.
- Scales "cpu" and "tiny": width 8, the matrix's batch, one cycle of Adam to 2e-3; at "cpu" at most 4 epochs.

Fails where the strange inputs to come are unlike the generator's images, which lie near the training data by
construction; and three networks at play may end anywhere.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Material, Method, Output, Outputs, Stateless
from oodbench.networks.dcgan import Discriminator, Generator, Trio
from oodbench.networks.modes import evaluation_mode
from oodbench.recipes import Plain
from oodbench.training import Defaults, Fit, InSet, Parts, Player, Scale, TrainBatch, Training


@final
@dataclass(frozen=True)
class GanConfidence(Defaults):
    """The matrix's classifier, trained beside a generator and its discriminator.

    Attributes:
        training: How all three are trained.
        beta: Weight of KL(U || p) on generated images, for classifier and generator.
        lam: Weight of H(U; p) on auxiliary outliers; none are asked for where it is 0.
        width: Half the channels of the pair's widest maps.
        latent: Dimensions of the noise.
    """

    training: Training = Training(network="resnet-small", epochs=100, optimiser="adam", lr=2e-4)
    beta: float = 0.1
    lam: float = 0.0
    width: int = 64
    latent: int = 100

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides

    @property
    def wants(self) -> frozenset[Material]:
        """Outliers, if they have a weight."""
        return frozenset({"outliers"}) if self.lam else frozenset()

    def sized(self, scale: Scale, training: Training) -> "GanConfidence":
        """Return the recipe with the matrix's network and batches, and Adam."""
        adam = replace(training, optimiser="adam", weight_decay=0.0, outlier_ratio=1)
        if scale == "paper":
            rates = replace(adam, epochs=100, lr=2e-4, schedule="step", milestones=(0.6,), gamma=0.1)
            return replace(self, training=rates)
        epochs = min(4, training.epochs) if scale == "cpu" else training.epochs
        return replace(self, training=replace(adam, epochs=epochs, lr=2e-3, schedule="onecycle"), width=8)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return three fresh networks, and how they move."""
        classifier, shape = Plain(self.training).start(in_set, (), labels, seed).net, in_set.images.shape
        net = Trio(classifier, Generator(shape, self.latent, self.width), Discriminator(shape, self.width))
        return Fit(net, self.players(net))

    def players(self, net: Trio) -> tuple[Player, ...]:
        """Return discriminator, generator and classifier: they move in this order."""
        d, g, p = (tuple(part.parameters()) for part in (net.discriminator, net.generator, net.classifier))
        pair = replace(self.training, betas=(0.5, 0.999))
        return (
            Player("discriminator", d, partial(self.discriminating, net), pair),
            Player("generator", g, partial(self.generating, net), pair),
            Player("classifier", p, partial(self.loss, net)),
        )

    def discriminating(self, net: Trio, batch: TrainBatch) -> Tensor:
        """Return -mean log D(x) - mean log(1 - D(G(z)))."""
        fakes = net.generator.draw(len(batch.inputs)).detach()
        # -log sigmoid(t) = softplus(-t)
        return softplus(-net.discriminator(batch.inputs)).mean() + softplus(net.discriminator(fakes)).mean()

    def generating(self, net: Trio, batch: TrainBatch) -> Tensor:
        """Return -mean log D(G(z)) + beta mean KL(U || p(G(z)))."""
        fakes = net.generator.draw(len(batch.inputs))
        with evaluation_mode(net.classifier):
            logits = net(fakes)
        return softplus(-net.discriminator(fakes)).mean() + self.beta * divergence(logits)

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the classifier's: mean CE + beta mean KL(U || p(G(z))) + lam mean_out H(U; p)."""
        n = len(batch.inputs)
        fakes = net.generator.draw(n).detach()  # type: ignore[union-attr,operator]
        outliers = () if batch.outliers is None else (batch.outliers,)
        inside, generated, outside = net(torch.cat([batch.inputs, fakes, *outliers])).double().tensor_split([n, 2 * n])
        loss = cross_entropy(inside, batch.labels, label_smoothing=self.training.label_smoothing)
        loss = loss + self.beta * divergence(generated)
        return loss + self.lam * formulas.uniform_cross_entropy(outside).mean() if self.lam else loss


def divergence(logits: Float[Tensor, "n C"]) -> Float[Tensor, ""]:
    """Return the mean of KL(U || p) = H(U; p) - log C."""
    return formulas.uniform_cross_entropy(logits).mean() - log(logits.shape[1])


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


PAPER = Citation(
    authors="Lee, Lee, Lee, Shin",
    title="Training Confidence-calibrated Classifiers for Detecting Out-of-Distribution Samples",
    year=2018,
    url="https://arxiv.org/abs/1711.09325",
)
MSP = Stateless(frozenset({LOGITS}), msp)
ALONE, WITH_OUTLIERS = GanConfidence(), GanConfidence(lam=0.5)
TITLE = "Confidence-calibrating GAN"

METHODS = (
    Method(name="gan-confidence", title=TITLE, family="outliers", paper=PAPER, recipe=ALONE, detector=MSP),
    Method(
        name="gan-confidence-oe",
        title=f"{TITLE}, outliers",
        family="outliers",
        paper=PAPER,
        recipe=WITH_OUTLIERS,
        detector=MSP,
    ),
)
