"""Every random stream has a name: the same (seed, names) always gives the same numbers, whatever ran before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from oodbench.store import digest


def stream(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one named stream."""
    return int(digest(seed, *names)[:15], 16)


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for one named stream."""
    return torch.Generator().manual_seed(stream(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Run a block whose layers draw from torch's global generator (initialisation, dropout), and restore it after."""
    with torch.random.fork_rng():
        # For devices that are not there, torch.manual_seed writes the whole stack down, each time.
        seeds = torch.manual_seed if torch.accelerator.is_available() else torch.default_generator.manual_seed
        seeds(stream(seed, *names))
        yield
