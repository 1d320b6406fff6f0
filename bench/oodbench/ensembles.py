"""Which models an ensemble is made of, and how others begin from trained ones."""

from collections.abc import Sequence

import numpy as np
from torch import nn


def bootstrap(M: int, seed: int, seeds: tuple[int, ...]) -> list[int]:
    """Return the seeds of an ensemble's M members, in a matrix of `seeds`.

    A matrix with one seed has the members 0 to M - 1; with several, each draws M of these, with replacement.
    """
    if len(seeds) == 1:
        return list(range(M))
    return sorted(np.random.default_rng(seed).integers(M, size=M).tolist())


def take_weights(nets: Sequence[nn.Module], parts: Sequence[nn.Module]) -> None:
    """Give each fresh network the weights of its trained part, where there are parts.

        take_weights([net], parts)

    Without parts the networks stay as they are: stored weights are to take the place of all that training would do.
    """
    if parts:
        for net, part in zip(nets, parts, strict=True):
            net.load_state_dict(part.state_dict())
