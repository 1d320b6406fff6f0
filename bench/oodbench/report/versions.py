"""Versions of a matrix: `mnist5k-v2` follows on `mnist5k-v1`, whose numbers stand."""

from collections.abc import Iterable, Mapping


def latest(matrices: Iterable[str]) -> set[str]:
    """Return the last version of each matrix: its classifiers are trained as those of the ones before, or the same."""
    return {names[-1] for names in _by_version(matrices).values()}


def earlier(matrix: str, matrices: Iterable[str]) -> list[str]:
    """Return the versions before a matrix, the last first."""
    names = _by_version([*matrices, matrix])[_stem(matrix)]
    return names[: names.index(matrix)][::-1]


def later(matrix: str, matrices: Iterable[str]) -> str | None:
    """Return the last version of a matrix, if it is another."""
    last = _by_version([*matrices, matrix])[_stem(matrix)][-1]
    return None if last == matrix else last


def _by_version(matrices: Iterable[str]) -> Mapping[str, list[str]]:
    """Return the names that differ in their version alone, in its order."""
    found: dict[str, list[str]] = {}
    for name in sorted(set(matrices), key=lambda name: (len(name), name)):  # v9 before v10
        found.setdefault(_stem(name), []).append(name)
    return found


def _stem(matrix: str) -> str:
    stem, version, number = matrix.rpartition("-v")
    return stem if version and number.isdecimal() else matrix
