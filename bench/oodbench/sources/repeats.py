"""Whether one thing read again is another: what random transforms make has no score that can be made again."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

ALWAYS = 3
"""Times that anything is read."""

DRAWING = 64
"""Times that what draws random numbers is read: a step that changes one picture in ten shows in all but one of 800."""


def differs(read: Callable[[], npt.NDArray[Any]]) -> bool:
    """Return whether what is read differs from one time to the next.

    A flip by the toss of a coin leaves half of all pairs equal. So what draws from the generators of Python, NumPy or
    PyTorch meanwhile is read many times.
    """
    before = _states()
    first = read()
    times = ALWAYS if _states() == before else DRAWING
    return any(not np.array_equal(first, read()) for _ in range(times - 1))


def _states() -> tuple[Any, ...]:
    legacy: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002
    numpy = legacy["state"]["key"].tobytes(), legacy["state"]["pos"], legacy["gauss"]
    return random.getstate(), numpy, torch.get_rng_state().numpy().tobytes()
