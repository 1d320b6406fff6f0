"""Rows that an earlier version of their method made: `results/superseded.toml`, with what has changed since.

    [[superseded]]
    matrix = "fashion-mnist-v1"
    methods = ["glow", "glow-cv"]
    change = "Glow's gradients were clipped at a norm of 1"

Such a row stands, marked, until it is made again. A test holds the file against the versions that methods declare,
which this package does not ask: pages need no torch.
"""

from collections.abc import Mapping
from pathlib import Path

from oodbench.data.fixed import Fixed, read_toml

FILE = "superseded.toml"
"""Below the folder of results."""

MARK = "†"
"""What stands behind the name of such a row."""

Superseded = Mapping[str, Mapping[str, str]]
"""What has changed since, by matrix and method."""


class Change(Fixed):
    """What has changed in methods since a matrix's records were made."""

    matrix: str
    methods: tuple[str, ...]
    change: str


class SupersededRows(Fixed):
    """The whole file."""

    superseded: tuple[Change, ...] = ()


def superseded(results: Path) -> Superseded:
    """Return what has changed since rows were made, by matrix and method; nothing where there is no such file.

    Raises:
        BadCard: The file breaks its schema.
    """
    path = results / FILE
    found: dict[str, dict[str, str]] = {}
    for one in read_toml(path, SupersededRows).superseded if path.is_file() else ():
        found.setdefault(one.matrix, {}).update(dict.fromkeys(one.methods, one.change))
    return found


def changes(of_matrix: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the methods of a matrix by what has changed in them."""
    found: dict[str, list[str]] = {}
    for method, change in of_matrix.items():
        found.setdefault(change, []).append(method)
    return found
