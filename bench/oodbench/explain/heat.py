"""Posterior heat maps: which places of an image speak for which class (Mackowiak 2021, section on explainability).

    w^(k) = DCT^-1(z - mu_k),   E_ij^(k) = 1/2 sum over channels of (w_ij^(k))^2
    sum_ij E_ij^(k) = ||z - mu_k||^2 / 2
    Q_ij^(k) = -E_ij^(k) + a_ij (log p(k) - log Z),   Z = sum_k p(k) exp(-||z - mu_k||^2 / 2)
    sum_ij Q_ij^(k) = log p(k|y)   for any weights a that sum to 1: here they are uniform

The identity needs an orthonormal transform. What DCT^-1 returns are the last convolutional maps as far as the connected
couplings leave them. These multiply frequencies, which is a convolution over places: each spreads over the others a
little. At sides of 7 a place is 4 x 4 pixels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from oodbench.networks.inn import GenerativeClassifier


class Heat(NamedTuple):
    """Heat maps of n images.

    Attributes:
        log_p: log p(k|y) [n C].
        energy: E [n C h w].
        evidence: Q [n C h w].
    """

    log_p: Tensor
    energy: Tensor
    evidence: Tensor


@torch.no_grad()
def heat_maps(net: GenerativeClassifier, x: Tensor) -> Heat:
    """Return the heat maps of pixels [n c h w], in nats, in float64."""
    code = net.code(x)
    joint, mu = code.log_joint, net.mu.double()
    # a class at a time: the maps of a thousand classes would not fit
    energy = torch.stack([net.over_places(code.z.double() - mean).square().sum(dim=1) / 2 for mean in mu], dim=1)
    share = (net.w - joint.logsumexp(dim=1, keepdim=True)) / energy[0, 0].numel()
    return Heat(joint.log_softmax(dim=1), energy, share[:, :, None, None] - energy)
