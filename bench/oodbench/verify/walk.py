"""Which files a folder of results holds: plain files in their places, counted before any is opened.

Links, devices, pipes and folders in place of files are faults; so is what has no place there. What systems leave in
folders (`.DS_Store`, `.cache`) is passed over, unless it is one of the former.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oodbench.errors import BadRecord
from oodbench.verify.faults import Fault, shown

MOST_FILES = 100_000
"""Of a folder of results: 174 methods on 50 matrices at five seeds have fewer."""

DEEPEST = 6
"""Folders below the root."""

NAME = r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,99}"
SEED = r"(0|[1-9][0-9]{0,8})"

PLACES = {
    "record": rf"{NAME}/(?!models/){NAME}/{SEED}\.json",
    "scores": rf"{NAME}/(?!models/){NAME}/{SEED}\.parquet",
    "cost": rf"{NAME}/(?!models/){NAME}/{SEED}\.cost\.json",
    "failure": rf"{NAME}/(?!models/){NAME}/{SEED}\.failed\.txt",
    "model": rf"{NAME}/models/{NAME}/{SEED}\.json",
    "outcomes": rf"{NAME}/models/{NAME}/{SEED}\.parquet",
    "picture": rf"{NAME}/figures/{NAME}\.(svg|png)",
    "diagnostic": rf"diagnostics/{NAME}/{NAME}/{SEED}/{NAME}\.(json|png|svg|npz)",
    "reported": rf"reported/{NAME}\.toml",
    "claims": r"claims\.toml",
    "superseded": r"superseded\.toml",
    "metrics": r"metrics\.parquet",
    "ranks": r"ranks\.csv",
    "reruns": r"reruns\.csv",
}
"""What a file is, by where it lies; the first that fits."""

LARGEST = {
    "record": 256 << 10,
    "cost": 64 << 10,
    "failure": 1 << 20,
    "model": 256 << 10,
    "picture": 8 << 20,
    "diagnostic": 32 << 20,
    "reported": 1 << 20,
    "claims": 1 << 20,
    "superseded": 1 << 20,
    "ranks": 16 << 20,
    "reruns": 4 << 20,
}
"""Bytes of a file; those of tables follow from their matrices (`oodbench.verify.tables`)."""


@dataclass
class Tree:
    """The files of a folder by what they are, each relative to the root and sorted; and what is wrong with the rest."""

    root: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def of(self, kind: str) -> list[str]:
        """Return the files of a kind."""
        return self.files.get(kind, [])


def walk(root: Path, only: str | None = None) -> Tree:
    """Return what lies below a folder.

    Args:
        root: Folder of results.
        only: The one matrix to look at.

    Raises:
        BadRecord: There is no such folder, it is a link, or holds more files than any results do.
    """
    start = root / only if only else root
    if start.is_symlink() or not start.is_dir():
        raise BadRecord(f"{start}: no folder of results; expected a folder, and no link to one")
    tree = Tree(root)
    for count, (name, mode, size) in enumerate(_entries(start, only or "", 0)):
        if count >= MOST_FILES:
            raise BadRecord(f"{root}: holds more than {MOST_FILES} files; name one matrix of it")
        _sort(tree, name, mode, size)
    _look_alikes(tree)
    for found in tree.files.values():
        found.sort()
    return tree


def specials(folder: Path) -> list[Fault]:
    """Return the links, devices and pipes below a folder of any content: what unpacks or copies it may follow them."""
    faults = []
    for count, (name, mode, _) in enumerate(_entries(folder, "", 0)):
        if count >= MOST_FILES:
            raise BadRecord(f"{folder}: holds more than {MOST_FILES} files")
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            what = next(word for test, word in SPECIAL if test(mode))
            faults.append(Fault(f"../{name}", f"is {what}; expected plain files in folders"))
    return faults


def plain_files(folder: Path) -> dict[str, int]:
    """Return the plain files below a folder, by name, and the size of each; links are not followed.

    Raises:
        BadRecord: There are more than any results have.
    """
    found = {}
    for count, (name, mode, size) in enumerate(_entries(folder, "", 0)):
        if count >= MOST_FILES:
            raise BadRecord(f"{folder}: holds more than {MOST_FILES} files")
        if stat.S_ISREG(mode):
            found[name] = size
    return found


def _entries(folder: Path, above: str, depth: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, mode and size of all that is no plain folder; no link is followed."""
    with os.scandir(folder) as found:
        for entry in found:
            name = f"{above}/{entry.name}".lstrip("/")
            about = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(about.st_mode):
                yield name, about.st_mode, about.st_size
            elif depth >= DEEPEST or place_of(name) is not None:
                yield name, about.st_mode, 0
            elif entry.name == ".cache" and not above:
                continue
            else:
                yield from _entries(Path(entry.path), name, depth + 1)


def _sort(tree: Tree, name: str, mode: int, size: int) -> None:
    kind = place_of(name)
    if not stat.S_ISREG(mode):
        what = next((word for test, word in SPECIAL if test(mode)), "no plain file")
        tree.faults.append(Fault(name, f"is {what}; expected plain files in folders, and nothing else is read"))
    elif kind is None:
        if not any(part[0] == "." for part in name.split("/")):
            tree.faults.append(Fault(name, "has no place in results: expected what docs/results.md lists; remove it"))
    elif size > (most := LARGEST.get(kind, size)):
        tree.faults.append(Fault(name, f"has {size} bytes, expected at most {most} of a {kind}; it is not read"))
    else:
        tree.files.setdefault(kind, []).append(name)


def place_of(name: str) -> str | None:
    """Return what a file of results is, by where it lies; None where nothing lies there."""
    return next((kind for kind, pattern in PLACES.items() if re.fullmatch(pattern, name)), None)


def _look_alikes(tree: Tree) -> None:
    """Refuse folders that some file systems, or a reader's eye, take for one: MSP and msp."""
    seen: dict[str, str] = {}
    for name in sorted(name for found in tree.files.values() for name in found):
        folder = name.rpartition("/")[0]
        other = seen.setdefault(skeleton(folder), folder)
        if other != folder:
            tree.faults.append(Fault(name, f"lies in {shown(folder)}, which looks like {shown(other)}; rename one"))


LIKE = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("_", "-"), (".", "-"))


def skeleton(name: str) -> str:
    """Return a name as a hasty eye reads it: equal ones are told apart by case, or by letters that look alike.

    Example:
        >>> skeleton("Mahalanob1s-a") == skeleton("mahalanobis-a")
        True
    """
    name = name.lower()
    for letters, look in LIKE:
        name = name.replace(letters, look)
    return name


SPECIAL = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
