"""Which models an ensemble is made of."""

import numpy as np


def bootstrap(M: int, seed: int, seeds: tuple[int, ...]) -> list[int]:
    """Return the seeds of an ensemble's M members, in a matrix of `seeds`.

    A matrix with one seed has the members 0 to M - 1; with several, each draws M of these, with replacement.
    """
    if len(seeds) == 1:
        return list(range(M))
    return sorted(np.random.default_rng(seed).integers(M, size=M).tolist())
