"""`oodbench data`: which sets are here, how to get the others, whether their bytes are right; as text and a verdict."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tabulate import tabulate

from oodbench.data.cards import Card, find_card, load_cards
from oodbench.data.fetch import check, get, status
from oodbench.data.given import get_weights
from oodbench.data.matrix import Matrix, known_matrix
from oodbench.data.places import Named
from oodbench.data.remembered import recheck
from oodbench.errors import OodbenchError

N = TypeVar("N", bound=Named)


def list_cards(names: Sequence[str], root: Path | None) -> tuple[str, bool]:
    """Return a table of where each set is, or how to get it."""
    found = [status(card, root) for card in _cards(names)]
    rows = [
        (one.card, "here" if one.present else "absent", one.where if one.present else one.how_to_get) for one in found
    ]
    present = sum(one.present for one in found)
    return f"{tabulate(rows, ('data set', 'state', 'where, or how to get it'))}\n{present} of {len(rows)} here", True


def get_cards(names: Sequence[str], root: Path | None) -> tuple[str, bool]:
    """Download the named sets, of a matrix all that it names; well if all of them are here afterwards."""
    if not names:
        return "name the data sets to get: oodbench data get fashion-mnist (oodbench data list shows all)", False
    matrices = [matrix for name in names if (matrix := known_matrix(name)) is not None]
    of_matrices = [card for matrix in matrices for card in matrix.cards]
    cards = dict.fromkeys([*(name for name in names if known_matrix(name) is None), *of_matrices])
    sets = _each([find_card(name) for name in cards], lambda card: str(get(card, root)))
    weights = _each([matrix for matrix in matrices if matrix.model], lambda matrix: _got(matrix, root))
    return "\n".join(text for text, _ in (sets, weights) if text), sets[1] and weights[1]


def check_cards(names: Sequence[str], root: Path | None) -> tuple[str, bool]:
    """Read every file of the named sets (by default, of all that are here) in full; well if all checksums match."""
    wanted = [card for card in _cards(names) if names or status(card, root).present]
    return _each(wanted, lambda card: "; ".join([*sorted({one.verdict for one in check(card, root)}), *recheck(card)]))


def _got(matrix: Matrix, root: Path | None) -> str:
    return "weights " + ", ".join(map(str, get_weights(matrix, root)))


def _cards(names: Sequence[str]) -> list[Card]:
    return [find_card(name) for name in names] if names else list(load_cards().values())


def _each(cards: Sequence[N], act: Callable[[N], str]) -> tuple[str, bool]:
    """Return a line a set or matrix, with what came of it or what went wrong."""
    lines, well = [], True
    for card in cards:
        try:
            lines.append(f"{card.name}: {act(card)}")
        except (OodbenchError, OSError) as error:
            lines.append(f"{card.name}: FAILED {error}")
            well = False
    return "\n".join(lines), well
