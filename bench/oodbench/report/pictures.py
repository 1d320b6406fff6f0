"""Which pictures a matrix has: FPR95 and rank of every method, and sweeps, seeds as points.

A picture names the sha256 of what it shows, and is drawn again only where that is another.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from oodbench.measure.kinds import averaged
from oodbench.report.families import short_board
from oodbench.report.models import Sweep, points
from oodbench.report.numbers import RANKED_BY
from oodbench.report.standings import MatrixResults, Standings
from oodbench.store import digest

LOOK = 5
"""Of `oodbench.report.drawing`: one more where a picture of the same numbers looks otherwise."""

Points = Sequence[tuple[float, float]]


class Bar(NamedTuple):
    """A rank: its place, its 95 % interval, and whether the method may be the best."""

    place: int
    low: int
    high: int
    may_be_best: bool


class Panel(NamedTuple):
    """Methods of one kind of failure, from best to worst: names, seeds and means as points, and ranks as bars.

    Attributes:
        of: How many methods have a rank, whether they are shown or not.
    """

    title: str
    of: int
    names: list[str]
    seeds: Points
    means: Points
    ranks: list[Bar]


def draw(matrix: MatrixResults, path: Path, *, short: bool) -> None:
    """Write a picture of a matrix to `path` as SVG, a panel a kind of failure; none where nothing is ranked.

    Args:
        matrix: The matrix.
        path: Where to.
        short: Show the rows of the short board; else all that are ranked.
    """
    panels = [_panel(standings, short) for standings in matrix.kinds if standings.ranked]
    title = f"{matrix.card.title if matrix.card else matrix.name} ({matrix.name}, scale {matrix.scale})"
    if any(len(panel.names) < panel.of for panel in panels):
        title += ": the best of each family, and what may be the best"
    seal = f"oodbench: shows {digest(LOOK, title, panels)}"
    if panels and not _shows(path, seal):
        from oodbench.report import drawing

        drawing.save(lambda: drawing.ranking(title, panels), path, seal)


def _panel(standings: Standings, short: bool) -> Panel:
    sets, board = averaged(standings.columns), short_board(standings)
    ranked = [one for one in standings.ranked if one.method in board or not short]
    seeds = [
        (100 * mean, place)
        for place, one in enumerate(ranked)
        for mean in standings.by_seed(RANKED_BY, one.method, sets)
    ]
    means = [(100 * one.mean, place) for place, one in enumerate(ranked)]
    ranks = [Bar(one.place, one.low, one.high, one.may_be_best) for one in ranked]
    return Panel(standings.kind.title, len(standings.ranked), [one.method for one in ranked], seeds, means, ranks)


def draw_sweep(sweep: Sweep, matrix: MatrixResults, path: Path) -> None:
    """Write the picture of a sweep to `path` as SVG: bits, accuracy, and mean AUROC by kind against the value."""
    found = points(sweep, matrix)
    panels: dict[str, list[Sequence[float]]] = {
        "Bits per dimension": [one.bits for one in found],
        "Accuracy in percent": [[100 * share for share in one.accuracy] for one in found],
    }
    for kind in (standings.kind for standings in matrix.kinds):
        by_value = [[100 * share for share in one.auroc.get(kind.name, ())] for one in found]
        panels[f"{kind.title}\nAUROC in percent"] = list(by_value)
    shown = {name: numbers for name, numbers in panels.items() if any(map(len, numbers))}
    title, values = f"{sweep.field} of {sweep.recipe} on {matrix.name}", [str(one.value) for one in found]
    seal = f"oodbench: shows {digest(LOOK, title, values, shown)}"
    if not _shows(path, seal):
        from oodbench.report import drawing

        drawing.save(lambda: drawing.curves(title, sweep.field, values, shown), path, seal)


def _shows(path: Path, seal: str) -> bool:
    """Whether a picture of the same numbers lies there."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return seal in file.read(2000)
