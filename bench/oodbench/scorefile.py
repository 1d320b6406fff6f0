"""The scores file: everything one detector said about one model's test inputs, as one .npz.

Members: `test`, `test.correct`, `ood/<card>`, `adversarial/<name>`, `adversarial/<name>.index`,
`adversarial/<name>.fooled`, `corruption/<name>`. Equal scores make equal bytes: members are sorted, and the archive
holds no time and no machine.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData, BadRecord
from oodbench.store import atomically

Floats = NDArray[np.float32] | NDArray[np.float64]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]*")
_THE_EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Attacked:
    """Scores of the attacked versions of k test images.

    Attributes:
        scores: Scores of the attacked images [k], float32 or float64.
        index: Place of each clean image in `Scores.test` [k], int32, no place twice.
        fooled: Whether the judged classifier was right before and is wrong after [k], bool.
    """

    scores: Floats
    index: NDArray[np.int32]
    fooled: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores of one (matrix, method, seed); higher = more in-distribution = more to be trusted.

    Attributes:
        test: Scores of the in-set's n test images [n], float32 or float64.
        correct: Whether the judged classifier is right on them [n], bool; None where there is no classifier to judge.
        ood: Scores of each out-set's images, by card name.
        adversarial: By attack name; "fgsm-8" and its twin "fgsm-8@uint8", rounded to the 256 grey levels.
        corruption: Scores of the corrupted test images [n], aligned with `test`, by "<type>-<severity>".
    """

    test: Floats
    correct: NDArray[np.bool_] | None = None
    ood: dict[str, Floats] = field(default_factory=dict)
    adversarial: dict[str, Attacked] = field(default_factory=dict)
    corruption: dict[str, Floats] = field(default_factory=dict)


def write_scores(path: Path, scores: Scores) -> str:
    """Write `scores` to `path`, whole or not at all, and return the sha256 of the file in hex.

    Raises:
        BadRecord: An array has the wrong dtype or shape, or an index points outside `test`.
        BadData: A score is NaN or infinite.
    """
    _check(scores, path)
    data = _pack(dict(_members(scores)))
    with atomically(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def read_scores(path: Path) -> Scores:
    """Read what `write_scores` wrote; never unpickles.

    Raises:
        BadRecord: The file is absent, truncated, not a scores file, or breaks the rules that `write_scores` keeps.
        BadData: A score is NaN or infinite.
    """
    scores = _from_members(_unpack(path), path)
    _check(scores, path)
    return scores


def _members(scores: Scores) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "test", scores.test
    if scores.correct is not None:
        yield "test.correct", scores.correct
    for name, values in scores.ood.items():
        yield f"ood/{name}", values
    for name, attacked in scores.adversarial.items():
        yield f"adversarial/{name}", attacked.scores
        yield f"adversarial/{name}.index", attacked.index
        yield f"adversarial/{name}.fooled", attacked.fooled
    for name, values in scores.corruption.items():
        yield f"corruption/{name}", values


def _from_members(members: dict[str, NDArray[Any]], path: Path) -> Scores:
    """Sort the members into their groups; what fits no group makes the file foreign."""
    if "test" not in members:
        raise BadRecord(f"{path}: not a scores file: it has no member 'test' (it has {sorted(members) or 'none'})")
    test = members.pop("test")
    correct = members.pop("test.correct", None)
    groups: dict[str, dict[str, NDArray[Any]]] = {"ood": {}, "adversarial": {}, "corruption": {}}
    for member, array in members.items():
        group, _, name = member.partition("/")
        if group not in groups:
            raise BadRecord(
                f"{path}: unknown member {member!r} (expected test, test.correct, {'/..., '.join(groups)}/...)"
            )
        groups[group][name] = array
    return Scores(test, correct, groups["ood"], _attacked(groups["adversarial"], path), groups["corruption"])


def _attacked(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, Attacked]:
    names = sorted(name for name in arrays if not name.endswith((".index", ".fooled")))
    expected = {name + suffix for name in names for suffix in ("", ".index", ".fooled")}
    if broken := sorted(expected ^ arrays.keys()):
        raise BadRecord(
            f"{path}: an attack needs its scores, .index and .fooled together; "
            f"members missing or without scores: {', '.join(f'adversarial/{name}' for name in broken)}"
        )
    return {name: Attacked(arrays[name], arrays[f"{name}.index"], arrays[f"{name}.fooled"]) for name in names}


def _check(scores: Scores, path: Path) -> None:
    """Refuse every array that is not what `Scores` says it is."""
    n = _check_floats(scores.test, "test", path)
    if scores.correct is not None:
        _check_array(scores.correct, "test.correct", np.dtype(bool), n, path)
    for name, values in scores.ood.items():
        _check_name(name, path)
        _check_floats(values, f"ood/{name}", path)
    for name, attacked in scores.adversarial.items():
        _check_name(name, path)
        _check_attacked(attacked, f"adversarial/{name}", n, path)
    for name, values in scores.corruption.items():
        _check_name(name, path)
        k = _check_floats(values, f"corruption/{name}", path)
        if k != n:
            raise BadRecord(f"{path}: corruption/{name} has {k} scores, expected {n}: one for each score of 'test'")


def _check_name(name: str, path: Path) -> None:
    if not _NAME.fullmatch(name) or name.endswith((".index", ".fooled")):
        raise BadRecord(
            f"{path}: bad name of a set {name!r} (expected letters, digits and any of @ . _ + -, "
            "beginning with a letter or digit, not ending in .index or .fooled)"
        )


def _check_attacked(attacked: Attacked, member: str, n: int, path: Path) -> None:
    k = _check_floats(attacked.scores, member, path)
    _check_array(attacked.index, f"{member}.index", np.dtype(np.int32), k, path)
    _check_array(attacked.fooled, f"{member}.fooled", np.dtype(bool), k, path)
    index = attacked.index
    if outside := np.flatnonzero((index < 0) | (index >= n)).tolist():
        first = outside[0]
        raise BadRecord(f"{path}: {member}.index[{first}] is {index[first]}, expected a place in 'test', 0 to {n - 1}")
    if len(np.unique(index)) < k:
        raise BadRecord(f"{path}: {member}.index names an image of 'test' more than once")


def _check_array(array: NDArray[Any], member: str, dtype: np.dtype[Any], length: int, path: Path) -> None:
    if array.dtype != dtype or array.ndim != 1:
        raise BadRecord(f"{path}: {member} is {array.dtype}{list(array.shape)}, expected {dtype}[{length}]")
    if len(array) != length:
        raise BadRecord(f"{path}: {member} has {len(array)} entries, expected {length}")


def _check_floats(array: NDArray[Any], member: str, path: Path) -> int:
    """Return the length of an array of finite scores."""
    if array.dtype not in (np.float32, np.float64) or array.ndim != 1:
        raise BadRecord(f"{path}: {member} is {array.dtype}{list(array.shape)}, expected float32[n] or float64[n]")
    broken = np.flatnonzero(~np.isfinite(array))
    if len(broken):
        first = int(broken[0])
        raise BadData(
            f"{path}: {member}: {len(broken)} of {len(array)} scores are NaN or infinite, the first at index {first} "
            f"({array[first]}); every score must be finite"
        )
    return len(array)


def _pack(members: dict[str, NDArray[Any]]) -> bytes:
    """Return an .npz archive whose bytes depend on nothing but the arrays."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for member in sorted(members):
            entry = zipfile.ZipInfo(f"{member}.npy", _THE_EPOCH_OF_ZIP)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            header_and_data = io.BytesIO()
            np.lib.format.write_array(header_and_data, members[member], version=(1, 0), allow_pickle=False)
            file.writestr(entry, header_and_data.getvalue(), compresslevel=6)
    return archive.getvalue()


def _unpack(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as file:
            return {entry.removesuffix(".npy"): _array(file, entry) for entry in file.namelist()}
    except FileNotFoundError as error:
        raise BadRecord(f"{path}: no such scores file") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, MemoryError, RuntimeError) as error:
        size = path.stat().st_size
        what = "is empty" if size == 0 else f"is truncated or no scores file ({size} bytes: {error})"
        raise BadRecord(f"{path}: {what}") from error


def _array(file: zipfile.ZipFile, entry: str) -> NDArray[Any]:
    with file.open(entry) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
