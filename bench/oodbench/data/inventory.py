"""`oodbench data`: which sets are here, how to get the others, whether their bytes are right; as text and a verdict."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from oodbench.data.cards import Card, find_card, load_cards
from oodbench.data.fetch import check, get, status
from oodbench.data.given import get_weights
from oodbench.data.matrix import Matrix, known_matrix, load_matrices
from oodbench.data.places import Named
from oodbench.data.remembered import recheck
from oodbench.errors import OodbenchError, UnknownName
from oodbench.shown import Page, Table

N = TypeVar("N", bound=Named)


COLOURS = {"here": "green", "absent": "bright_black"}


def list_cards(names: Sequence[str], root: Path | None) -> tuple[Page, bool]:
    """Return a table of where each set is, or how to get it."""
    found = [status(card, root) for card in _cards(names)]
    rows = [
        (one.card, "here" if one.present else "absent", one.where if one.present else one.how_to_get) for one in found
    ]
    present = sum(one.present for one in found)
    page = Page(
        Table(("data set", "state", "where, or how to get it"), rows, colours=COLOURS),
        f"{present} of {len(rows)} here",
        data=[
            {"set": one.card, "here": one.present, "where" if one.present else "how_to_get": row[-1]}
            for one, row in zip(found, rows, strict=True)
        ],
    )
    return page, True


def get_cards(names: Sequence[str], root: Path | None) -> tuple[Page, bool]:
    """Download the named sets, of a matrix all that it names; well if all of them are here afterwards.

    Raises:
        UnknownName: There is no such set, and no such matrix.
    """
    if not names:
        said = "name the data sets to get: oodbench data get fashion-mnist (oodbench data list shows all)"
        return Page(said, data={"error": said}), False
    matrices = [matrix for name in names if (matrix := known_matrix(name)) is not None]
    of_matrices = [card for matrix in matrices for card in matrix.cards]
    cards = dict.fromkeys([*(name for name in names if known_matrix(name) is None), *of_matrices])
    if unknown := [name for name in cards if name not in load_cards()]:
        raise UnknownName("data set or matrix", unknown[0], [*load_cards(), *load_matrices()])
    sets = _each([find_card(name) for name in cards], lambda card: str(get(card, root)))
    weights = _each([matrix for matrix in matrices if matrix.model], lambda matrix: _got(matrix, root))
    return _page([*sets, *weights])


def check_cards(names: Sequence[str], root: Path | None) -> tuple[Page, bool]:
    """Read every file of the named sets (by default, of all that are here) in full; well if all checksums match."""
    wanted = [card for card in _cards(names) if names or status(card, root).present]
    verdicts = _each(
        wanted, lambda card: "; ".join([*sorted({one.verdict for one in check(card, root)}), *recheck(card)])
    )
    return _page(verdicts)


def _got(matrix: Matrix, root: Path | None) -> str:
    return "weights " + ", ".join(map(str, get_weights(matrix, root)))


def _cards(names: Sequence[str]) -> list[Card]:
    return [find_card(name) for name in names] if names else list(load_cards().values())


class Said(NamedTuple):
    """What came of a set or matrix, or what went wrong."""

    name: str
    said: str
    well: bool


def _each(cards: Sequence[N], act: Callable[[N], str]) -> list[Said]:
    """Return what came of each set or matrix."""
    found = []
    for card in cards:
        try:
            found.append(Said(card.name, act(card), True))
        except (OodbenchError, OSError) as error:
            found.append(Said(card.name, f"FAILED {error}", False))
    return found


def _page(found: Sequence[Said]) -> tuple[Page, bool]:
    """Return a line a set or matrix, and whether all is well."""
    data = [{"set": one.name, "well": one.well, "said": one.said.removeprefix("FAILED ")} for one in found]
    return Page(*(f"{one.name}: {one.said}" for one in found), data=data), all(one.well for one in found)
