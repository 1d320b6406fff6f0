"""What was found of files before, by the sha256 of their bytes: an entry that has not changed is not measured again.

It lies in the user's cache, outside of every folder that is verified, and is asked for content alone: whoever hands in
results can neither write it nor choose what it answers.
"""

import hashlib
import json
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import oodbench
from oodbench import declarations
from oodbench.data.fixed import cards_folder
from oodbench.errors import BadSetting
from oodbench.report.numbers import METRICS_VERSION, RESAMPLES

FILE = "verified.sqlite"

DAYS = 90
"""After which what was not asked for is forgotten."""


def default_state() -> Path:
    """Return where it lies: in $OODBENCH_CACHE, else in oodbench's folder in the user's cache."""
    named = os.environ.get("OODBENCH_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "oodbench") / "verify"


def usable(folder: Path, verified: Path) -> Path:
    """Return the folder of the state, made if it is not there.

    Raises:
        BadSetting: It lies in the verified folder, or somebody else may write to it.
    """
    inner, outer = folder.resolve(), verified.resolve()
    if inner.is_relative_to(outer):
        raise BadSetting(f"--state {folder}: lies in {verified}, whose author could write it; name a folder outside")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & stat.S_IWOTH:
        raise BadSetting(f"--state {folder}: somebody else may write to it; name a folder of your own")
    return folder


class State:
    """What was found before; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / FILE if folder else None
        self.known: dict[str, Any] = {}

    def ask(self, keys: Iterable[str]) -> None:
        """Read what was found under keys; a state that cannot be read knows nothing."""
        wanted = set(keys)
        if self._file is None or not self._file.is_file():
            return
        with suppress(sqlite3.Error, ValueError, zlib.error), closing(sqlite3.connect(self._file)) as shelf:
            for key, packed in shelf.execute("SELECT key, found FROM found"):
                if key in wanted:
                    self.known[key] = json.loads(zlib.decompress(packed))

    def keep(self, made: Mapping[str, Any]) -> None:
        """Write what was found, and forget what is old."""
        if self._file is None:
            return
        now = int(time.time())
        packed = [(key, zlib.compress(json.dumps(value).encode(), 1), now) for key, value in made.items()]
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._file, timeout=30)) as shelf, shelf:
            shelf.execute("CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, found BLOB, used INTEGER)")
            shelf.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", packed)
            shelf.executemany("UPDATE found SET used = ? WHERE key = ?", [(now, key) for key in self.known])
            shelf.execute("DELETE FROM found WHERE used < ?", (now - 86400 * DAYS,))


@cache
def code_sha256() -> str:
    """Return the sha256 of all that decides what is found of a file: this package's code, cards and declarations."""
    package = Path(oodbench.__file__).parent
    rooms = (package, package / "verify", package / "measure", package / "report", package / "data")
    found = hashlib.sha256(f"{METRICS_VERSION} {RESAMPLES}".encode())
    for path in sorted(path for room in rooms for path in room.glob("*.py")):
        found.update(path.read_bytes())
    for path in sorted(cards_folder().glob("*.toml")):
        found.update(path.read_bytes())
    if declarations.path().is_file():
        found.update(declarations.path().read_bytes())
    return found.hexdigest()


def key_of(parts: Iterable[str | bytes]) -> str:
    """Return the sha256 (hex) of parts, each with its length, and of the code."""
    found = hashlib.sha256(code_sha256().encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        found.update(f"{len(raw)} ".encode() + raw)
    return found.hexdigest()
