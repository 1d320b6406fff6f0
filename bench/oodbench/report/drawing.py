"""Drawings as SVG: the same numbers make the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill, wrap
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

ROW, LETTER, PANEL, RANKS, GAP, TOP, BOTTOM, LINE = 0.2, 0.075, 1.4, 1.1, 0.2, 0.7, 0.6, 0.17
"""Inches: height of a method, width of a letter, of a panel and of its ranks, what stands around, height of a line."""

BEST, OTHER = "#0060a0", "0.55"
"""Colours of methods that may be the best, and of the others."""

LEGEND = (
    "grey points: training seeds; black: their mean; bars: 95 % interval of the true rank; "
    "blue: the set that may hold the best (95 % confidence)"
)


def ranking(title: str, panels: "Sequence[Panel]") -> Figure:
    """Return methods from best to worst, a panel a kind of failure: seeds and their mean, and beside them the rank."""
    bands = [panels[at : at + COLUMNS] for at in range(0, len(panels), COLUMNS)]
    width = max(sum(map(_width, band)) for band in bands) + GAP
    titles, legend = (wrap(text, int((width - GAP) / wide)) for text, wide in ((title, 1.2 * LETTER), (LEGEND, LETTER)))
    heads = [[fill(panel.title, int(_width(panel) / (1.1 * LETTER))) for panel in band] for band in bands]
    more = [LINE * max(head.count("\n") for head in band) for band in heads]
    top, bottom = TOP + LINE * 1.2 * (len(titles) - 1) + more[0], BOTTOM + LINE * len(legend)
    rows = [max(len(panel.names) for panel in band) for band in bands]
    starts = [top]
    for above, lines in zip(rows, more[1:], strict=False):
        starts.append(starts[-1] + ROW * above + BETWEEN + lines)
    height = starts[-1] + ROW * rows[-1] + bottom
    figure = Figure(figsize=(width, height))
    figure.text(0.5, 1 - 0.1 / height, "\n".join(titles), ha="center", va="top", fontsize="large")
    figure.text(0.5, 0.1 / height, "\n".join(legend), ha="center", va="bottom")
    for band, texts, start, high in zip(bands, heads, starts, rows, strict=True):
        left = 0.0
        for panel, head in zip(band, texts, strict=True):
            # From the names on: a title may be longer than the axes are wide.
            figure.text((left + GAP) / width, 1 - (start - 0.08) / height, head, va="bottom", weight="bold")
            left = _draw(figure, panel, left + _width(panel) - PANEL - RANKS, start, high)
    return figure


def _draw(figure: Figure, panel: "Panel", left: float, top: float, rows: int) -> float:
    """Draw scores and ranks, so many inches from the left and the top and so many rows high; return where they end."""
    width, height = figure.get_size_inches()
    for draw, wide in ((_scores, PANEL), (_ranks, RANKS)):
        place = left / width, 1 - (top + ROW * rows) / height, (wide - 0.2) / width, ROW * rows / height
        axes = figure.add_axes(place)
        axes.set_yticks([])
        axes.set_ylim(rows - 0.5, -0.5)
        axes.grid(axis="x", color="0.9")
        draw(axes, panel)
        left += wide
    return left


BETWEEN = 1.0
"""Inches between panels below each other: numbers and names of axes, and a title."""


def _width(panel: "Panel") -> float:
    """Return the inches that a panel takes: names, scores and ranks."""
    return LETTER * max(map(len, panel.names)) + GAP + PANEL + RANKS


def _scores(axes: Axes, panel: "Panel") -> None:
    """Draw the seeds in grey and their mean in black, names to the left."""
    axes.plot(*zip(*panel.seeds, strict=True), "o", color="0.7", markersize=4)
    axes.plot(*zip(*panel.means, strict=True), "o", color="black", markersize=5)
    for at, (text, rank) in enumerate(zip(panel.names, panel.ranks, strict=True)):
        # Quicker than labels of ticks, which are measured again and again.
        axes.text(-6, at, text, ha="right", va="center", color=BEST if rank.may_be_best else "black")
    axes.set_xlim(-2, 102)
    axes.set_xticks((0, 50, 100))
    axes.set_xlabel("FPR95 in percent ↓")


def _ranks(axes: Axes, panel: "Panel") -> None:
    """Draw each method's place and the interval of its rank."""
    for at, rank in enumerate(panel.ranks):
        colour = BEST if rank.may_be_best else OTHER
        axes.plot((rank.low - 0.4, rank.high + 0.4), (at, at), "-", color=colour, linewidth=4, solid_capstyle="butt")
    axes.plot([rank.place for rank in panel.ranks], range(len(panel.ranks)), "o", color="black", markersize=3)
    axes.set_xlim(0, panel.of + 1)
    step = 20 if panel.of < 100 else 50
    # room for the last number beside the one before
    axes.set_xticks(sorted({1, *range(step, 3 * panel.of // 4, step), panel.of}))
    axes.set_xlabel("rank by FPR95")


COLUMNS = 3
"""Panels beside each other: as many as can be read where a page is 900 pixels wide."""


WIDEST = 34
"""Letters of a line of a panel's title at most: as wide as the panel."""


def curves(title: str, field: str, values: Sequence[str], shown: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Return a panel a quantity, against the values of a field: seeds in grey, their means in black and joined."""
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.3 + 2.7 * rows), layout="constrained")
    figure.suptitle(title)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for (name, numbers), axes in zip(shown.items(), grid.flat, strict=False):
        _curve(axes, numbers)
        axes.set_xticks(range(len(values)), values)
        axes.set_xlabel(field)
        axes.set_title("\n".join(fill(line, WIDEST) for line in name.split("\n")))
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
