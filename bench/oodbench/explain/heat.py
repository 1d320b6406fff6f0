"""Posterior heat maps: which places of an image speak for which class (Mackowiak 2021, section on explainability).

    w^(k) = DCT^-1(z - mu_k),   E_ij^(k) = 1/2 sum over channels of (w_ij^(k))^2
    sum_ij E_ij^(k) = ||z - mu_k||^2 / 2
    Q_ij^(k) = -E_ij^(k) + a_ij (log p(k) - log Z),   Z = sum_k p(k) exp(-||z - mu_k||^2 / 2)
    sum_ij Q_ij^(k) = log p(k|y)   for any weights a that sum to 1: here they are uniform

The identity needs an orthonormal transform. What DCT^-1 returns are the last convolutional maps as far as the connected
couplings leave them: these move the frequencies but do not mix their places. At sides of 7 a place is 4 x 4 pixels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from oodbench.networks.inn import GenerativeClassifier
from oodbench.networks.inn_layers import cosines


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
    joint = code.log_joint
    log_p = joint.log_softmax(dim=1)
    c, h, w = net.pooled
    rows, columns = cosines(h).to(x.device), cosines(w).to(x.device)
    gaps = (code.z.double()[:, None] - net.mu.double()).view(*joint.shape, c, h, w)
    energy = (rows.T @ gaps @ columns).square().sum(dim=2) / 2
    share = (net.w - joint.logsumexp(dim=1, keepdim=True)) / (h * w)
    return Heat(log_p, energy, share[:, :, None, None] - energy)
