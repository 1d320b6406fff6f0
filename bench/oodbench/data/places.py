"""Where a file of a card may be: the user's root, the system's packages, an earlier download."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from oodbench.data.cards import Card
from oodbench.data.litter import first
from oodbench.errors import BadSetting, MissingData

SYSTEM = Path("/usr/share/datasets")


def user_cache() -> Path:
    """Return oodbench's folder in the user's cache: below $XDG_CACHE_HOME, or ~/.cache.

    Raises:
        BadSetting: The user has no home folder (a container's uid without a name, say).
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oodbench"
    except RuntimeError as error:
        raise BadSetting(
            "this user has no home folder; name folders that can be written to by the variables OODBENCH_DATA "
            "(data sets) and OODBENCH_CACHE (weights and outputs)"
        ) from error


def cache_folder() -> Path:
    """Return the folder of downloads: $OODBENCH_DATA, or oodbench/data in the user's cache.

    Raises:
        BadSetting: Neither is known.
    """
    named = os.environ.get("OODBENCH_DATA")
    return Path(named) if named else user_cache() / "data"


def roots(root: Path | None) -> tuple[Path, ...]:
    """Return the folders to look under, in order."""
    known = [*((root,) if root else ()), SYSTEM]
    with suppress(BadSetting):  # without a home there is no earlier download
        known.append(cache_folder())
    return tuple(known)


class Named(Protocol):
    """What has files: a card, or a given model."""

    @property
    def name(self) -> str:
        """Also that of a folder that may hold them."""


def places(card: Named, folders: tuple[str, ...], root: Path | None) -> list[Path]:
    """Return every folder that may hold a card's files: the card's below each root, then the user's root itself."""
    below = [base / folder for base in roots(root) for folder in (*folders, card.name)]
    return list(dict.fromkeys([*below, *((root,) if root else ())]))


def find(card: Named, folders: tuple[str, ...], name: str, root: Path | None) -> Path | None:
    """Return the first place of a file, gzipped or not, or None."""
    names = (name, name.removesuffix(".gz"))
    found = (place / one for place in places(card, folders, root) for one in names)
    return next((path for path in found if _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """Whether a file is there; what lies in a folder that may not be looked into is not."""
    with suppress(OSError):
        return path.is_file()
    return False


def holding(card: Card, folders: tuple[str, ...], glob: str, root: Path | None) -> Path | None:
    """Return the first folder in which a glob finds a file, or None."""
    return next((place for place in places(card, folders, root) if first(place, glob)), None)


def missing(card: Card, what: str, root: Path | None) -> MissingData:
    """Return the error for what is not here: the command that gets it, and where it was looked for."""
    looked = ", ".join(map(str, roots(root)))
    return MissingData(
        f"{card.name}: {what} is not here (looked under {looked}); "
        f"get it with `oodbench data get {card.name}`, or name the folder that holds it with --data DIR."
    )
