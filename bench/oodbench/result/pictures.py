"""A result as pictures: how methods tell each set, what their scores are, what they gain by abstaining.

On white, whatever surrounds them; methods differ in colour and, beyond seven, in dashes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData, BadSetting, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.kinds import KINDS, ROUNDED
from oodbench.measure.ranking import at_least_95_percent, auroc, count
from oodbench.measure.selective import risk_coverage
from oodbench.result.ridges import LIGHT, Theme, figure, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from oodbench.result.result import Result

Floats = NDArray[np.float64]

STYLE: dict[Any, Any] = {"svg.hashsalt": "oodbench", "svg.fonttype": "none", "font.size": 9}
"""A fixed salt for identifiers, and text as text: the bytes depend on no clock, no machine and no font."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#b08a00")
"""Okabe and Ito's, apart for all kinds of colour vision; their yellow is darker here, to be seen on white."""

DASHES = ("-", "--", ":", "-.")

ACROSS = 3
"""Panels beside each other: as many as can be read where a page is 900 pixels wide."""

BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.1), "fontsize": 7, "handlelength": 1.6}
"""Where a panel's legend stands: on the curves it would hide those of the methods that need a second look."""

LINE = 0.15
"""Inches: height of a line of a legend."""

SETS = 4
"""Histograms beside each other."""

BINS = 40

REACH = 0.005
"""Share of all scores of a panel, at either end, that histograms put into their outermost bins."""


def pictures(result: "Result") -> "Pictures":
    """Return the pictures of a result.

    Raises:
        BadSetting: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise BadSetting("pictures need matplotlib, which is not installed: pip install 'oodbench[data]'")
    return Pictures(result)


@contextmanager
def _styled() -> Iterator[None]:
    """Draw in the style of all pictures, whatever the caller's own."""
    import matplotlib as mpl

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        yield


@dataclass(frozen=True)
class Pictures:
    """Draws a result; each method returns a matplotlib Figure, which shows itself in a notebook, or `.savefig(path)`.

    Example:
        >>> result.plot.roc(methods=["msp", "knn"], sets=["strange"]).savefig("roc.svg")
    """

    result: "Result"

    def roc(self, methods: Sequence[str] | None = None, sets: Sequence[str] | None = None) -> "Figure":
        """Draw receiver operating characteristics, a panel a failure set, with each method's AUROC.

        Across, the share of bad inputs that are accepted (false positive rate), upwards that of good ones (true
        positive rate), in percent; the dotted line is at 95 %, where FPR95 is read.

        Args:
            methods: Which, by name; all that ran by default.
            sets: Which, by name; by default all but the rounded twins of attacks.

        Raises:
            UnknownName: There is no such method or set.
            BadData: There is nothing to draw.
        """
        with _styled():
            chosen, panels = self._panels(methods, sets)
            below = LINE * (2 + -(-len(chosen) // 2))
            figure, grid = _grid(len(panels), 2.9, 2.9 + below)
            for axes, (name, cells) in zip(grid, panels.items(), strict=True):
                for place, method in enumerate(chosen):
                    if (cell := cells.get(method)) is None:
                        continue
                    counts = count(cell.good, cell.bad)
                    x = 100 * np.append(counts.bad_from, 0) / counts.n_bad
                    y = 100 * np.append(counts.good_from, 0) / counts.n_good
                    axes.plot(x, y, label=f"{method} {100 * auroc(counts):.1f}", linewidth=1.3, **_line(place))
                axes.axhline(95, color="0.6", linewidth=0.8, linestyle=":")
                axes.set_title(name, fontsize=9)
                axes.set(xlim=(0, 100), ylim=(0, 100.5), aspect="equal")
                axes.legend(title="AUROC, percent", title_fontsize=7, ncols=2, columnspacing=1, **BELOW)
            figure.supxlabel("bad inputs accepted (FPR), percent", fontsize=9)
            figure.supylabel("good inputs accepted (TPR), percent", fontsize=9)
            return figure

    def histograms(self, methods: Sequence[str] | None = None, sets: Sequence[str] | None = None) -> "Figure":
        """Draw the scores of good and bad inputs, a row a method and a panel a failure set; higher = more trusted.

        Of many sets the next ones stand below the first, the methods anew.

        Bars are shares of the group that a panel names; the lines are at the threshold of FPR95.

        Args:
            methods: Which, by name; all that ran by default.
            sets: Which, by name; by default all but the rounded twins of attacks.

        Raises:
            UnknownName: There is no such method or set.
            BadData: There is nothing to draw.
        """
        with _styled():
            from matplotlib.figure import Figure

            chosen, panels = self._panels(methods, sets)
            blocks = [list(panels)[start : start + SETS] for start in range(0, len(panels), SETS)]
            rows, columns = len(chosen) * len(blocks), len(blocks[0])
            figure = Figure(figsize=(max(4.0, 1.2 + 2 * columns), 0.9 + 0.95 * rows), layout="constrained")
            figure.set_facecolor("white")
            grid = figure.subplots(rows, columns, squeeze=False)
            for row, (block, method) in zip(grid, product(blocks, chosen), strict=True):
                for axes in row[len(block) :]:
                    axes.set_axis_off()
                for axes, name in zip(row, block, strict=False):
                    axes.set_yticks([])
                    axes.tick_params(labelsize=7)
                    if method in panels[name]:
                        _histogram(axes, panels[name][method])
                    if method == chosen[0]:
                        axes.set_title(name, fontsize=9)
                row[0].set_ylabel(method, rotation=0, ha="right", va="center")
            handles, labels = next(axes.get_legend_handles_labels() for axes in grid.flat if axes.patches)
            figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
            return figure

    def risk_coverage(self, methods: Sequence[str] | None = None) -> "Figure":
        """Draw which share of the accepted test images the model gets wrong, as fewer are accepted, lowest scores out.

        The curve of a perfect method, which ranks all misclassifications last, is dotted.

        Args:
            methods: Which, by name; all that ran by default.

        Raises:
            UnknownName: There is no such method.
            BadData: There is nothing to draw.
        """
        with _styled():
            chosen = self._methods(methods)
            figure, (axes,) = _grid(1, 6.6, 3.6)
            wrong = ~self.result.correct
            if not 0 < wrong.sum() < len(wrong):
                raise BadData(
                    "nothing to draw: the risk is the same at every coverage, the model is always right or wrong"
                )
            for place, method in enumerate(chosen):
                scores = self.result.scores[method]["test"]
                coverage, risk = risk_coverage(count(scores[~wrong], scores[wrong]))
                axes.plot(100 * coverage, 100 * risk, label=method, linewidth=1.3, **_line(place))
            accepted = np.arange(1, len(wrong) + 1)
            least = np.maximum(0, 1 - (~wrong).sum() / accepted)
            axes.plot(
                100 * accepted / len(wrong),
                100 * least,
                color="0.5",
                linestyle=(0, (1, 1.5)),
                linewidth=1,
                label="perfect",
            )
            axes.set(
                xlim=(0, 100),
                xlabel="test images accepted (coverage), percent",
                ylabel="of these wrong (risk), percent",
            )
            axes.set_ylim(bottom=0)
            axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
            return figure

    def ridges(self, method: str | None = None, theme: Theme = LIGHT) -> "Figure":
        """Draw what one method scores right, wrong, out-set and attacked inputs, a histogram a row on one axis.

        Args:
            method: Its name; by default the first that ran.
            theme: Colours; `oodbench.result.ridges.DARK` for a dark page.

        Raises:
            UnknownName: There is no such method.
            BadData: There is nothing to draw.
        """
        with _styled():
            (name, *_) = self._methods([method] if method else None)
            scores = next(one.scores for one in self.result.judged if one.method == name)
            assert scores is not None
            found = rows(scores, self.result.outcomes, {})
            return figure(found, scores.test.astype(np.float64), f"What {name} scores", theme)

    def _methods(self, methods: Sequence[str] | None) -> list[str]:
        ran = list(self.result.scores)
        for name in methods or ():
            if name not in ran:
                raise UnknownName("method with scores in this result", name, ran)
        if not (chosen := list(ran if methods is None else methods)):
            raise BadData("nothing to draw: no method of this result has scores; result.table says why in `note`")
        return chosen

    def _panels(
        self, methods: Sequence[str] | None, sets: Sequence[str] | None
    ) -> tuple[list[str], dict[str, dict[str, Cell]]]:
        """Return the methods, and their cells by set: out-sets first, then attacks, then misclassifications."""
        chosen = self._methods(methods)
        by_name = {one.method: one for one in self.result.judged}
        cells = [(method, cell) for method in chosen for cell in by_name[method].cells(self.result.outcomes)]
        cells.sort(key=lambda one: list(KINDS).index(one[1].failure))
        panels: dict[str, dict[str, Cell]] = {}
        for method, cell in cells:
            if len(cell.good) and len(cell.bad):
                panels.setdefault(cell.name, {})[method] = cell
        for name in sets or ():
            if name not in panels:
                raise UnknownName("failure set in this result", name, panels)
        shown = [name for name in panels if not name.endswith(ROUNDED)] if sets is None else sets
        panels = {name: panels[name] for name in shown}
        if not panels:
            raise BadData("nothing to draw: no failure set of this result has good and bad inputs")
        return chosen, panels


def _grid(panels: int, wide: float, high: float) -> "tuple[Figure, Iterator[Axes]]":
    from matplotlib.figure import Figure

    columns = min(ACROSS, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(wide * columns + 0.2, high * rows), layout="constrained")
    figure.set_facecolor("white")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, iter(axes[:panels])


def _line(place: int) -> dict[str, Any]:
    """Return how the line of a method looks."""
    dash = DASHES[place // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": dash}


def _histogram(axes: "Axes", cell: Cell) -> None:
    both = np.concatenate([cell.good, cell.bad])
    low, high = np.quantile(both, [REACH, 1 - REACH])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    for scores, colour, label in ((cell.good, "0.6", "good"), (cell.bad, COLOURS[1], "bad")):
        heights, _ = np.histogram(scores.clip(low, high), edges)
        axes.stairs(heights / len(scores), edges, fill=True, color=colour, alpha=0.6, label=label)
    counts = np.sort(cell.good)
    threshold = counts[len(counts) - at_least_95_percent(len(counts))]
    axes.axvline(threshold, color="black", linewidth=0.8, linestyle=":", label="accepts 95 % of good")
    axes.set_xlim(low, high)
