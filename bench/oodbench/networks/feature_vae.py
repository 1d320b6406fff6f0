"""A variational auto-encoder of vectors (Kingma & Welling 2014), and its importance-weighted bound (Burda 2016).

q(z|x) = N(mu(x), diag exp(rho(x))),   p(z) = N(0, I),   p(x|z) = N(m(z), diag sigma2)
log p(x) >= log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),   z_k = mu + exp(rho / 2) eps_k
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from oodbench.networks.linear import linear

LIMIT = 12.0
"""Largest size of the encoder's log variances: standard deviations stay within 0.0025 and 403."""

PACE = 10.0
"""By how much faster the decoder's log variances move than other weights: in a short training they have far to go."""


class FeatureVae(nn.Module):
    """One hidden layer on either side of the code; one variance a feature, the same for all codes.

    Args:
        features: F.
        hidden: Of each side.
        latent: Components of the code.
        floor: Least variance of the decoder.
        generator: Of the first weights.
    """

    def __init__(self, features: int, *, hidden: int, latent: int, floor: float, generator: torch.Generator) -> None:
        super().__init__()
        self.floor = floor
        self.encoder = _perceptron(features, hidden, 2 * latent, generator)
        self.decoder = _perceptron(latent, hidden, features, generator)
        self.log_variance = nn.Parameter(torch.zeros(features))

    @property
    def sigma2(self) -> Float[Tensor, "F"]:
        """The decoder's variances."""
        return self.floor + (PACE * self.log_variance).exp()

    def bound(self, x: Float[Tensor, "n F"], noise: Float[Tensor, "K ... L"]) -> Float[Tensor, "n"]:
        """Return the bound of log p(x) in nats, in float64; with K = 1 it is the evidence lower bound.

        Noise vectors are those of all inputs, [K L], or of each, [K n L].
        """
        mu, rho = self.encoder(x).chunk(2, dim=1)
        rho = rho.clamp(-LIMIT, LIMIT)
        log_weights = []
        for eps in noise:
            z = mu + (rho / 2).exp() * eps
            # log p(z) - log q(z|x) = rho / 2 + eps^2 / 2 - z^2 / 2
            log_ratio = (rho + eps.square() - z.double().square()).sum(dim=1) / 2
            log_weights.append(_log_normal(x, self.decoder(z), self.sigma2) + log_ratio)
        return torch.stack(log_weights).logsumexp(dim=0) - math.log(len(noise))


def _perceptron(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    return nn.Sequential(linear(inputs, hidden, generator), nn.ReLU(), linear(hidden, outputs, generator))


def _log_normal(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    log_p = -(x - mean).double().square() / (2 * variance) - (2 * math.pi * variance).log() / 2
    return log_p.sum(dim=1)
