"""The VAE as a density: a bound of an image's log probability, and what its code costs.

Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014; Burda, Grosse & Salakhutdinov, "Importance Weighted
Autoencoders", ICLR 2016; as Choi, Jang & Alemi 2018 use it, in `bench/oodbench/networks/vae.py`.

    loss = (-log P(x|z) + KL(q(z|x) || N(0, I))) / (D log 2),   z ~ q(z|x), one draw

Choi's decoder is Bernoulli with grey levels for probabilities. That is no density of images: no integral over them is
1, and it has no bits per dimension. Here it is a mixture of two discretised logistics, whose mass P over grey levels
counts as the density 256^D P. Their prior is six autoregressive flows; here it is N(0, I), so that the rate has a
closed form. Scale "paper" keeps their latent, batch, rate and 16 draws, the 5,001 steps as 3 epochs, and their widths
in half as many convolutions. The smaller scales have half the width and 5 draws of the bound.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from oodbench.contract import LOG_DENSITY, POSTERIOR, PRIOR, Output
from oodbench.formulas import gaussian_kl
from oodbench.networks.vae import ConvolutionalVae
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class Vae(Defaults):
    """A variational auto-encoder trained on its evidence lower bound.

    Attributes:
        training: How the one loop drives it.
        latent: Components of the code.
        width: Channels of the larger map.
        mixtures: Logistics a pixel.
        samples: K of the bound that counts as the density.
    """

    training: Training = Training(network="vae", epochs=8)
    latent: int = 16
    width: int = 16
    mixtures: int = 2
    samples: int = 5

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOG_DENSITY, POSTERIOR, PRIOR})

    def sized(self, scale: Scale, training: Training) -> "Vae":
        """Return the recipe at a scale."""
        adam = replace(
            training,
            network="vae",
            optimiser="adam",
            schedule="cosine",
            weight_decay=0.0,
            augment=(),
            precision="float32",
        )
        if scale == "paper":
            return replace(self, training=replace(adam, epochs=3, batch=32, lr=1e-3), width=32, samples=16)
        if scale == "cpu":
            epochs = 2 * max(1, training.epochs // 6)
            return replace(self, training=replace(adam, epochs=epochs, batch=128, lr=2e-3))
        return replace(self, training=replace(adam, batch=32, lr=2e-3))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh auto-encoder of pixels as they are, not standardised, and its training."""
        net = ConvolutionalVae(
            in_set.images.shape, latent=self.latent, width=self.width, mixtures=self.mixtures, samples=self.samples
        )
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of the bound's negative, in bits per dimension."""
        assert isinstance(net, ConvolutionalVae)
        q = net.posterior(batch.inputs)
        z = q.mean + q.std * torch.randn_like(q.std)
        kl = gaussian_kl(*q, *net.prior)[:, 0]
        return (kl - net.log_mass(batch.inputs, z)).mean() / (prod(net.shape) * log(2))
