"""Glow: the exact log density of an image under an invertible network.

Kingma & Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", NeurIPS 2018; the network is in
`bench/oodbench/networks/glow.py`.

    loss = -log2 P(image) / D,   bits per dimension of y = (g + u) / 256

Scale "paper" is the authors' own (github.com/openai/glow): 3 levels of 32 steps, 512 channels, 28x28 two levels, where
Nalisnick 2019 has 2 levels of 16 steps and 3 of 8. 250 epochs of Adam, its rate in one cycle up to 1e-3, stand for
Adamax with 10 epochs' warm-up; no shifts, no flips (a flip is an out-set here). The smaller scales have 2 levels of 4
steps, 32 channels and Adam at 4e-3 (31,000 weights on 28x28). No run uses half precision.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, final

from torch import Tensor, nn

from oodbench.contract import LATENT, LOG_DENSITY, Material, Output
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

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY, LATENT})
    wants: ClassVar[frozenset[Material]] = frozenset()

    def sized(self, scale: Scale, training: Training) -> "Glow":
        """Return the recipe at a scale."""
        adam = replace(
            training,
            network="glow",
            optimiser="adam",
            weight_decay=0.0,
            clip=1.0,
            augment=(),
            precision="float32",
            schedule="onecycle",
        )
        if scale == "paper":
            adam = replace(adam, epochs=250, batch=64, lr=1e-3)
            return replace(self, training=adam, levels=3, depth=32, hidden=512)
        if scale == "cpu":
            return replace(self, training=replace(adam, epochs=max(1, training.epochs // 6), batch=64, lr=4e-3))
        return replace(self, training=replace(adam, epochs=max(1, training.epochs * 3 // 4), batch=32, lr=4e-3))

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
