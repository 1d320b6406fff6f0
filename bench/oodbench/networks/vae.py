"""A convolutional variational auto-encoder (Kingma & Welling 2014), and its importance-weighted bound (Burda 2016).

    q(z|x) = N(mu, diag sigma^2),   p(z) = N(0, I),   P(x|z) = a discretised mixture of logistics at each pixel
    log P(x) >= log 1/K sum_k P(x|z_k) p(z_k) / q(z_k|x),   z_k = mu + sigma eps_k

The K noise vectors eps_k are the same for all inputs: the bound is a plain function of the pixels.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from oodbench.contract import LOG_DENSITY, POSTERIOR, PRIOR, Output
from oodbench.errors import BadSetting
from oodbench.networks import logistic_mixture
from oodbench.networks.gaussian import Gaussian
from oodbench.spaces import Shape

UNIT = math.log(math.e - 1)
"""softplus(UNIT) = 1: posteriors begin as wide as the prior."""

LOWEST = -15.0
"""Least rho: sigma is then 5e-7, and log sigma finite wherever the encoder ends up."""


class ConvolutionalVae(nn.Module):
    """Two convolutions that halve the map and two layers on either side of the code.

    Args:
        shape: Of the inputs; sides are divisible by 4.
        latent: Components of the code.
        width: Channels of the larger map; the smaller has twice as many.
        mixtures: Logistics a pixel.
        samples: K, over which the bound is taken.

    Raises:
        BadSetting: the inputs cannot be halved twice.
    """

    passes = 1
    entries: frozenset[Output] = frozenset()
    noise: Tensor

    def __init__(self, shape: Shape, *, latent: int, width: int, mixtures: int, samples: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        if height % 4 or breadth % 4:
            raise BadSetting(f"the VAE got inputs of {height}x{breadth}; both must be divisible by 4")
        self.shape, self.mixtures = shape, mixtures
        small, flat, between = (2 * width, height // 4, breadth // 4), width * height * breadth // 8, 8 * width
        self.encoder = nn.Sequential(
            *(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU()),
            *(nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(), nn.Flatten()),
            *(nn.Linear(flat, between), nn.LeakyReLU(), nn.Linear(between, 2 * latent)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(latent, between), nn.LeakyReLU(), nn.Linear(between, flat), nn.LeakyReLU()),
            *(nn.Unflatten(1, small), nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.LeakyReLU()),
            nn.ConvTranspose2d(width, logistic_mixture.width(channels, mixtures), 4, 2, 1),
        )
        self.register_buffer("noise", torch.randn(samples, latent, generator=torch.Generator().manual_seed(0)))

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The prior."""
        return {PRIOR: self.prior}

    @property
    def prior(self) -> Gaussian:
        """The one prior, N(0, I)."""
        zeros = torch.zeros_like(self.noise[:1])
        return Gaussian(zeros, zeros + 1)

    def posterior(self, x: Tensor) -> Gaussian:
        """Return q(z|x) of pixels [n c h w]; black is 0 to the encoder, so that it is what sends no signal."""
        mean, rho = self.encoder(x).chunk(2, dim=1)
        return Gaussian(mean, softplus((rho + UNIT).clamp(min=LOWEST)))

    def log_mass(self, x: Tensor, z: Tensor) -> Float[Tensor, "n"]:
        """Return log P(x|z) in nats, in float64."""
        mixture = logistic_mixture.split(self.decoder(z), self.shape[0], self.mixtures)
        return logistic_mixture.log_mass(mixture, 2 * x - 1).double().sum(dim=(1, 2))

    def bound(self, x: Tensor, noise: Float[Tensor, "K L"]) -> Float[Tensor, "n"]:
        """Return the bound of log P(x) in nats, in float64, by K noise vectors that all inputs share."""
        return self._bound(x, self.posterior(x), noise)

    def _bound(self, x: Tensor, q: Gaussian, noise: Tensor) -> Tensor:
        # log p(z) - log q(z|x) = log sigma + eps^2 / 2 - z^2 / 2
        log_weights = []
        for eps in noise:
            z = q.mean + q.std * eps
            log_ratio = (q.std.double().log() + (eps.double() ** 2 - z.double() ** 2) / 2).sum(dim=1)
            log_weights.append(self.log_mass(x, z) + log_ratio)
        return torch.stack(log_weights).logsumexp(dim=0) - math.log(len(noise))

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return outputs for x; the decoder goes through its K passes only where the density is wanted."""
        q = self.posterior(x)
        given: dict[Output, Any] = {POSTERIOR: q}
        if LOG_DENSITY in wanted:
            given[LOG_DENSITY] = self._bound(x, q, self.noise) + math.prod(self.shape) * math.log(256)
        return given
