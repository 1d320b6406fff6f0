"""Folders of image files: which belong to a split, and their labels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, FolderPart
from oodbench.data.checksums import content, verified
from oodbench.data.images import FilePictures, FolderImages
from oodbench.data.litter import matching
from oodbench.errors import BadData
from oodbench.spaces import Shape

Labelled = tuple[tuple[Path, ...], npt.NDArray[np.int64] | None]


def folder_files(card: Card, part: FolderPart, place: Path) -> tuple[Path, ...]:
    """Return the files of a split below `place`, its list among them."""
    paths, _ = _listed(card, part, place) if part.list else _globbed(part, place)
    return (place / part.list.name, *paths) if part.list else paths


def folder_images(card: Card, part: FolderPart, place: Path, shape: Shape, invert: bool) -> FolderImages:
    """Return a split below `place`, undecoded.

    Raises:
        BadData: A line of the list is not a path and a label, or a listed file is not there.
    """
    paths, labels = _listed(card, part, place) if part.list else _globbed(part, place)
    return FolderImages(FilePictures(paths), shape, card.resampling, labels, card.name, invert)


def _globbed(part: FolderPart, place: Path) -> Labelled:
    unreadable = {place / name for name in part.unreadable}
    paths = tuple(
        path
        for path in matching(place, part.files)
        if path not in unreadable and not path.name.startswith(part.without or ("/",))
    )
    if part.labels == "none":
        return paths, None
    depth = len(place.parts) + _first_wildcard(part.files)
    folders = [path.parts[depth] for path in paths]
    labels = np.unique(folders, return_inverse=True)[1].astype(np.int64)
    return _first_of_each(paths, labels, part.first) if part.first else (paths, labels)


def _first_of_each(paths: tuple[Path, ...], labels: npt.NDArray[np.int64], first: tuple[int, ...]) -> Labelled:
    """Return so many of each class, the first; sorted paths have the classes in order."""
    chosen = np.concatenate([np.flatnonzero(labels == label)[:n] for label, n in enumerate(first)])
    return tuple(paths[place] for place in chosen), labels[chosen]


def _listed(card: Card, part: FolderPart, place: Path) -> Labelled:
    assert part.list is not None
    path = place / part.list.name
    if not path.is_file():
        raise BadData(f"{card.name}: {path} is missing: it lists the images and their labels.")
    try:
        lines = verified(content(path), part.list, card.name).decode("utf-8").splitlines()
        listed = [(name.lstrip("/"), int(label)) for name, label in (line.split() for line in lines if line)]
    except ValueError as error:  # UnicodeDecodeError is one
        raise BadData(f"{path}: expected a path and a label a line ({error}).") from error
    paths = tuple(place / part.base / name for name, _ in listed)
    return paths, np.array([label for _, label in listed], np.int64)


def _first_wildcard(glob: str) -> int:
    return next(depth for depth, part in enumerate(Path(glob).parts) if "*" in part)
