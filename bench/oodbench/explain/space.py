"""The latent space: how far the classes lie apart, and a plane of it in which two of them are told apart."""

from typing import NamedTuple

import torch
from torch import Tensor

from oodbench.networks.inn import GenerativeClassifier
from oodbench.networks.inn_means import squared_distances


class Plane(NamedTuple):
    """Codes and class means on the plane in which two classes differ.

    The first axis runs from mean a to mean b: between these two the posterior depends on it alone, and is even at
    `boundary`. The second is the direction at right angles to it in which the codes vary most.

    Attributes:
        a: One class.
        b: The other.
        codes: [n 2].
        means: [C 2]; mean a is (0, 0), mean b is (||mu_b - mu_a||, 0).
        boundary: Where on the first axis p(a|y) = p(b|y).
    """

    a: int
    b: int
    codes: Tensor
    means: Tensor
    boundary: float


@torch.no_grad()
def mean_distances(net: GenerativeClassifier) -> Tensor:
    """Return ||mu_i - mu_k|| [C C], in float64: the classes that the network holds for alike are near."""
    return squared_distances(net.mu, net.mu).sqrt()


@torch.no_grad()
def codes(net: GenerativeClassifier, x: Tensor) -> Tensor:
    """Return z [n D] of pixels [n c h w], in float64."""
    return net.code(x).z.double()


@torch.no_grad()
def decision_plane(net: GenerativeClassifier, z: Tensor) -> Plane:
    """Return the plane of the two classes whose means are nearest, with codes [n D] on it."""
    mu = net.mu.double()
    apart = mean_distances(net).fill_diagonal_(torch.inf)
    a, b = divmod(int(apart.argmin()), len(mu))
    gap = mu[b] - mu[a]
    length = gap.norm()
    first = gap / length
    rest = z - z.mean(dim=0)
    rest = rest - (rest @ first)[:, None] * first
    second = torch.linalg.svd(rest, full_matrices=False).Vh[0]
    axes = torch.stack([first, second], dim=1)
    # w_a - |z - mu_a|^2 / 2 = w_b - |z - mu_b|^2 / 2 where first . (z - mu_a) = |gap| / 2 + (w_a - w_b) / |gap|
    boundary = float(length / 2 + (net.w[a] - net.w[b]) / length)
    return Plane(a, b, (z - mu[a]) @ axes, (mu - mu[a]) @ axes, boundary)
