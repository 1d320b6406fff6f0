"""Pictures of a matrix: FPR95 of every method, and sweeps, seeds as points; the same numbers make the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from oodbench.report.board import Board
from oodbench.report.header import KINDS
from oodbench.report.layout import averaged
from oodbench.report.section import RANKED_BY, Section
from oodbench.report.sweeps import Sweep, points
from oodbench.store import atomically

STYLE: dict[Any, Any] = {"svg.hashsalt": "oodbench", "svg.fonttype": "none", "font.size": 9}
"""A fixed salt for identifiers, and text as text: the bytes depend on no clock, no machine and no font."""


def draw(board: Board, path: Path) -> None:
    """Write the picture of a matrix to `path` as SVG, a panel a kind of failure; none where nothing is ranked."""
    panels = [section for section in board.sections if section.ranked]
    if not panels:
        return
    rows = max(len(section.ranked) for section in panels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1 + 4 * len(panels), 1 + 0.25 * rows), layout="constrained")
        FigureCanvasSVG(figure)
        figure.suptitle(f"{board.title or board.matrix} ({board.matrix}, scale {board.scale})")
        grid: Any = figure.subplots(1, len(panels), squeeze=False)
        for section, axes in zip(panels, grid[0], strict=True):
            _panel(axes, section)
        with atomically(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": "oodbench"})


def draw_sweep(sweep: Sweep, board: Board, path: Path) -> None:
    """Write the picture of a sweep to `path` as SVG: bits, accuracy, and mean AUROC by failure against the value."""
    found = points(sweep, board)
    panels: dict[str, list[Sequence[float]]] = {
        "Bits per dimension": [one.bits for one in found],
        "Accuracy in percent": [[100 * share for share in one.accuracy] for one in found],
    }
    for section in board.sections:
        name = f"{KINDS[section.failure][0]}: AUROC in percent"
        panels[name] = [[100 * share for share in one.auroc.get(section.failure, ())] for one in found]
    shown = {name: numbers for name, numbers in panels.items() if any(map(len, numbers))}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(shown), 3), layout="constrained")
        FigureCanvasSVG(figure)
        figure.suptitle(f"{sweep.field} of {sweep.recipe} on {board.matrix}")
        grid: Any = figure.subplots(1, len(shown), squeeze=False)
        for (name, numbers), axes in zip(shown.items(), grid[0], strict=True):
            _points(axes, numbers)
            axes.set_xticks(range(len(found)), [str(one.value) for one in found])
            axes.set_xlabel(sweep.field)
            axes.set_title(name)
        with atomically(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": "oodbench"})


def _points(axes: Axes, numbers: Sequence[Sequence[float]]) -> None:
    """Draw seeds in grey and their means in black, joined."""
    for place, seeds in enumerate(numbers):
        axes.plot([place] * len(seeds), seeds, "o", color="0.7", markersize=4)
    means = [(place, fmean(seeds)) for place, seeds in enumerate(numbers) if seeds]
    axes.plot(*zip(*means, strict=True), "o-", color="black", markersize=5, linewidth=1)
    axes.grid(axis="y", color="0.9")


def _panel(axes: Axes, section: Section) -> None:
    """Draw the methods from best to worst, downwards: seeds in grey, their mean in black."""
    methods = [one.method for one in section.ranked]
    sets = averaged(section.columns)
    for place, one in enumerate(section.ranked):
        seeds = [100 * mean for mean in section.by_seed(RANKED_BY, one.method, sets)]
        axes.plot(seeds, [place] * len(seeds), "o", color="0.7", markersize=4)
        axes.plot(100 * one.mean, place, "o", color="black", markersize=5)
    axes.set_yticks(range(len(methods)), [f"{method}  {section.ranks[method]}" for method in methods])
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel("FPR95 in percent, lower is better")
    axes.set_title(KINDS[section.failure][0])
    axes.grid(axis="x", color="0.9")
