"""A picture of a matrix: FPR95 of every method, its seeds as points; the same numbers make the same bytes."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bench.report.board import Board
from bench.report.header import KINDS
from bench.report.layout import averaged
from bench.report.section import RANKED_BY, Section
from bench.store import atomically

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
