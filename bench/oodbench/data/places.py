"""Where a file of a card may be: the user's root, the system's packages, an earlier download."""

import os
from pathlib import Path

from oodbench.data.cards import Card
from oodbench.errors import MissingData

SYSTEM = Path("/usr/share/datasets")


def cache_folder() -> Path:
    """Return the folder of downloads: $OODBENCH_DATA, or oodbench/data in the user's cache."""
    named = os.environ.get("OODBENCH_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "oodbench" / "data"


def roots(root: Path | None) -> tuple[Path, ...]:
    """Return the folders to look under, in order."""
    return (*((root,) if root else ()), SYSTEM, cache_folder())


def places(card: Card, folders: tuple[str, ...], root: Path | None) -> list[Path]:
    """Return every folder that may hold a card's files: the card's below each root, then the user's root itself."""
    below = [base / folder for base in roots(root) for folder in (*folders, card.name)]
    return list(dict.fromkeys([*below, *((root,) if root else ())]))


def find(card: Card, folders: tuple[str, ...], name: str, root: Path | None) -> Path | None:
    """Return the first place of a file, gzipped or not, or None."""
    names = (name, name.removesuffix(".gz"))
    found = (place / one for place in places(card, folders, root) for one in names)
    return next((path for path in found if path.is_file()), None)


def missing(card: Card, what: str, root: Path | None) -> MissingData:
    """Return the error for what is not here: the command that gets it, and where it was looked for."""
    looked = ", ".join(map(str, roots(root)))
    return MissingData(
        f"{card.name}: {what} is not here (looked under {looked}); "
        f"get it with `oodbench data get {card.name}`, or name the folder that holds it with --data DIR."
    )
