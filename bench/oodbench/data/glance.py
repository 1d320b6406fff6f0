"""What cards say of themselves, read and not checked: what lists and completion show, without a wait.

Whatever computes reads cards through their schema (`oodbench.data.cards`, `oodbench.data.matrix`,
`oodbench.data.attack_cards`); of a card that keeps it, both say the same.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from oodbench.data.folder import cards_folder, toml_files
from oodbench.errors import BadCard

ATTACKS = "attacks"
"""Name of the one file beside the cards that is none."""


@final
@dataclass(frozen=True)
class MatrixGlance:
    """Of a matrix: how many out-sets, attacks and seeds it has."""

    name: str
    scale: str
    in_set: str
    out_sets: int
    attacks: int
    seeds: int
    title: str


@final
@dataclass(frozen=True)
class CardGlance:
    """Of a data set: its splits and their sizes."""

    name: str
    roles: tuple[str, ...]
    splits: Mapping[str, int]
    title: str


@final
@dataclass(frozen=True)
class AttackGlance:
    """Of an attack; its radius, in pixel units of [0, 1], where it has one."""

    name: str
    kind: str
    eps: float | None
    title: str


@final
@dataclass(frozen=True)
class AdaptiveGlance:
    """Of an attack that knows the detector."""

    name: str
    title: str


def matrices() -> list[MatrixGlance]:
    """Return every matrix, by file.

    Raises:
        BadCard: A file cannot be read, or lacks what is listed.
    """
    return [_matrix(path) for path in toml_files(cards_folder() / "matrices")]


def cards() -> list[CardGlance]:
    """Return every data set, by file.

    Raises:
        BadCard: A file cannot be read, or lacks what is listed.
    """
    return [_card(path) for path in toml_files(cards_folder()) if path.stem != ATTACKS]


def attacks() -> tuple[list[AttackGlance], list[AdaptiveGlance]]:
    """Return every attack, and every one that knows the detector, in the order of their file.

    Raises:
        BadCard: The file cannot be read, or lacks what is listed.
    """
    path = cards_folder() / f"{ATTACKS}.toml"
    said = _read(path)
    try:
        return (
            [AttackGlance(one["name"], one["kind"], one.get("eps"), one["title"]) for one in said["attacks"]],
            [AdaptiveGlance(one["name"], one["title"]) for one in said.get("adaptive", ())],
        )
    except KeyError as error:
        raise _lacks(path, error) from error


def _matrix(path: Path) -> MatrixGlance:
    said = _read(path)
    try:
        return MatrixGlance(
            name=said["name"],
            scale=said["scale"],
            in_set=said["in_set"],
            out_sets=len(said.get("ood", ())),
            attacks=len(said.get("attacks", ())),
            seeds=len(said["seeds"]),
            title=said["title"],
        )
    except KeyError as error:
        raise _lacks(path, error) from error


def _card(path: Path) -> CardGlance:
    said = _read(path)
    try:
        return CardGlance(said["name"], tuple(said["roles"]), said["splits"], said["title"])
    except KeyError as error:
        raise _lacks(path, error) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadCard(f"{path.name} cannot be read: {error}.") from error


def _lacks(path: Path, error: KeyError) -> BadCard:
    return BadCard(f"{path.name}: has no {error.args[0]}.")
