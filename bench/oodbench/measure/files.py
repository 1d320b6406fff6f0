"""Metrics of two files of scores from anywhere: what `oodbench metrics` prints."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from oodbench.errors import BadData, MissingData
from oodbench.measure.intervals import delong
from oodbench.measure.ranking import count, evaluate
from oodbench.npy import mapped


def measure_files(good: Path, bad: Path) -> dict[str, Any]:
    """Return every ranking metric, `n_good`, `n_bad` and DeLong's 95 % interval of AUROC of two .npy files.

    Args:
        good: Scores of what a detector should accept [n].
        bad: Scores of what it should flag [m]. Higher = more to be trusted, in both.

    Raises:
        MissingData: A file is not there.
        BadData: A file is no .npy file of numbers, is empty, or holds a NaN or an infinity.
    """
    loaded_good, loaded_bad = _load(good), _load(bad)
    try:
        counts = count(loaded_good, loaded_bad)
    except BadData as error:
        raise BadData(f"{error} (good: {good}, bad: {bad})") from error
    sizes = {"n_good": counts.n_good, "n_bad": counts.n_bad}
    return {**evaluate(counts), **sizes, "auroc_interval_95": list(delong(counts))}


def _load(path: Path) -> NDArray[Any]:
    if not path.exists():
        raise MissingData(f"{path}: no such file of scores; make one with numpy.save({path.name!r}, scores)")
    return mapped(path)
