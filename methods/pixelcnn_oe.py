"""Outlier Exposure of a density: a PixelCNN++ that is told what to find less likely.

Hendrycks, Mazeika & Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, section 4.4.

    L = mean [ nll(x_in) + lambda max(0, D + nll(x_in) - nll(x_out)) ],   nll = -log P in nats, all D dimensions
    s(x) = log p(x)

Inputs and outliers of a step make pairs. The margin, the paper's "number of pixels", is one nat a dimension: its
bits per pixel of about 3 on CIFAR-10 are per dimension. It does not say whether the plain nll stays in the loss [?]:
here it does, as its general form L + lambda L_OE has it, with lambda = 1. The loss is divided by D log 2, so that it is
in the unit in which the plain model was trained; with Adam that matters little.

The paper tunes for 2 epochs, from a trained model; the smaller scales, which train for few, for one. No source gives
the rate [?]: here it begins at a tenth of the largest of training and goes down along a cosine. The model is the plain
PixelCNN++ of the same seed.

Fails where the outliers to come are unlike those that were trained on: of these it learns to say that they are
unlikely, of others nothing.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from oodbench.contract import Citation, Material, Method, Output
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.detectors.densities import LIKELIHOOD
from oodbench.ensembles import take_weights
from oodbench.errors import BadMethod
from oodbench.networks.pixelcnn import PixelCnnPlusPlus
from oodbench.training import Defaults, Fit, InSet, Parts, Recipe, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class OePixelCnn(Defaults):
    """A plain PixelCNN++, trained on for a while with outliers beside every step.

    Attributes:
        plain: Where it begins.
        training: How it is fine-tuned.
        lam: Weight of the margin loss.
    """

    plain: PixelCnn = PixelCnn()
    training: Training = Training(network="pixelcnn++", epochs=2, outlier_ratio=1)
    lam: float = 1.0

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = PixelCnn.provides
    wants: ClassVar[frozenset[Material]] = frozenset({"outliers"})

    def sized(self, scale: Scale, training: Training) -> "OePixelCnn":
        """Return the recipe that begins from the PixelCNN++ of that scale."""
        plain = self.plain.sized(scale, training)
        how = plain.training
        epochs = 2 if scale == "paper" else 1
        tuning = replace(how, epochs=epochs, lr=how.lr / 10, schedule="cosine", milestones=(), outlier_ratio=1)
        return replace(self, plain=plain, training=tuning)

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the plain model of the same seed."""
        return ((self.plain, seed),)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a network with the plain model's weights, which no first batch initialises again, and its training."""
        net = self.plain.start(in_set, (), labels, seed).net
        take_weights([net], parts)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L / (D log 2).

        Raises:
            BadMethod: the step has not an outlier for each input.
        """
        outliers = 0 if batch.outliers is None else len(batch.outliers)
        if batch.outliers is None or outliers != len(batch.inputs):
            raise BadMethod(f"outlier exposure got {outliers} outliers for {len(batch.inputs)} inputs; it takes pairs")
        assert isinstance(net, PixelCnnPlusPlus)
        D = prod(batch.inputs.shape[1:])
        nll = -net.log_mass(torch.cat([batch.inputs, batch.outliers]))
        inside, outside = nll.chunk(2)
        ranking = (D + inside - outside).clamp(min=0)
        L: Tensor = (inside + self.lam * ranking).mean()
        return L / (D * log(2))


PAPER = Citation(
    authors="Hendrycks, Mazeika, Dietterich",
    title="Deep Anomaly Detection with Outlier Exposure",
    year=2019,
    url="https://arxiv.org/abs/1812.04606",
)

METHODS = (
    Method(
        name="oe-pixelcnn++",
        title="PixelCNN++, fine-tuned with OE, log p(x)",
        family="outliers",
        paper=PAPER,
        recipe=OePixelCnn(),
        detector=LIKELIHOOD,
    ),
)
