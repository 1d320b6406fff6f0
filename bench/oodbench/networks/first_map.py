"""What the first convolution of a network gives, read as it runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from oodbench.errors import BadMethod


def first_convolution(net: nn.Module) -> nn.Module:
    """Return the first two-dimensional convolution in the order in which a network holds its modules.

    Raises:
        BadMethod: It has none.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            return module
    raise BadMethod(no_convolution(net))


def no_convolution(net: nn.Module) -> str:
    """Say that a network has no first map."""
    return f"no nn.Conv2d takes part in the forward pass of {type(net).__name__}, once and first: there is no first_map"


@contextmanager
def recorded(module: nn.Module) -> Iterator[list[Tensor]]:
    """Give a list that takes a copy of what a module gives, once it has run."""
    given: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, out: given.append(out.clone()))  # an activation may be in place
    try:
        yield given
    finally:
        handle.remove()
