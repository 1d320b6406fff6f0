"""The classifier of MNIST in Outlier Exposure: two convolutions and a hidden layer.

Hendrycks, Mazeika, Dietterich, "Deep anomaly detection with outlier exposure", ICLR 2019, as their code has it:

    conv 5x5 to 10, max-pool 2, g; conv 5x5 to 20, max-pool 2, g; 320 to 50, g;  g(z) = z sigmoid(1.702 z)

g is the GELU of Hendrycks & Gimpel 2016 in its cheap form. The weights have the names of the authors' snapshots.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d


class OeConvNet(nn.Module):
    """Three feature maps; on 28x28, its size, the last is a single point: the hidden layer."""

    def __init__(self, *, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = 50
        self.conv1 = nn.Conv2d(channels, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(20 * 4 * 4, self.width)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps after each activation."""
        first = gelu(max_pool2d(self.conv1(x), 2))
        second = gelu(max_pool2d(self.dropout(self.conv2(first)), 2))
        kernel = self.fc1.weight.view(self.width, 20, 4, 4)  # the layer as a convolution: larger images may be read
        return first, second, gelu(conv2d(second, kernel, self.fc1.bias))


def gelu(z: Tensor) -> Tensor:
    """Return z sigmoid(1.702 z)."""
    return z * torch.sigmoid(1.702 * z)
