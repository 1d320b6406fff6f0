"""Class means of the IB-INN: as they begin, the distances of codes to them, and means of low rank."""

import math

import torch
from torch import Tensor, nn


def squared_distances(z: Tensor, mu: Tensor) -> Tensor:
    """Return ||z_i - mu_k||^2 [n C] in float64: the differences squared and summed, as the expanded square cancels."""
    z, mu = z.double(), mu.double()
    # a class at a time: the array [n C D] of a hundred classes would not fit
    return torch.stack([(z - mean).square().sum(dim=1) for mean in mu], dim=1)


def first_means(classes: int, dims: int, m: float) -> Tensor:
    """Return C means [C D] about m apart: entry j of mean k is m / sqrt(2 floor(D / C)) where j = k mod C, else 0."""
    own = torch.arange(dims) % classes == torch.arange(classes)[:, None]
    return own * (m / math.sqrt(2 * (dims // classes)))


class LowRankMeans(nn.Module):
    """Means T M of C classes: 1,000 free ones of 150,528 dimensions would be 600 MB.

    Args:
        classes: C.
        dims: Of the means.
        rank: Of T [C rank] and M [rank dims].
        spread: Standard deviation of their entries before training.
    """

    def __init__(self, classes: int, dims: int, rank: int, spread: float) -> None:
        super().__init__()
        self.dims = dims
        self.t = nn.Parameter(spread * torch.randn(classes, rank))
        self.m = nn.Parameter(spread * torch.randn(rank, dims))

    @property
    def mu(self) -> Tensor:
        """The means [C dims]."""
        return self.t @ self.m

    def squared_distances(self, z: Tensor) -> Tensor:
        """Return ||z_i - t_k M||^2 = ||z_i||^2 - 2 t_k M z_i + t_k M M' t_k' [n C], in float64.

        The expanded square, of which float64 keeps ten digits where z has 150,000 dimensions: a difference for each
        class would fill the memory of a training step with C arrays of the size of the batch.
        """
        z, t, m = z.double(), self.t.double(), self.m.double()
        own = (t @ (m @ m.T) * t).sum(dim=1)
        return z.square().sum(dim=1, keepdim=True) - 2 * (z @ m.T) @ t.T + own
