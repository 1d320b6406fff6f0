"""MagNet: what an auto-encoder of the training images makes of an image, and of the classifier's answer.

Meng & Chen, "MagNet: a Two-Pronged Defense against Adversarial Examples", CCS 2017.

    ae minimises E || ae(clip(x + v eps)) - x ||^2,   eps ~ N(0, 1) at each pixel value
    magnet-error:  s(x) = -mean |x - ae(x)|^p
    magnet-jsd:    s(x) = -JSD(softmax(z(x) / T), softmax(z(ae(x)) / T)),   JSD(p, q) = KL(p||m)/2 + KL(q||m)/2,
                   m = (p + q) / 2

The paper joins such detectors by thresholds, each of its own false-positive rate, and then classifies ae(x); the rows
are the detectors, with p = 1 and T = 10. Its auto-encoders are 3x3 convolutions with sigmoids. Settled by the authors'
code (Trevillie/MagNet): the error is a mean over pixels, ae(x) is clipped before it is classified, and the noise is
drawn and clipped. That code trains 100 epochs of Adam in batches of 256 on MNIST, with 3 channels and v = 0.1; for
CIFAR-10 the paper has 32 channels and v = 0.025 [from memory], which stand here for all images. Chosen here: batches of
16 at a rate of 0.003, a beginning at the mean pixel where sigmoids are steep (else dark images, as MNIST's, hold the
training at the mean image for thousands of steps), and the weights that are best on a tenth of the images set aside. At
most `most` pixel values are trained on, images drawn by the seed. Scale "paper" takes 100 epochs; the others at most
1,000 steps.

JSD is a sum of terms that vanish where p = q (`formulas.mutual_information` of the two answers), in float64: T = 10
keeps p away from 1, where all images would tie.

Fails where bad images are easier to draw than good ones: the error of a blank or smooth image is small
whatever it shows, and an auto-encoder of 3x3 windows copies most of what it is given.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from oodbench import banks, formulas
from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Material, Method, Output, Outputs
from oodbench.detectors.trained import Schedule, filled, flat, minimise
from oodbench.networks.linear import sigmoid_convolution
from oodbench.recipes import Plain

AT_ONCE = 32
"""Images that are drawn at a time: the auto-encoder's maps are as large as they are."""


class Autoencoder(NamedTuple):
    """The weights of the fitted auto-encoder, and the channels of its images."""

    weights: Float[Tensor, "P"]
    channels: int


@final
@dataclass(frozen=True)
class Magnet:
    """Minus the auto-encoder's error, or minus how far its image moves the classifier's softmax.

    Attributes:
        T: Temperature of the divergence; 0 for the error instead.
        p: Power of the error.
        width: Channels of the auto-encoder.
        noise: v, in pixels of [0, 1].
        rate: Adam's, at the start; it falls to 0 on a cosine.
        batch: Images a step.
        steps: Most steps; None for no limit.
        epochs: Most passes over the images.
        most: Pixel values of all images that are trained on, at most.
    """

    T: float = 10.0
    p: float = 1.0
    width: int = 32
    noise: float = 0.025
    rate: float = 0.003
    batch: int = 16
    steps: int | None = 1000
    epochs: int = 100
    most: int = 2**25

    version: ClassVar[int] = 1
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    @property
    def reads(self) -> frozenset[Output]:
        """The pixels, and the classifier if it is asked."""
        return frozenset({INPUTS, LOGITS, NETWORK}) if self.T else frozenset({INPUTS})

    def fit(self, data: FitData) -> Autoencoder:
        """Return the auto-encoder of training images drawn by the seed."""
        generator = torch.Generator().manual_seed(data.seed)
        shape = next(data.train.batches(1)).inputs.shape[1:]
        drawn = banks.drawn_batches(data.train, max(2, self.most // shape.numel()), data.seed)
        images = torch.cat([batch.inputs[rows] for batch, rows in drawn])
        net = self._net(shape[0], generator).to(images)
        _begin(net, images.mean(dim=(0, 2, 3)))
        minimise(
            net,
            partial(self._loss, net, shape, generator),
            images.flatten(1),
            Schedule(self.rate, self.batch, self.steps, self.epochs, clip=1.0),
            generator,
        )
        return Autoencoder(flat(net), shape[0])

    def score(self, state: Autoencoder, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -JSD, in nats, or minus the error."""
        x = batch.inputs
        net = filled(self._net(state.channels, torch.Generator()), state.weights)
        drawn = torch.cat([net(some) for some in torch.split(x, AT_ONCE)])
        if not self.T:
            error: Tensor = (x - drawn).abs().double().pow(self.p).mean(dim=(1, 2, 3))
            return -error.float()
        answers = torch.stack([batch.logits, batch.at(drawn.clamp(0, 1)).logits], dim=1)
        return -formulas.mutual_information(answers.double() / self.T).float()

    def _loss(self, net: nn.Module, shape: torch.Size, generator: torch.Generator, rows: Tensor) -> Tensor:
        noise = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
        noisy = (rows + self.noise * noise).clamp(0, 1)
        return mse_loss(net(noisy.view(-1, *shape)).flatten(1), rows)

    def _net(self, channels: int, generator: torch.Generator) -> nn.Sequential:
        widths = (channels, self.width, self.width, channels)
        return nn.Sequential(*(sigmoid_convolution(a, b, 3, generator) for a, b in pairwise(widths)))


def _begin(net: nn.Sequential, mean: Float[Tensor, "c"]) -> None:
    """Move the biases so that a map of the mean pixel stays, wherever it passes, in the middle of the sigmoids."""
    first, *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    assert first.bias is not None
    assert last.bias is not None
    first.bias.data = -(first.weight.data.sum(dim=(2, 3)) @ mean)
    last.bias.data += mean.clamp(0.01, 0.99).logit()


PAPER = Citation(
    authors="Meng, Chen",
    title="MagNet: a Two-Pronged Defense against Adversarial Examples",
    year=2017,
    url="https://arxiv.org/abs/1705.09064",
)

row = partial(Method, family="generative", paper=PAPER, recipe=Plain())

METHODS = (
    row(
        name="magnet-error",
        title="MagNet (reconstruction error)",
        detector=Magnet(T=0.0),
        detector_at_paper_scale=Magnet(T=0.0, steps=None),
    ),
    row(
        name="magnet-jsd",
        title="MagNet (divergence, T = 10)",
        detector=Magnet(),
        detector_at_paper_scale=Magnet(steps=None),
    ),
)
