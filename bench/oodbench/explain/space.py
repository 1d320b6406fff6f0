"""The latent space: how far the classes lie apart, how often they are taken for another, and where an image lies.

Mackowiak 2021, sections on the decision space and on class similarity.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from oodbench.networks.inn import GenerativeClassifier
from oodbench.networks.inn_means import squared_distances

NEAREST = 5
"""Most probable classes whose means span the space of an image's picture."""

NODES = 100
"""Of Gauss-Hermite quadrature."""


class Decision(NamedTuple):
    """The decision space of one image: by place along an axis, and distance from it.

    The axis runs through the means of its two most probable classes: between these two the posterior depends on the
    place along it alone, and is even at `boundary`. The distance is that from the axis in the span of the most
    probable means.

    Attributes:
        classes: The most probable, first to last [m].
        means: Theirs [m 2]; the first is (0, 0), the second (||mu_b - mu_a||, 0).
        code: The image's [2].
        others: Other codes on the same axes [n 2].
        boundary: Where on the axis p(a|y) = p(b|y).
        rank: Dimensions of the span.
    """

    classes: Tensor
    means: Tensor
    code: Tensor
    others: Tensor
    boundary: float
    rank: int


@torch.no_grad()
def mean_distances(net: GenerativeClassifier) -> Tensor:
    """Return ||mu_i - mu_k|| [C C], in float64: the classes that the network holds for alike are near."""
    return squared_distances(net.mu, net.mu).sqrt()


@torch.no_grad()
def pairwise_posteriors(net: GenerativeClassifier) -> Tensor:
    """Return the expected p(b|y) between a and b alone for codes of class a [C C], in float64; row a, column b.

        E sigmoid(L),  L = w_b - w_a - d^2/2 + d e,  e ~ N(0, 1),  d = ||mu_a - mu_b||

    Of e = t + d/2 it is exp(v/2 - d^2/8) E 1 / (2 cosh((v + d t) / 2)) with v = w_b - w_a and t ~ N(0, 1): the small
    factor stands before a quadrature of a smooth hump, where sigmoid(L) is a step far out in the tail of e.
    """
    d = mean_distances(net)
    v = net.w[None, :] - net.w[:, None]
    t, weights = (torch.from_numpy(found).to(d) for found in np.polynomial.hermite_e.hermegauss(NODES))
    half = (v[..., None] + d[..., None] * t) / 2
    hump = (weights / (2 * half.cosh())).sum(dim=2) / math.sqrt(2 * math.pi)
    return (v / 2 - d.square() / 8).exp() * hump


@torch.no_grad()
def codes(net: GenerativeClassifier, x: Tensor) -> Tensor:
    """Return z [n D] of pixels [n c h w], in float64."""
    return net.code(x).z.double()


@torch.no_grad()
def decision_space(net: GenerativeClassifier, z: Tensor, log_p: Tensor, others: Tensor) -> Decision:
    """Return the decision space of the image with code z [D] and log posterior [C], with other codes [n D] in it."""
    classes = log_p.topk(min(NEAREST, len(log_p))).indices
    a, b = int(classes[0]), int(classes[1])
    mu = net.mu[classes].double()
    axis = (mu[1] - mu[0]) / (mu[1] - mu[0]).norm()
    off = mu[2:] - mu[0]
    off = off - (off @ axis)[:, None] * axis
    _, sizes, directions = torch.linalg.svd(off, full_matrices=False)
    across = directions[sizes > 1e-6 * (mu[1] - mu[0]).norm()]

    def placed(points: Tensor) -> Tensor:
        gaps = points - mu[0]
        return torch.stack([gaps @ axis, (gaps @ across.T).norm(dim=1)], dim=1)

    # w_a - |z - mu_a|^2 / 2 = w_b - |z - mu_b|^2 / 2 where axis . (z - mu_a) = |gap| / 2 + (w_a - w_b) / |gap|
    length = (mu[1] - mu[0]).norm()
    boundary = float(length / 2 + (net.w[a] - net.w[b]) / length)
    return Decision(classes, placed(mu), placed(z[None])[0], placed(others), boundary, 1 + len(across))
