"""Networks in another mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Run a block with a network in evaluation mode: no statistics of its batch norms move, and it drops nothing."""
    before = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(before)
