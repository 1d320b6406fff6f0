"""Scores files of oodbench 0.1, `<seed>.npz`: read to migrate them, never written.

Members: `test`, `test.correct`, `ood/<card>`, `adversarial/<name>`, `adversarial/<name>.index`,
`adversarial/<name>.fooled`, `corruption/<name>`. Nothing is ever unpickled.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadRecord
from oodbench.outcomes import Fooled, Outcomes
from oodbench.scorefile import Changed, Scores, check_scores

Arrays = dict[str, NDArray[Any]]


def read_npz(path: Path) -> tuple[Scores, Outcomes | None]:
    """Return a method's scores, and what the classifier that it judged does, if it judged one.

    Raises:
        BadRecord: The file is absent, truncated, not a scores file, or an array is not what it must be.
        BadData: A score is NaN or infinite.
    """
    members = _unpack(path)
    if "test" not in members:
        raise BadRecord(f"{path}: not a scores file: it has no member 'test' (it has {sorted(members) or 'none'})")
    test, correct = members.pop("test"), members.pop("test.correct", None)
    groups: dict[str, Arrays] = {"ood": {}, "adversarial": {}, "corruption": {}}
    for member, array in members.items():
        group, _, name = member.partition("/")
        if group not in groups:
            known = ", ".join(f"{one}/..." for one in groups)
            raise BadRecord(f"{path}: unknown member {member!r} (expected test, test.correct, {known})")
        groups[group][name] = array
    attacks = _attacks(groups["adversarial"], path)
    attacked = {name: Changed(scores, fooled.index) for name, (scores, fooled) in attacks.items()}
    corrupted = {
        name: Changed(values, np.arange(len(values), dtype=np.int32)) for name, values in groups["corruption"].items()
    }
    scores = Scores(test, groups["ood"], attacked, corrupted)
    check_scores(scores, path)
    if correct is None:
        return scores, None
    return scores, Outcomes(correct, {name: fooled for name, (_, fooled) in attacks.items()})


def _attacks(arrays: Arrays, path: Path) -> dict[str, tuple[NDArray[Any], Fooled]]:
    names = sorted(name for name in arrays if not name.endswith((".index", ".fooled")))
    expected = {name + suffix for name in names for suffix in ("", ".index", ".fooled")}
    if broken := sorted(expected ^ arrays.keys()):
        raise BadRecord(
            f"{path}: an attack needs its scores, .index and .fooled together; "
            f"members missing or without scores: {', '.join(f'adversarial/{name}' for name in broken)}"
        )
    return {name: (arrays[name], Fooled(arrays[f"{name}.index"], arrays[f"{name}.fooled"])) for name in names}


def _unpack(path: Path) -> Arrays:
    try:
        with zipfile.ZipFile(path) as file:
            return {entry.removesuffix(".npy"): _array(file, entry) for entry in file.namelist()}
    except FileNotFoundError as error:
        raise BadRecord(f"{path}: no such scores file") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, MemoryError, RuntimeError, SyntaxError) as error:
        size = path.stat().st_size
        what = "is empty" if size == 0 else f"is truncated or no scores file ({size} bytes: {error})"
        raise BadRecord(f"{path}: {what}") from error


def _array(file: zipfile.ZipFile, entry: str) -> NDArray[Any]:
    with file.open(entry) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
