"""What stands still: the bytes of every set that a matrix tests, and the files that people write into results.

`pins.json` lies in this package, outside of results: whoever edits what the papers say, or which claims are tested,
changes a file of another folder too, where reviewers see it.

    python -m oodbench.verify.pins results
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

from oodbench.records import read_record
from oodbench.store import atomically
from oodbench.verify.walk import walk

PINNED = ("claims", "reported", "superseded")
"""Files that are pinned whole, by their kind in `oodbench.verify.walk`."""


class Pinned(TypedDict):
    """sha256 of a set: of its bytes, and of its card when records were made of it."""

    card: str | None
    data: str


class Pins(TypedDict):
    """Sets by matrix and label, and the sha256 of each file."""

    data: dict[str, dict[str, Pinned]]
    files: dict[str, str]


def path() -> Path:
    """Return the file."""
    return Path(__file__).with_name("pins.json")


@cache
def pins() -> Pins:
    """Return what is pinned."""
    content: Pins = json.loads(path().read_text(encoding="utf-8"))
    return content


def made(results: Path) -> Pins:
    """Return what a folder of results pins; what its records disagree on is not pinned, and found otherwise."""
    tree = walk(results)
    data: dict[str, dict[str, set[tuple[str | None, str]]]] = {}
    for name in tree.of("record"):
        record = read_record(results / name)
        for label, used in record.data.items():
            data.setdefault(record.matrix, {}).setdefault(label, set()).add((used.card_sha256, used.data_sha256))
    files = {name: _sha256(results / name) for kind in PINNED for name in tree.of(kind)}
    return {"data": {matrix: _alike(labels) for matrix, labels in sorted(data.items())}, "files": files}


def _alike(labels: Mapping[str, set[tuple[str | None, str]]]) -> dict[str, Pinned]:
    alone = {label: next(iter(found)) for label, found in sorted(labels.items()) if len(found) == 1}
    return {label: {"card": card, "data": data} for label, (card, data) in alone.items()}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def written(found: Pins) -> str:
    """Return the text of the file."""
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    with atomically(path()) as temporary:
        temporary.write_text(written(made(Path(sys.argv[1]))))
