"""Drawings as SVG: the same numbers make the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from oodbench.store import atomically

if TYPE_CHECKING:
    from oodbench.report.pictures import Panel

STYLE: dict[Any, Any] = {"svg.hashsalt": "oodbench", "svg.fonttype": "none", "font.size": 9}
"""A fixed salt for identifiers, and text as text: the bytes depend on no clock, no machine and no font."""

ROW, LETTER, PANEL, GAP, TOP, BOTTOM = 0.2, 0.075, 2.4, 0.25, 0.65, 0.5
"""Inches: height of a method, width of a letter of its name, width of a panel, and what stands around them."""


def ranking(title: str, panels: "Sequence[Panel]") -> Figure:
    """Return methods from best to worst, a panel a kind of failure: seeds in grey, their mean in black."""
    labels = [LETTER * max(map(len, names)) + GAP for _, names, _, _ in panels]
    width = sum(labels) + len(panels) * PANEL + GAP
    rows = max(len(names) for _, names, _, _ in panels)
    height = TOP + BOTTOM + ROW * rows
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, y=1 - 0.15 / height, va="top")
    left = 0.0
    for label, (name, names, seeds, means) in zip(labels, panels, strict=True):
        left += label
        axes = figure.add_axes((left / width, BOTTOM / height, PANEL / width, ROW * rows / height))
        left += PANEL
        axes.plot(*zip(*seeds, strict=True), "o", color="0.7", markersize=4)
        axes.plot(*zip(*means, strict=True), "o", color="black", markersize=5)
        for at, text in enumerate(names):  # quicker than labels of ticks, which are measured again and again
            axes.text(-4, at, text, ha="right", va="center")
        axes.set_yticks([])
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.set_xlabel("FPR95 in percent, lower is better")
        axes.set_title(name)
        axes.grid(axis="x", color="0.9")
    return figure


def curves(title: str, field: str, values: Sequence[str], shown: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Return a panel a quantity, against the values of a field: seeds in grey, their means in black and joined."""
    figure = Figure(figsize=(3.2 * len(shown), 3), layout="constrained")
    figure.suptitle(title)
    grid: Any = figure.subplots(1, len(shown), squeeze=False)
    for (name, numbers), axes in zip(shown.items(), grid[0], strict=True):
        _curve(axes, numbers)
        axes.set_xticks(range(len(values)), values)
        axes.set_xlabel(field)
        axes.set_title(name)
    return figure


def _curve(axes: Axes, numbers: Sequence[Sequence[float]]) -> None:
    for place, seeds in enumerate(numbers):
        axes.plot([place] * len(seeds), seeds, "o", color="0.7", markersize=4)
    means = [(place, fmean(seeds)) for place, seeds in enumerate(numbers) if seeds]
    axes.plot(*zip(*means, strict=True), "o-", color="black", markersize=5, linewidth=1)
    axes.grid(axis="y", color="0.9")


def save(drawn: Callable[[], Figure], path: Path, creator: str) -> None:
    """Write what a function draws to `path`, whole or not at all."""
    with mpl.rc_context(STYLE):
        figure = drawn()
        FigureCanvasSVG(figure)
        with atomically(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": creator})
