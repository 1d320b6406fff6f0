"""Salience maps: how an image's pixels move its density, and the probability of its likeliest class."""

from typing import NamedTuple

import torch
from torch import Tensor

from oodbench.networks.inn import GenerativeClassifier


class Salience(NamedTuple):
    """Derivatives by the pixels, each [n c h w].

    Attributes:
        density: Of log q(y).
        posterior: Of log p(k|y), k the likeliest class.
    """

    density: Tensor
    posterior: Tensor


def salience_maps(net: GenerativeClassifier, x: Tensor) -> Salience:
    """Return the salience maps of pixels [n c h w]."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        code = net.code(x)
        density = (code.log_joint.logsumexp(dim=1) + code.log_det).sum()
        posterior = code.log_joint.log_softmax(dim=1).amax(dim=1).sum()
        (by_density,) = torch.autograd.grad(density, x, retain_graph=True)
        (by_posterior,) = torch.autograd.grad(posterior, x)
    return Salience(by_density, by_posterior)
