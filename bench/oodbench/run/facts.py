"""What a fit says of itself: the numbers in a fitted state, by name.

A state's tensors are what scores; its numbers tell people how the fit went, as the steps that EM took or a temperature.
"""

import math
from collections.abc import Iterator
from statistics import fmean
from typing import Any


def facts_of(state: Any) -> dict[str, float | None]:
    """Return the numbers among the fields of a state's NamedTuples, by the fields' names; None for one not finite.

    Of states in a plain tuple, as one for each class, the mean over them stands.

    Example:
        >>> from collections import namedtuple
        >>> Fitted = namedtuple("Fitted", ["mu", "iterations", "gain", "floored"])
        >>> facts_of(Fitted(torch.zeros(3), iterations=30, gain=0.004, floored=0.12))
        {'iterations': 30.0, 'gain': 0.004, 'floored': 0.12}
    """
    found: dict[str, list[float]] = {}
    for name, number in _numbers(state, ()):
        found.setdefault(name, []).append(number)
    means = {name: fmean(numbers) for name, numbers in found.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}


def _numbers(state: Any, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if not isinstance(state, tuple):
        return
    names: tuple[str, ...] | None = getattr(state, "_fields", None)
    for place, part in enumerate(state):
        here = (*path, names[place]) if names else path
        if isinstance(part, tuple):
            yield from _numbers(part, here)
        elif names and type(part) in (int, float):
            yield ".".join(here), float(part)
