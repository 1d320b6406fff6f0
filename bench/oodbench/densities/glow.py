"""Glow: the exact log density of an image under an invertible network.

Kingma & Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", NeurIPS 2018; the network is in
`bench/oodbench/networks/glow.py`.

    loss = -log2 P(image) / D,   bits per dimension of y = (g + u) / 256

Scale "paper" is the authors' own (github.com/openai/glow): 3 levels of 32 steps, 512 channels, 28x28 two levels, where
Nalisnick 2019 has 2 levels of 16 steps and 3 of 8; 250 epochs of Adamax at 1e-3, of which 10 warm up. No shifts, no
flips (a flip is an out-set here). The smaller scales have 2 levels of 4 steps, 32 channels (31,000 weights on 28x28)
and Adam, whose rate warms up to 4e-3 and falls along a cosine. No gradient is clipped, and no run has half precision.

The small scales' training was chosen by bits per dimension of validation images, seed 0. One cycle up to 4e-3 with
gradients clipped at a norm of 1, which version 1 had, gives 2.85 after 880 steps on MNIST-5k (4.07 at constant volume)
and 5.10 after 400 steps on Fashion-MNIST; without the clip 4.70 there. Warm-up and cosine give 2.38 (3.62) and 4.69, a
warm-up alone 2.55 and 4.62. A rate of 8e-3 gives 2.32 and 4.48, and at constant volume 4.44 for 3.62: not taken.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, final

from torch import Tensor, nn

from oodbench.contract import LATENT, LOG_DENSITY, Output
from oodbench.networks.glow import GlowNet, Volume
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class Glow(Defaults):
    """A flow trained by maximum likelihood.

    Attributes:
        training: How the one loop drives it.
        volume: "affine" couplings, or "constant": additive ones (Nalisnick's CV-Glow).
        levels: Most levels; as many as the image's sides can be halved.
        depth: Steps a level.
        hidden: Channels inside the couplings.
    """

    training: Training = Training(network="glow", epochs=8)
    volume: Volume = "affine"
    levels: int = 2
    depth: int = 4
    hidden: int = 32

    version: ClassVar[int] = 2
    provides: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY, LATENT})

    def sized(self, scale: Scale, training: Training) -> "Glow":
        """Return the recipe at a scale."""
        adam = replace(
            training,
            network="glow",
            optimiser="adam",
            schedule="warmup-cosine",
            lr=4e-3,
            weight_decay=0.0,
            clip=0.0,
            augment=(),
            precision="float32",
        )
        if scale == "paper":
            adamax = replace(adam, optimiser="adamax", schedule="warmup", epochs=250, batch=64, lr=1e-3)
            return replace(self, training=adamax, levels=3, depth=32, hidden=512)
        if scale == "cpu":
            return replace(self, training=replace(adam, epochs=max(1, training.epochs // 6), batch=64))
        return replace(self, training=replace(adam, epochs=max(1, training.epochs * 3 // 4), batch=32))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh flow, and its training; the first batch standardises, not the in-set's mean and deviation."""
        levels = min(self.levels, *(halvings(side) for side in in_set.images.shape[1:]))
        net = GlowNet(in_set.images.shape, levels=levels, depth=self.depth, hidden=self.hidden, volume=self.volume)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of -log2 p(y) / D, 8 bits less than the bits per dimension."""
        log_p: Tensor = net(batch.inputs)
        return -log_p.mean() / (prod(batch.inputs.shape[1:]) * log(2))


def halvings(side: int) -> int:
    """Return how often a side can be halved."""
    return (side & -side).bit_length() - 1
