"""The discretised mixture of logistics (Salimans, Karpathy, Chen & Kingma, "PixelCNN++", ICLR 2017).

    P(x) = sum_k pi_k prod_c [sigma((x_c + 1/255 - m_kc) / s_kc) - sigma((x_c - 1/255 - m_kc) / s_kc)]
    m_kc = mu_kc + sum_{b < c} tanh(r_kcb) x_b

x is a pixel, its channels c (red, green, blue) scaled to [-1, 1]: grey levels are 2/255 apart. The lowest level's bin
reaches down to -infinity and the highest level's up to infinity, so that the masses of the 256 levels sum to 1. Of
one channel no r is left.

With a > b the ends of a bin in units of s, sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)): the log of a mass
is a sum of three logs, none of which cancels. OpenAI's code takes the difference itself, and where it is below 1e-5 the
density times the width of the bin in its stead: up to 2.1 nats off for the narrowest scales.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

HALF = 1 / 255
"""Half the distance of two grey levels."""

EDGE = 0.999
"""Values beyond it, on either side, are in the lowest or the highest level's bin."""

LOG_SCALE = 7.0
"""Largest |log s|: the narrowest s is 0.12 of a bin, the widest has 99.95 % of its mass in the edge bins."""


class Mixture(NamedTuple):
    """K components for each pixel."""

    logits: Float[Tensor, "n K h w"]
    means: Float[Tensor, "n K c h w"]
    log_scales: Float[Tensor, "n K c h w"]
    coefficients: Float[Tensor, "n K r h w"]


def width(channels: int, mixtures: int) -> int:
    """Return how many numbers a pixel's mixture takes: per component 1, 2 a channel and 1 a pair of channels."""
    return mixtures * (1 + 2 * channels + channels * (channels - 1) // 2)


def split(outputs: Float[Tensor, "n P h w"], channels: int, mixtures: int) -> Mixture:
    """Return the mixture that a network's outputs describe; log-scales are clamped to [-7, 7]."""
    pairs = channels * (channels - 1) // 2
    each = (channels, channels, pairs)
    logits, *rest = torch.split(outputs, [mixtures, *(mixtures * size for size in each)], dim=1)
    means, log_scales, r = (torch.unflatten(part, 1, (mixtures, size)) for part, size in zip(rest, each, strict=True))
    return Mixture(logits, means, log_scales.clamp(-LOG_SCALE, LOG_SCALE), r.tanh())


def log_mass(mixture: Mixture, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Return log P of each pixel, x in [-1, 1]."""
    middle = x[:, None] - conditional_means(mixture, x)
    log_bins = log_bin(x[:, None], middle, mixture.log_scales).sum(dim=2)
    return (mixture.logits.log_softmax(dim=1) + log_bins).logsumexp(dim=1)


def conditional_means(mixture: Mixture, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "#n K c h w"]:
    """Return m_kc, given the channels before c."""
    means = list(mixture.means.unbind(dim=2))
    coefficients = iter(mixture.coefficients.unbind(dim=2))
    for c in range(len(means)):
        for b in range(c):
            means[c] = means[c] + next(coefficients) * x[:, None, b]
    return torch.stack(means, dim=2)


def log_bin(x: Tensor, middle: Tensor, log_scale: Tensor) -> Tensor:
    """Return the log of the mass of x's bin under one logistic, `middle` = x - m."""
    inverse = (-log_scale).exp()
    a, b = inverse * (middle + HALF), inverse * (middle - HALF)
    below_a, above_b = logsigmoid(a), logsigmoid(-b)
    inner = below_a + above_b + (-torch.expm1(-2 * HALF * inverse)).log()
    return torch.where(x < -EDGE, below_a, torch.where(x > EDGE, above_b, inner))
