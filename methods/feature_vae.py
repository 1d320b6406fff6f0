"""A variational auto-encoder of the features.

Shao, Song & Ermon, "Understanding Classifier Mistakes with Generative Models", 2020.

    z = (f - m) / s,   s(x) = log 1/K sum_k p(z|c_k) p(c_k) / q(c_k|z) - sum log s,   c_k = mu(z) + sigma(z) eps_k

a lower bound of log p(f(x)) in nats (Burda 2016; `oodbench.networks.feature_vae`). The K noise vectors are drawn once
and are the same for all inputs. The paper: encoder F -> 512 ReLU -> (mu, log sigma^2) in R^128, decoder 128 -> 512 ->
F, Adam at 0.001 with "decay 0.9995", 1000 epochs. Not said, and chosen here: batch 128, a Gaussian decoder with one
variance a feature, learned and of at least 1e-4 of the feature's own, and the bound of K = 16 rather than the evidence
lower bound, which training maximises. Gradients have at most norm 1 (in nats a feature), and the weights stay that were
best on a tenth of the training features set aside.

Scale "paper" takes the 1000 epochs; after each the rate is multiplied by 0.9995 (after each step it would come to a
halt within 100 epochs of 40,500 features) and the weights are judged. At the others a fit is kept to half a minute:
4000 batches or the 1000 epochs, the rate falls to 0 on a cosine, and the weights are judged 20 times.

The paper's features end in tanh, as those of `densenet-bc-100-12-tanh` do; those of the other networks end in a ReLU,
averaged over space, and have no upper limit that a Gaussian ignores.

Fails where the network has dropped what is strange about an input, as every density of features; its bound is also
loose where the encoder has seen nothing alike.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import FEATURES, Citation, FitData, Material, Method, Output, Outputs
from oodbench.detectors.trained import Schedule, Units, filled, flat, minimise, units
from oodbench.networks.feature_vae import FeatureVae
from oodbench.recipes import Plain


class Autoencoder(NamedTuple):
    """The fitted auto-encoder, and the noise of its score."""

    units: Units
    weights: Float[Tensor, "P"]
    noise: Float[Tensor, "K L"]


@final
@dataclass(frozen=True)
class FeatureAutoencoder:
    """The importance-weighted bound of the features' log density under a variational auto-encoder.

    Attributes:
        hidden: Hidden units of encoder and decoder.
        latent: Components of the code.
        samples: K, over which the score takes the bound; training takes one.
        rate: Adam's, at the start.
        batch: Features a step.
        steps: Most steps; None for no limit.
        epochs: Most passes over the training features.
        clip: Largest norm of a step's gradient.
        decay: Factor of the rate after each pass; None: the rate falls to 0 on a cosine.
        looks: How often the features set aside judge the weights.
        floor: Least variance of the decoder, in squared units of each feature.
    """

    hidden: int = 512
    latent: int = 128
    samples: int = 16
    rate: float = 1e-3
    batch: int = 128
    steps: int | None = 4000
    epochs: int = 1000
    clip: float = 1.0
    decay: float | None = None
    looks: int = 20
    floor: float = 1e-4

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Autoencoder:
        """Return the auto-encoder of the training features."""
        generator = torch.Generator().manual_seed(data.seed)
        f = data.train.features
        unit = units(f)
        net = self._net(f.shape[1], generator).to(f.device)

        def loss(z: Tensor) -> Tensor:
            noise = torch.randn(1, len(z), self.latent, generator=generator).to(z)
            return -net.bound(z, noise).mean() / z.shape[1]

        schedule = Schedule(self.rate, self.batch, self.steps, self.epochs, self.clip, self.decay, self.looks)
        minimise(net, loss, unit(f).float(), schedule, generator)
        return Autoencoder(unit, flat(net), torch.randn(self.samples, self.latent, generator=generator).to(f.device))

    def score(self, state: Autoencoder, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the bound of log p(f(x)), in nats."""
        net = filled(self._net(len(state.units.scale), torch.Generator()), state.weights)
        return (net.bound(state.units(batch.features).float(), state.noise) + state.units.log_det).float()

    def _net(self, features: int, generator: torch.Generator) -> FeatureVae:
        return FeatureVae(features, hidden=self.hidden, latent=self.latent, floor=self.floor, generator=generator)


METHODS = (
    Method(
        name="feature-vae",
        title="Feature auto-encoder (VAE)",
        family="features",
        paper=Citation(
            authors="Shao, Song, Ermon",
            title="Understanding Classifier Mistakes with Generative Models",
            year=2020,
            url="https://arxiv.org/abs/2010.02364",
        ),
        recipe=Plain(),
        detector=FeatureAutoencoder(),
        detector_at_paper_scale=FeatureAutoencoder(steps=None, decay=0.9995, looks=1000),
    ),
)
