"""Zips of encoded pictures and .npz files, read where they are; to be called when the checksum has been verified."""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import NpzPart
from oodbench.data.formats import Arrays
from oodbench.errors import BadData


@dataclass(frozen=True, eq=False)
class ZippedPictures:
    """Pictures of a zip, kept encoded in memory: such archives hold a few thousand small ones."""

    names: tuple[str, ...]
    contents: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, place: int) -> str:
        """Return the archive and the member."""
        return self.names[place]

    def content(self, place: int) -> bytes:
        """Return the picture's bytes."""
        return self.contents[place]


def zipped(archives: Sequence[Path], files: str, labelled: bool) -> tuple[ZippedPictures, npt.NDArray[np.int64] | None]:
    """Return the members of zips that a glob means, archive by archive in the order of label and name, and labels.

    Args:
        archives: The zips.
        files: The glob; "*" stands for anything but "/".
        labelled: Whether a name ends in its label, as `0003_8.jpg` does.

    Raises:
        BadData: An archive is damaged, none of its members is meant, or one has no label.
    """
    found: list[tuple[str, bytes, int]] = []
    for archive in archives:
        members = sorted((_label(name, archive) if labelled else 0, name) for name in _members(archive, files))
        if not members:
            raise BadData(f"{archive}: holds no {files}; is it another archive of that name?")
        try:
            with zipfile.ZipFile(archive) as stored:
                found += [(f"{archive}/{name}", stored.read(name), label) for label, name in members]
        except Exception as error:  # a damaged archive may raise anything
            raise _damaged(archive, error) from error
    names, contents, labels = zip(*found, strict=True)
    return ZippedPictures(names, contents), np.array(labels, np.int64) if labelled else None


def npz_images(path: Path, part: NpzPart) -> Arrays:
    """Return the images of an .npz file [n h w c] as [n c h w], without those that are marked.

    Raises:
        BadData: It is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            images = stored[part.images]
            chosen = ~stored[part.without].astype(bool) if part.without else np.ones(len(images), bool)
            chosen[list(part.left_out)] = False
    except Exception as error:  # a damaged file may raise anything
        raise _damaged(path, error) from error
    if images.dtype != np.uint8 or images.ndim != 4 or chosen.shape != images.shape[:1]:
        got = f"{part.images} {images.dtype}{list(images.shape)}, {len(chosen)} marks"
        raise BadData(f"{path}: got {got}, expected uint8[n h w c] and a mark for each.")
    return np.ascontiguousarray(images[chosen].transpose(0, 3, 1, 2)), None


def npy_labels(content: bytes, name: str) -> npt.NDArray[np.int64]:
    """Return the labels of an .npy file [n].

    Raises:
        BadData: It is not such a file.
    """
    try:
        labels = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged file may raise anything
        raise BadData(f"{name}: not a .npy file of labels ({str(error) or type(error).__name__}).") from error
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise BadData(f"{name}: got {labels.dtype}{list(labels.shape)}, expected a row of whole numbers.")
    return np.asarray(labels, np.int64)


def _members(archive: Path, files: str) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as stored:
            names = stored.namelist()
    except Exception as error:  # a damaged archive may raise anything
        raise _damaged(archive, error) from error
    parts = files.split("/")
    return [name for name in names if _means(parts, name.split("/"))]


def _means(glob: Sequence[str], name: Sequence[str]) -> bool:
    return len(glob) == len(name) and all(map(fnmatchcase, name, glob))


def _label(name: str, archive: Path) -> int:
    stem = re.fullmatch(r".*_(\d+)", Path(name).stem)
    if stem is None:
        raise BadData(f"{archive}: {name} has no label, expected a number after the last '_' of its name.")
    return int(stem[1])


def _damaged(path: Path, error: Exception) -> BadData:
    return BadData(f"{path}: cannot be read ({str(error) or type(error).__name__}); remove it and get it again.")
