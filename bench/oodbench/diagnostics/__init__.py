"""Studies of what a trained model does, beyond its row of the leaderboard."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Study(NamedTuple):
    """What a study leaves: the files written, and its numbers as a table for people."""

    files: list[Path]
    table: str


def evenly(length: int, n: int) -> npt.NDArray[np.int64]:
    """Return the places of at most n of `length` images, evenly spaced: a data set may come a class at a time."""
    return np.linspace(0, length - 1, min(n, length)).round().astype(np.int64)
