"""Lists of images in OpenOOD's layout: `path label` a line, label -1 = no class; read as data, held to their checksum.

    <root>/benchmark_imglist/cifar10/test_tin.txt:   tin/val/images/val_0.JPEG -1
    <root>/images_classic/tin/val/images/val_0.JPEG

Of the two halves of a line the label is the last word. Ends of lines may be LF or CR LF.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, ImageListPart, ImageLists, ListFile
from oodbench.data.checksums import content, printable
from oodbench.data.images import FilePictures, FolderImages
from oodbench.data.places import find, missing
from oodbench.errors import BadChecksum, BadData
from oodbench.spaces import Shape

LONGEST = 1024
"""Bytes of a line at most: a list is refused by its size before it is read."""

LINE = re.compile(r"(\S.*?) +(-?[0-9]{1,9})")

LEAVES = re.compile(r"^/|(^|/)\.\.(/|$)|[\\:\0]")
"""Of a path that may lead out of its folder, on any system."""

NO_CLASS = -1


class Listed(NamedTuple):
    """What a list names: paths below a folder, and their classes, None where none has one."""

    paths: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None


def read_imglist(path: Path, most: int) -> Listed:
    """Return what a list names.

    Args:
        path: Of the list.
        most: Lines at most.

    Raises:
        BadData: It cannot be read, is no list, has more lines, leaves the folder, or has classes for some images alone.

    Example:
        >>> written = Path("test_tin.txt").write_text("tin/val/images/val_0.JPEG -1")
        >>> read_imglist(Path("test_tin.txt"), most=7793).paths[0]
        'tin/val/images/val_0.JPEG'
    """
    return _parsed(_lines(_content(path, most)), path, most)


def listed_images(card: Card, source: ImageLists, split: str, root: Path | None, shape: Shape) -> FolderImages:
    """Return the images of a split, undecoded.

    Raises:
        MissingData: Its list is not on this machine.
        BadData: As `read_imglist`.
        BadChecksum: It is another list than the card's.
    """
    part, place = source.parts[split], _place(card, source, split, root)
    listed = _verified(card, part, split, place)
    paths = tuple(place / part.images / name for name in listed.paths)
    return FolderImages(FilePictures(paths), shape, card.resampling, listed.labels, card.name, upright=False)


def list_files(card: Card, source: ImageLists, split: str, root: Path | None) -> tuple[Path, ...]:
    """Return the files of a split, its list the first; raises as `listed_images` does."""
    part, place = source.parts[split], _place(card, source, split, root)
    listed = _verified(card, part, split, place)
    return (place / part.list.name, *(place / part.images / name for name in listed.paths))


def _place(card: Card, source: ImageLists, split: str, root: Path | None) -> Path:
    """Return the folder that holds a split's list and its images."""
    name = source.parts[split].list.name
    path = find(card, source.folders, name, root)
    if path is None:
        raise missing(card, name, root)
    return path.parents[len(Path(name).parts) - 1]


def _verified(card: Card, part: ImageListPart, split: str, place: Path) -> Listed:
    path, most = place / part.list.name, card.splits[split]
    stored = _content(path, most)
    lines = _lines(stored)
    _check(part.list, lines, path, card.name)
    listed = _parsed(lines, path, most)
    if len(listed.paths) < most and not part.at_most:
        raise BadData(f"{printable(path)}: got {len(listed.paths)} images, expected {most}.")
    return listed


def _content(path: Path, most: int) -> bytes:
    try:
        size = path.stat().st_size
    except OSError:
        return content(path)  # which says why
    if size > LONGEST * most:
        raise BadData(f"{printable(path)}: got {size} bytes, expected at most {most} lines of {LONGEST}; is it a list?")
    return content(path)


def _lines(stored: bytes) -> list[bytes]:
    """Return the lines, whatever ends them; empty ones at the end are none."""
    return stored.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")


def _check(file: ListFile, lines: list[bytes], path: Path, name: str) -> None:
    said = b"\n".join([*lines, b""])
    kind, got, expected = "sha256", hashlib.sha256(said).hexdigest(), file.sha256
    if file.git_blob:
        named = hashlib.sha1(b"blob %d\0" % len(said) + said, usedforsecurity=False)
        kind, got, expected = "git blob", named.hexdigest(), file.git_blob
    if got != expected:
        raise BadChecksum(
            f"{name}: {printable(path)} has, with LF as ends of lines, the {kind} {got}, expected {expected}; "
            f"it is another list than the card's: download benchmark_imglist again."
        )


def _parsed(lines: list[bytes], path: Path, most: int) -> Listed:
    if len(lines) > most:
        raise BadData(f"{printable(path)}: got {len(lines)} images, expected at most {most}.")
    pairs = list(_pairs(lines, path))
    labels = np.array([label for _, label in pairs], np.int64)
    without = int((labels == NO_CLASS).sum())
    if 0 < without < len(labels):
        raise BadData(f"{printable(path)}: {without} of {len(labels)} images have the label -1, expected all or none.")
    return Listed(tuple(name for name, _ in pairs), None if without else labels)


def _pairs(lines: list[bytes], path: Path) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(lines, 1):
        try:
            found = LINE.fullmatch(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BadData(f"{_at(path, number)}: not text in utf-8 ({error.reason}).") from error
        if found is None:
            got = line[:80].decode("utf-8", "replace")
            raise BadData(f"{_at(path, number)}: got {got!r}, expected a path, a blank, a label.")
        name, label = found[1], int(found[2])
        if LEAVES.search(name):
            raise BadData(f"{_at(path, number)}: the path {name!r} leaves the folder of images, expected one below it.")
        if label < NO_CLASS:
            raise BadData(f"{_at(path, number)}: got the label {label}, expected a class from 0 on, or -1 for none.")
        yield name, label


def _at(path: Path, number: int) -> str:
    return f"{printable(path)}, line {number}"
