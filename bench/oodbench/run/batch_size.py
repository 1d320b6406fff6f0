"""How many inputs suit a pass of a given model: a rule of its largest activation and the class of machine.

On a CPU a pass is quickest where the activations of a batch stay in the caches, on a GPU where the batch fills it.
`benchmarks/` holds the rule against the best of all sizes, for several networks.
"""

from typing import Any

import torch
from torch import Tensor, nn

from oodbench.errors import BadSetting
from oodbench.models.outputs import BATCH

CPU_BYTES = 8 << 20
"""Of the largest activation of a batch, on a CPU."""

GPU_BYTES = 1 << 30
"""On a GPU, likewise."""

LEAST = 16


def suited(net: nn.Module, x: Tensor) -> int:
    """Return a batch size, a power of two, for passes of a network.

    Args:
        net: On its device; its forward pass is run once.
        x: A few inputs.
    """
    room = CPU_BYTES if x.device.type == "cpu" else GPU_BYTES
    size, each = BATCH, _largest(net, x)
    while size > LEAST and size * each > room:
        size //= 2
    return size


def checked(given: int, name: str) -> int:
    """Return a batch size that a user gave.

    Raises:
        BadSetting: It is not above zero.
    """
    if given < 1:
        raise BadSetting(f"{name}: got {given}; expected a whole number from 1")
    return given


def _largest(net: nn.Module, x: Tensor) -> float:
    """Return the bytes of the largest activation, an input."""
    sizes = [x[0].nbytes]

    def note(_: nn.Module, __: Any, out: Any) -> None:
        if isinstance(out, Tensor) and len(out) == len(x):
            sizes.append(out.nbytes // len(x))

    hooks = [one.register_forward_hook(note) for one in net.modules() if not list(one.children())]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)
