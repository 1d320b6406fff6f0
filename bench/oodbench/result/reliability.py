"""Reliability diagrams: accuracy against confidence, with the share of inputs below."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.measure.calibration import ece
from oodbench.measure.confidence import Judgements, reliability
from oodbench.result.ridges import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 15

WIDE, HIGH = 3.0, 4.0
"""Inches of a panel."""

SAID = "bars: accuracy in 15 bins of confidence; points: mean confidence there; dotted: as it should be; below: inputs"


def figure(panels: Mapping[str, Judgements], title: str, theme: Theme) -> "Figure":
    """Return a panel a set of predictions, beside each other: bars of accuracy, and the inputs of each bin.

    Args:
        panels: Predictions by title; at least one.
        title: Of the picture.
        theme: Its colours.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(max(2, len(panels)) * WIDE, HIGH), layout="constrained")
    picture.set_facecolor(theme.page)
    picture.suptitle(title, color=theme.ink)
    picture.supxlabel(f"confidence\n{SAID}", fontsize=7, color=theme.ink)
    grid = picture.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1))
    for (name, judged), above, below in zip(panels.items(), *grid, strict=True):
        _accuracy(above, judged, f"{name}: ECE {100 * ece(judged.confidence, judged.correct, BINS):.2f} %", theme)
        _inputs(below, judged, theme)
        for axes in (above, below):
            axes.set_facecolor(theme.page)
            axes.tick_params(colors=theme.ink, labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(theme.ink)
    grid[0][0].set_ylabel("accuracy", color=theme.ink)
    grid[1][0].set_ylabel("share", color=theme.ink)
    return picture


def _accuracy(axes: Any, judged: Judgements, title: str, theme: Theme) -> None:
    found, edges = reliability(judged, BINS), np.linspace(0, 1, BINS + 1)
    axes.stairs(np.nan_to_num(found.accuracy), edges, fill=True, color=theme.failures[1], alpha=0.6)
    axes.plot((0, 1), (0, 1), color=theme.ink, linewidth=0.8, linestyle=":")
    seen = found.n > 0
    middle = (edges[1:] + edges[:-1])[seen] / 2
    axes.plot(middle, found.confidence[seen], "o", color=theme.failures[0], markersize=3)
    axes.vlines(middle, found.confidence[seen], found.accuracy[seen], color=theme.failures[0], linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(title, fontsize=9, color=theme.ink)


def _inputs(axes: Any, judged: Judgements, theme: Theme) -> None:
    n = reliability(judged, BINS).n
    axes.stairs(n / n.sum(), np.linspace(0, 1, BINS + 1), fill=True, color=theme.right)
    axes.set_ylim(0, 1)
