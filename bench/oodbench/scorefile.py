"""The scores file: everything one detector said about one model's inputs, as `<seed>.parquet` (see `oodbench.setfile`).

| kind | set | index |
|---|---|---|
| test | test | place among the in-set's test images |
| ood | card of the out-set | place in it |
| adversarial | attack | place of the clean image among the test images |
| corruption | "<type>-<severity>" | place of the clean image among the test images |
| adaptive | attack | place of the clean image; its version that was made against this detector fooled the model |
| adaptive_failed | attack | place of the clean image; that version did not fool it |

Which test images the classifier gets right, and which attacked ones fooled it, is the model's: `oodbench.outcomes`.
Images of adaptive attacks are made for one detector, so that what they do is the method's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData, BadRecord
from oodbench.setfile import SetKey, Values, read_sets, write_sets

Floats = NDArray[np.float32] | NDArray[np.float64]

TEST: SetKey = ("test", "test")
"""The in-set's test images."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]*")


@dataclass(frozen=True, eq=False)
class Changed:
    """Scores of the changed versions (attacked or corrupted) of k test images.

    Attributes:
        scores: Scores of the changed images [k], float32 or float64.
        index: Place of each clean image in `Scores.test` [k], int32, no place twice.
    """

    scores: Floats
    index: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Adapted:
    """Scores of the versions of k test images that were made against this detector.

    Attributes:
        scores: Scores of these versions [k], float32 or float64.
        index: Place of each clean image in `Scores.test` [k], int32, no place twice.
        fooled: Whether the classifier misjudges the version [k].
    """

    scores: Floats
    index: NDArray[np.int32]
    fooled: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores of one (matrix, method, seed); higher = more in-distribution = more to be trusted.

    Attributes:
        test: Scores of the in-set's n test images [n], float32 or float64.
        ood: Scores of each out-set's images, by card name.
        adversarial: By attack name; "fgsm-8" and its twin "fgsm-8@uint8", rounded to the 256 grey levels.
        corruption: Of corrupted test images, by "<type>-<severity>".
        adaptive: By the name of an attack that knows this detector; at least one image each.
    """

    test: Floats
    ood: dict[str, Floats] = field(default_factory=dict)
    adversarial: dict[str, Changed] = field(default_factory=dict)
    corruption: dict[str, Changed] = field(default_factory=dict)
    adaptive: dict[str, Adapted] = field(default_factory=dict)


FOOLED, FAILED = "adaptive", "adaptive_failed"
"""The kinds of rows of an adaptive attack: a version that fooled the classifier, and one that did not."""


def write_scores(path: Path, scores: Scores) -> str:
    """Write `scores` to `path`, whole or not at all, and return the sha256 of their content in hex.

    The column is float32 where all scores are, else float64, which holds every float32 exactly.

    Raises:
        BadRecord: An array has the wrong dtype or shape, or an index points outside `test`.
        BadData: A score is NaN or infinite.
    """
    check_scores(scores, path)
    return write_sets(path, "score", dict(_sets(scores)))


def read_scores(path: Path, sha256: str | None = None) -> Scores:
    """Read what `write_scores` wrote.

    Args:
        path: The file.
        sha256: What its content must have, if that is known.

    Raises:
        BadRecord: The file is absent, truncated, damaged, not a scores file, another one than `sha256` names, or breaks
            the rules that `write_scores` keeps.
        BadData: A score is NaN or infinite.
    """
    sets, found = read_sets(path, "score", "scores file")
    if sha256 not in (None, found):
        raise BadRecord(f"{path}: the scores file does not match its record: sha256 is {found}, not {sha256}")
    scores = _from_sets(sets, path)
    check_scores(scores, path)
    return scores


def check_scores(scores: Scores, path: Path) -> None:
    """Refuse every array that is not what `Scores` says it is; `path` stands in the message."""
    n = _check_floats(scores.test, "test", path)
    for name, values in scores.ood.items():
        _check_name(name, path)
        _check_floats(values, f"ood/{name}", path)
    for kind, name, changed in _changed(scores):
        _check_name(name, path)
        k = _check_floats(changed.scores, f"{kind}/{name}", path)
        check_index(changed.index, f"{kind}/{name}", k, n, path)
    for name, adapted in scores.adaptive.items():
        _check_name(name, path)
        k = _check_floats(adapted.scores, f"adaptive/{name}", path)
        check_index(adapted.index, f"adaptive/{name}", k, n, path)
        check_array(adapted.fooled, f"adaptive/{name}.fooled", np.dtype(bool), k, path)
        if not k:
            raise BadRecord(f"{path}: adaptive/{name} has no score, and a file keeps no set without any")


def check_index(index: NDArray[Any], what: str, k: int, n: int, path: Path) -> None:
    """Refuse what does not name k different test images out of n."""
    check_array(index, f"{what}.index", np.dtype(np.int32), k, path)
    if outside := np.flatnonzero((index < 0) | (index >= n)).tolist():
        first = outside[0]
        raise BadRecord(f"{path}: {what}.index[{first}] is {index[first]}, expected a place in 'test', 0 to {n - 1}")
    if len(np.unique(index)) < k:
        raise BadRecord(f"{path}: {what}.index names an image of 'test' more than once")


def check_array(array: NDArray[Any], member: str, dtype: np.dtype[Any], length: int, path: Path) -> None:
    """Refuse an array of another type, or of another length than expected."""
    if array.dtype != dtype or array.ndim != 1:
        raise BadRecord(f"{path}: {member} is {array.dtype}{list(array.shape)}, expected {dtype}[{length}]")
    if len(array) != length:
        raise BadRecord(f"{path}: {member} has {len(array)} entries, expected {length}")


def _sets(scores: Scores) -> Iterator[tuple[SetKey, Values]]:
    yield TEST, _whole(scores.test)
    yield from ((("ood", name), _whole(values)) for name, values in scores.ood.items())
    for kind, name, changed in _changed(scores):
        yield (kind, name), _sorted(changed.index, changed.scores)
    for name, adapted in scores.adaptive.items():
        for kind, rows in ((FOOLED, adapted.fooled), (FAILED, ~adapted.fooled)):
            if rows.any():
                yield (kind, name), _sorted(adapted.index[rows], adapted.scores[rows])


def _changed(scores: Scores) -> Iterator[tuple[str, str, Changed]]:
    """Yield the sets of changed test images: kind, name, scores."""
    yield from (("corruption", name, changed) for name, changed in scores.corruption.items())
    yield from (("adversarial", name, changed) for name, changed in scores.adversarial.items())


def _sorted(index: NDArray[np.int32], values: Floats) -> Values:
    order = np.argsort(index, kind="stable")
    return Values(index[order], values[order])


def _whole(values: Floats) -> Values:
    return Values(np.arange(len(values), dtype=np.int32), values)


def _from_sets(sets: dict[SetKey, Values], path: Path) -> Scores:
    """Sort the sets into their groups; what fits no group makes the file foreign."""
    if TEST not in sets:
        raise BadRecord(f"{path}: not a scores file: it has no set 'test' of kind 'test' (it has {[*sets] or 'none'})")
    groups: dict[str, dict[str, Any]] = {kind: {} for kind in ("ood", "adversarial", "corruption", FOOLED, FAILED)}
    for (kind, name), part in sets.items():
        if (kind, name) == TEST:
            continue
        if kind not in groups:
            raise BadRecord(f"{path}: unknown kind {kind!r} of set {name!r} (expected test, {', '.join(groups)})")
        groups[kind][name] = _all(part, name, path) if kind == "ood" else Changed(part.values, part.index)
    fooled, failed = groups.pop(FOOLED), groups.pop(FAILED)
    adaptive = {name: _adapted(fooled.get(name), failed.get(name)) for name in sorted({*fooled, *failed})}
    return Scores(_all(sets[TEST], "test", path), **groups, adaptive=adaptive)


def _adapted(fooled: Changed | None, failed: Changed | None) -> Adapted:
    """Return both kinds of rows of an adaptive attack as one, in the order of the images."""
    parts = [(part, does) for part, does in ((fooled, True), (failed, False)) if part is not None]
    index = np.concatenate([part.index for part, _ in parts])
    scores = np.concatenate([part.scores for part, _ in parts])
    does = np.concatenate([np.full(len(part.index), does) for part, does in parts])
    order = np.argsort(index, kind="stable")
    return Adapted(scores[order], index[order], does[order])


def _all(part: Values, name: str, path: Path) -> NDArray[Any]:
    """Return the values of a set that must have every input from 0 on."""
    if len(part.index) and part.index[-1] != len(part.index) - 1:
        raise BadRecord(f"{path}: {name} has {len(part.index)} scores, the last of them of input {part.index[-1]}")
    return part.values


def _check_name(name: str, path: Path) -> None:
    if not _NAME.fullmatch(name):
        raise BadRecord(
            f"{path}: bad name of a set {name!r} (expected letters, digits and any of @ . _ + -, "
            "beginning with a letter or digit)"
        )


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
