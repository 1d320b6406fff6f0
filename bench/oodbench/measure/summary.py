"""Many cells as one number: mean and spread over seeds, averages over sets."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """The mean of n numbers and their standard deviation (ddof = 1), which a single number does not have."""

    mean: float
    std: float | None
    n: int


FEW = 8
"""Fewer numbers than this NumPy adds one after the other; so does `_sum`, without the cost of an array."""


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and standard deviation over seeds; None if there is no number."""
    if not len(values):
        return None
    n, mean = len(values), _mean(values)
    if n == 1:
        return Spread(mean, None, n)
    if n >= FEW:
        return Spread(mean, float(np.std(values, ddof=1)), n)
    return Spread(mean, sqrt(_sum([(value - mean) * (value - mean) for value in values]) / (n - 1)), n)


def average(values: Mapping[str, float | None], sets: Sequence[str]) -> float | None:
    """Return the mean over `sets`, each weighing the same; None unless every one of them is present."""
    present = [value for name in sets if (value := values.get(name)) is not None]
    return _mean(present) if sets and len(present) == len(sets) else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) >= FEW else _sum(values) / len(values)


def _sum(values: Sequence[float]) -> float:
    """Return the plain sum; the built-in one is compensated since Python 3.12, and would round otherwise."""
    total = 0.0
    for value in values:
        total += value
    return total
