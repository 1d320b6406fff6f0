"""PixelCNN++: the exact log mass of an image, a pixel at a time.

Salimans, Karpathy, Chen & Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
Other Modifications", ICLR 2017; the network is in `bench/oodbench/networks/pixelcnn.py`.

    loss = -log2 P(image) / D,   bits per dimension

Scale "paper" is the authors' own (github.com/openai/pixel-cnn): 3 stages of 5 blocks, 160 filters, 10 mixtures,
dropout 0.5, 5,000 epochs of Adam; its rate is to fall by 0.999995 a step, here in a hundred steps to the same end with
CIFAR-10's 391 steps an epoch. No augmentation: flips are an out-set. The smaller scales have one stage of one block,
8 filters and 5 mixtures (8,800 weights for one channel), no dropout, as they see each image but a few times, a rate
that goes through one cycle, and half precision in training, but for the mixture. At every scale the running mean of the
weights takes their place in the end.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, final

from torch import Tensor, nn

from oodbench.contract import LOG_DENSITY, Output
from oodbench.networks.pixelcnn import PixelCnnPlusPlus
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class PixelCnn(Defaults):
    """A PixelCNN++ trained by maximum likelihood.

    Attributes:
        training: How the one loop drives it.
        stages: Resolutions, each half of the one before.
        blocks: Gated residual blocks a stage.
        filters: Channels of the maps.
        mixtures: Logistics a pixel.
    """

    training: Training = Training(network="pixelcnn++", epochs=8)
    stages: int = 1
    blocks: int = 1
    filters: int = 8
    mixtures: int = 5

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY})

    def sized(self, scale: Scale, training: Training) -> "PixelCnn":
        """Return the recipe at a scale."""
        adam = replace(
            training,
            network="pixelcnn++",
            optimiser="adam",
            betas=(0.95, 0.9995),
            weight_decay=0.0,
            augment=(),
        )
        if scale == "paper":
            falling = replace(adam, schedule="step", milestones=tuple(k / 100 for k in range(1, 100)))
            rates = replace(falling, lr=1e-3, gamma=0.999995 ** (5000 * 391 / 100))
            paper = replace(rates, epochs=5000, batch=128, dropout=0.5, average=0.9995, precision="float32")
            return replace(self, training=paper, stages=3, blocks=5, filters=160, mixtures=10)
        epochs = max(1, training.epochs // (2 if scale == "tiny" else 12))
        short = replace(adam, epochs=epochs, batch=32, schedule="onecycle", lr=4e-3, dropout=0.0, average=0.99)
        return replace(self, training=replace(short, precision="bfloat16"))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network of pixels as they are, not standardised, and its training."""
        net = PixelCnnPlusPlus(
            in_set.images.shape,
            stages=self.stages,
            blocks=self.blocks,
            filters=self.filters,
            mixtures=self.mixtures,
            dropout=self.training.dropout,
        )
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of -log2 P / D."""
        assert isinstance(net, PixelCnnPlusPlus)
        log_P = net.log_mass(batch.inputs)
        return -log_P.mean() / (prod(batch.inputs.shape[1:]) * log(2))
