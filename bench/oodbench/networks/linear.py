"""Linear layers that begin from a generator of their own: a detector that trains draws nothing from the global one."""

import math

import torch
from torch import nn


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer whose weights and biases are uniform within 1 / sqrt(inputs), as PyTorch's own begin."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    for weights in layer.parameters():
        nn.init.uniform_(weights, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
    return layer
