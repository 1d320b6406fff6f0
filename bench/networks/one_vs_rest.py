"""C yes-or-no classifiers in one linear head: where it starts, and the loss that trains it."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus


def start_at_prior_odds(head: nn.Linear) -> None:
    """Set the biases to the log-odds of one class among C equally frequent ones, log 1 / (C - 1)."""
    nn.init.constant_(head.bias, -math.log(head.out_features - 1))


def one_vs_rest_loss(z: Float[Tensor, "n C"], labels: Int[Tensor, "n"], zeta: float) -> Float[Tensor, ""]:
    """Return sum_k [y_k softplus(-z_k) + zeta (1 - y_k) softplus(z_k)], y one-hot, averaged over the batch; in float32.

    Each negative weighs zeta, so that the C - 1 of them do not drown the one positive. Where a share p of the inputs
    at hand is of class k, the minimum is at sigmoid(z_k) = p / (p + zeta (1 - p)).
    """
    z = z.float()
    own = one_hot(labels, z.shape[1]).bool()
    return torch.where(own, softplus(-z), zeta * softplus(z)).sum(dim=1).mean()
