"""Which files of a folder a glob means: what file managers and archivers leave there is not data."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "lost+found"})
"""Names, in lower case, of files and folders that systems leave in others' folders; hidden ones beside (`._x.jpg`)."""

FAMILIES = (frozenset({".jpg", ".jpeg", ".jpe"}), frozenset({".tif", ".tiff"}))
"""Endings that mean one format."""


def matching(place: Path, glob: str) -> list[Path]:
    """Return the files below `place` that a card's glob means, sorted.

    An ending stands for its format: `*.jpg` means `x.JPG` and `x.jpeg` too. Litter is left out. Whatever else has the
    name of a picture is returned, a folder or a broken link among it, so that reading it can say so.

    Example:
        >>> matching(Path("textures"), "dtd/images/*/*.jpg")  # there is no such folder
        []
    """
    return sorted(_matching(place, glob))


def first(place: Path, glob: str) -> Path | None:
    """Return one of the files that a glob means, or None; quicker than all of them."""
    return next(_matching(place, glob), None)


def _matching(place: Path, glob: str) -> Iterator[Path]:
    pattern = PurePosixPath(glob)
    any_ending = not pattern.suffix or "*" in pattern.suffix
    endings = _endings(pattern.suffix)
    for path in place.glob(glob if any_ending else str(pattern.with_suffix(".*"))):
        if is_litter(path.relative_to(place)):
            continue
        if any_ending or (path.suffix.lower() in endings and fnmatchcase(path.stem, pattern.stem)):
            yield path


def _endings(suffix: str) -> frozenset[str]:
    ending = suffix.lower()
    return next((family for family in FAMILIES if ending in family), frozenset({ending}))


def is_litter(path: Path) -> bool:
    """Return whether a path below a folder is what systems leave in others' folders."""
    return any(part.startswith(".") or part.lower() in LITTER for part in path.parts)
