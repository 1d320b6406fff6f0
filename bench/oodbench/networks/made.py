"""Masked autoencoders for densities, and the flow of several.

Germain, Gregor, Murray & Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", ICML 2015; Papamakarios,
Pavlakou & Murray, "Masked Autoregressive Flow for Density Estimation", NeurIPS 2017.

    MADE: each unit has a degree: input and output i have i = 1..F, hidden unit k has m_k in 1..F-1
          a hidden unit sees inputs of degree <= m_k, an output sees hidden units of degree < i
    MAF:  u_i = (x_i - mu_i(x_<i)) exp(-alpha_i(x_<i)),   log p(x) = log N(u; 0, I) - sum over MADEs and i of alpha_i
"""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear as affine
from torch.nn.functional import relu

from oodbench.networks.flow import bounded, summed
from oodbench.networks.linear import linear

Degrees = Literal["sequential", "spread"]
"""How degrees are dealt to hidden units: 1, 2, 3, ... and again from 1 after F-1, or evenly over 1..F-1."""


def hidden_degrees(features: int, hidden: int, degrees: Degrees) -> Int[Tensor, "H"]:
    """Return m_k; 0, so that the unit sees nothing, where there is but one feature.

    "sequential" is what the authors' code does. With fewer hidden units than F - 1 it leaves out the highest degrees:
    every output from `hidden` + 1 on sees the first `hidden` inputs and no other.
    """
    lowest, highest = min(1, features - 1), features - 1
    if degrees == "sequential":
        return torch.arange(hidden) % max(1, highest) + lowest
    return torch.linspace(lowest, highest, hidden, dtype=torch.float64).round().long()


class Made(nn.Module):
    """One hidden layer; the last layer begins as 0, so that mu = alpha = 0 and u = x.

    Args:
        features: F.
        hidden: H.
        degrees: Of the hidden units.
        generator: Of the first weights.
    """

    sees: Bool[Tensor, "H F"]
    seen: Bool[Tensor, "F H"]

    def __init__(self, features: int, hidden: int, degrees: Degrees, generator: torch.Generator) -> None:
        super().__init__()
        self.first, self.last = linear(features, hidden, generator), linear(hidden, 2 * features, generator)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        i, m = torch.arange(1, features + 1), hidden_degrees(features, hidden, degrees)
        self.register_buffer("sees", m[:, None] >= i)
        self.register_buffer("seen", i[:, None] > m)

    def forward(self, x: Float[Tensor, "n F"]) -> tuple[Float[Tensor, "n F"], Float[Tensor, "n F"]]:
        """Return mu and alpha. |alpha| < 3 (`flow.bounded`): scores stay finite however far an input lies."""
        h = relu(affine(x, self.first.weight * self.sees, self.first.bias))
        mu, log_scale = affine(h, self.last.weight * self.seen.repeat(2, 1), self.last.bias).chunk(2, dim=1)
        return mu, bounded(log_scale)


class Maf(nn.Module):
    """A masked autoregressive flow: MADEs in a row, each in the reverse order of the one before.

    Args:
        features: F.
        layers: MADEs.
        hidden: Hidden units of each.
        degrees: Of the hidden units.
        generator: Of the first weights.
    """

    def __init__(self, features: int, layers: int, hidden: int, degrees: Degrees, generator: torch.Generator) -> None:
        super().__init__()
        self.mades = nn.ModuleList(Made(features, hidden, degrees, generator) for _ in range(layers))

    def noise(self, x: Float[Tensor, "n F"]) -> tuple[Float[Tensor, "n F"], Float[Tensor, "n"]]:
        """Return u and log|det du/dx|, the latter in float64."""
        log_det = x.new_zeros(len(x), dtype=torch.float64)
        for made in self.mades:
            mu, alpha = made(x)
            x = ((x - mu) * (-alpha).exp()).flip(1)
            log_det = log_det - summed(alpha)
        return x, log_det

    def log_density(self, x: Float[Tensor, "n F"]) -> Float[Tensor, "n"]:
        """Return log p(x) in nats, in float64."""
        u, log_det = self.noise(x)
        return log_det - summed(u.double().square() + math.log(2 * math.pi)) / 2
