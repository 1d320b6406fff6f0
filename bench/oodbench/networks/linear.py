"""Layers that begin from a generator of their own: a detector that trains draws nothing from the global one."""

import math

import torch
from torch import nn


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer whose weights and biases are uniform within 1 / sqrt(inputs), as PyTorch's own begin."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    for weights in layer.parameters():
        nn.init.uniform_(weights, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
    return layer


def sigmoid_convolution(inputs: int, outputs: int, side: int, generator: torch.Generator) -> nn.Sequential:
    """Return a convolution of an odd side that keeps the size, and a sigmoid, for inputs in [0, 1].

    It begins where sigmoids are steep: weights uniform as Glorot's for them (2010, four times those of a linear layer),
    biases such that inputs of 1/2 give 1/2.
    """
    made: nn.Conv2d = nn.utils.skip_init(nn.Conv2d, inputs, outputs, side, padding=side // 2)  # type: ignore[no-untyped-call]
    nn.init.xavier_uniform_(made.weight, gain=4, generator=generator)
    with torch.no_grad():
        made.bias.copy_(-made.weight.sum(dim=(1, 2, 3)) / 2)  # type: ignore[union-attr]
    return nn.Sequential(made, nn.Sigmoid())
