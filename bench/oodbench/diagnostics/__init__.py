"""Studies of what a trained model does, beyond its row of the leaderboard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oodbench.store import atomically


class Study(NamedTuple):
    """What a study leaves: the files written, and its numbers as a table for people."""

    files: list[Path]
    table: str


def evenly(length: int, n: int) -> npt.NDArray[np.int64]:
    """Return the places of at most n of `length` images, evenly spaced: a data set may come a class at a time."""
    return np.linspace(0, length - 1, min(n, length)).round().astype(np.int64)


def write(found: Mapping[str, Any], path: Path) -> Path:
    """Write what a study found as JSON, whole or not at all, into a folder that need not be there; return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n")
    return path
