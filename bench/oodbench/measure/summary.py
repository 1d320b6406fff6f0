"""Many cells as one number: mean and spread over seeds, averages over sets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """The mean of n numbers and their standard deviation (ddof = 1), which a single number does not have."""

    mean: float
    std: float | None
    n: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and standard deviation over seeds; None if there is no number."""
    if not len(values):
        return None
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def average(values: Mapping[str, float | None], sets: Sequence[str]) -> float | None:
    """Return the mean over `sets`, each weighing the same; None unless every one of them is present."""
    present = [value for name in sets if (value := values.get(name)) is not None]
    return float(np.mean(present)) if sets and len(present) == len(sets) else None
