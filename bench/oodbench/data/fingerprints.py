"""Fingerprints of data sets, remembered between processes: a set is read in full once, not once a process.

A fingerprint is the sha256 of a set's pixels and labels (of its encoded bytes, where pictures are decoded on demand).
It is kept under a key of all that it depends on: what was asked for, the card, and path, size and time of last change
of every file, in nanoseconds. The limit of this: a file that changes while its size and its time of change stay the
same is taken for the old one. `oodbench data check` reads everything again and corrects the memory.

One small file a fingerprint, `<card>/<key>.json`, written atomically: any number of processes may read and write at
once. Losing the folder, or not being able to write it, costs time and nothing else.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
import scipy
from pydantic import ValidationError

from oodbench.data.cards import Sha256, Shape
from oodbench.data.checksums import printable, unreadable
from oodbench.data.fixed import Fixed
from oodbench.data.places import user_cache
from oodbench.errors import BadData, BadSetting
from oodbench.store import atomically

MAKING = {"version": 1, "numpy": np.__version__, "pillow": PIL.__version__, "scipy": scipy.__version__}
"""What turns files into pixels; raise `version` when equal files, or equal draws, become other pixels."""

SETTLED = 2.0
"""Seconds after which a file's time of change tells it from a later version: some file systems count whole seconds."""


class Request(Fixed):
    """What was asked for: enough to ask for it again. `root` is the user's folder, `shape` the in-set's."""

    card: str
    split: str
    root: str | None = None
    shape: Shape | None = None
    seed: int = 0
    n: int | None = None


class Fingerprint(Fixed):
    """What is remembered of a set: enough to plan with, without opening it."""

    request: Request
    sha256: Sha256
    shape: Shape
    n: int
    labelled: bool


class Stamp(NamedTuple):
    """A file as the system lists it: its absolute path, its size in bytes, its time of last change in nanoseconds."""

    path: str
    size: int
    changed: int


def stamps(paths: Iterable[Path]) -> tuple[Stamp, ...]:
    """Return what the system says of files.

    Raises:
        BadData: One of them is not there, or may not be looked at.
    """
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise BadData(unreadable(path, error)) from error
    return Stamp(printable(path.absolute()), found.st_size, found.st_mtime_ns)


def settled(files: Iterable[Stamp]) -> bool:
    """Whether the last change of every file is old enough to be told from a change that is yet to come."""
    return max((file.changed for file in files), default=0) < (time.time() - SETTLED) * 1e9


def folder() -> Path:
    """Return where fingerprints are kept: below $OODBENCH_CACHE, or oodbench's folder in the user's cache.

    Raises:
        BadSetting: Neither is known.
    """
    named = os.environ.get("OODBENCH_CACHE")
    return (Path(named) if named else user_cache()) / "fingerprints"


def recall(card: str, key: str) -> Fingerprint | None:
    """Return what is remembered under a key; nothing, if it is broken or cannot be read."""
    with suppress(OSError, BadSetting):
        return _read(folder() / card / f"{key}.json")
    return None


def remember(key: str, fingerprint: Fingerprint) -> None:
    """Keep a fingerprint, if there is a place for it; without one, the set is read again next time."""
    with suppress(OSError, BadSetting), atomically(folder() / fingerprint.request.card / f"{key}.json") as file:
        file.write_text(fingerprint.model_dump_json(), encoding="utf-8")


def forget(card: str, key: str) -> None:
    """Drop what is remembered under a key."""
    with suppress(OSError, BadSetting):
        (folder() / card / f"{key}.json").unlink(missing_ok=True)


def remembered(card: str) -> Iterator[tuple[str, Fingerprint]]:
    """Yield every (key, fingerprint) of a card; what cannot be read is dropped."""
    with suppress(OSError, BadSetting):
        for path in sorted((folder() / card).glob("[!.]*.json")):
            fingerprint = _read(path)
            if fingerprint is None:
                path.unlink(missing_ok=True)
            else:
                yield path.stem, fingerprint


def _read(path: Path) -> Fingerprint | None:
    try:
        return Fingerprint.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
