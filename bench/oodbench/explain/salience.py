"""Salience maps: what each place of an image adds to its log density (Mackowiak 2021), and gradients by its pixels.

    log q(y) = log sum_k p(k) exp(-d_k^2 / 2) - D/2 log 2 pi + log|det J|

The first term is, for p = p(k|y) and the energies E of the heat maps, d_k^2 / 2 = sum_ij E_ij^(k),

    sum_k p(k|y) (log p(k) - log p(k|y)) - sum_ij sum_k p(k|y) E_ij^(k)

and the log-determinant is the sum of the couplings' log-scales, each at its place. What has no place, the first half of
that line, the constant, the scales of whole channels and the log-scales behind the DCT, is shared evenly: the map sums
to log q(y).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from oodbench.explain.heat import Heat
from oodbench.networks.inn import GenerativeClassifier


@torch.no_grad()
def salience_maps(net: GenerativeClassifier, x: Tensor, heat: Heat) -> Tensor:
    """Return what each place adds to log q(y) [n h w], in nats, float64.

    Args:
        net: The model.
        x: Pixels [n c h w].
        heat: Their heat maps.
    """
    p = heat.log_p.exp()
    h, w = heat.energy.shape[2:]
    by_place = -torch.einsum("nk,nkhw->nhw", p, heat.energy)
    everywhere = (p * (net.w - heat.log_p)).sum(dim=1) - net.dims / 2 * math.log(2 * math.pi) - net.log_std
    y = net.standardise(net.dequantise(x))
    for layer in net.flow.layers:
        found = layer.log_det_by_place(y)  # type: ignore[operator]
        y, log_det = layer(y)
        if found is None:
            everywhere = everywhere + log_det
        else:
            by_place = by_place + _pooled(found, h, w)
    return by_place + (everywhere / (h * w))[:, None, None]


def _pooled(values: Tensor, h: int, w: int) -> Tensor:
    """Return sums over the pixels [n H W] of each place [n h w]."""
    size = values.shape[1] // h, values.shape[2] // w
    return avg_pool2d(values[:, None], size)[:, 0] * (size[0] * size[1])


class Gradients(NamedTuple):
    """Derivatives by the pixels, each [n c h w].

    Attributes:
        density: Of log q(y).
        posterior: Of log p(k|y), k the likeliest class.
    """

    density: Tensor
    posterior: Tensor


def gradient_maps(net: GenerativeClassifier, x: Tensor) -> Gradients:
    """Return how pixels [n c h w] move the density, and the probability of the likeliest class."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        code = net.code(x)
        density = (code.log_joint.logsumexp(dim=1) + code.log_det).sum()
        posterior = code.log_joint.log_softmax(dim=1).amax(dim=1).sum()
        (by_density,) = torch.autograd.grad(density, x, retain_graph=True)
        (by_posterior,) = torch.autograd.grad(posterior, x)
    return Gradients(by_density, by_posterior)
