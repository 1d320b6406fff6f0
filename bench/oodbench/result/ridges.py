"""What one method scores each kind of input: a histogram a row, right ones first, then every kind of failure.

From stored scores alone. Rows have one axis, so that one sees which failures lie where the right inputs lie.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData
from oodbench.measure.kinds import KINDS
from oodbench.measure.ranking import at_least_95_percent
from oodbench.records import Outcomes, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

GroupOf = Mapping[tuple[str, str], str]
"""The group of a failure set, by kind of failure and name."""

BINS = 80

REACH = 0.005
"""Share of a row, at either end, that the axis need not reach."""

SPANS = 2.0
"""How far the axis may go beyond the right inputs, in units of their own span: a far set must not flatten them."""

LEAST = 0.0005
"""The smallest share beyond an end that is printed, 0.1 %."""

ROW, LETTER, WIDE, ABOVE, BELOW = 0.42, 0.075, 6.4, 0.45, 0.95
"""Inches: height of a row, width of a letter, of the axis, and what stands above and below it."""

SAID = (
    "heights: shares of inputs, each row to its own highest bar, sets weighing the same; grey behind: the first row\n"
    "◂ ▸: share of a row beyond the axis; dotted: the threshold that accepts 95 % of the in-set's test inputs,\n"
    "and at the right the share of each row that it accepts; higher scores = more to be trusted"
)


class Row(NamedTuple):
    """The scores of inputs that fail, or do not fail, alike.

    Attributes:
        kind: Of failure; "" of the inputs that are right.
        label: What these inputs are called.
        values: Their scores [n], float64.
        weights: Of each [n], so that the sets of a row weigh the same; they add up to 1.
    """

    kind: str
    label: str
    values: Floats
    weights: Floats


class Theme(NamedTuple):
    """Colours of a picture: page, writing, what stands behind, the row of the right, and those of kinds of failure."""

    page: str
    ink: str
    behind: str
    right: str
    failures: tuple[str, ...]


LIGHT = Theme("white", "black", "0.86", "0.45", ("#d55e00", "#0072b2", "#b0568f", "#00805e", "#7a5c00"))
DARK = Theme("#0d1117", "#e6edf3", "#30363d", "#9aa4af", ("#ff8c42", "#56b4e9", "#e69fd0", "#2ec4a0", "#e0c040"))
"""Okabe and Ito's, darker to be seen on white, and lighter on GitHub's dark page."""


def rows(scores: Scores, outcomes: Outcomes | None, group_of: GroupOf) -> list[Row]:
    """Return the rows of a method: right inputs, those that are wrong, then the sets of each other kind by group.

    Args:
        scores: Of the method.
        outcomes: What the classifier does; without them all test inputs are the first row.
        group_of: Sets of one kind and group share a row; a set without a group has its own.
    """
    test = scores.test.astype(np.float64)
    right = test[outcomes.correct] if outcomes else test
    found = [_row("", "right" if outcomes else "in-set", [right])] if len(right) else []
    order = {group: place for place, group in enumerate(dict.fromkeys(group_of.values()))}
    for kind in sorted((one for one in KINDS.values() if not one.made_of), key=lambda one: one.name != FIRST):
        sets: dict[str, list[Floats]] = {}
        for one in kind.groups(scores, outcomes, ()):
            if len(one.bad):
                group = group_of.get((kind.name, one.name), kind.group(one.name))
                sets.setdefault(group or one.name, []).append(one.bad)
        for group in sorted(sets, key=lambda one: order.get(one, len(order))):
            label = kind.called if len(sets) == 1 else f"{kind.called}, {group}"
            found.append(_row(kind.name, label, sets[group]))
    return found


FIRST = "misclassification"
"""The kind whose row stands beside that of the right inputs."""


def _row(kind: str, label: str, sets: Sequence[Floats]) -> Row:
    weights = [np.full(len(values), 1 / (len(values) * len(sets))) for values in sets]
    return Row(kind, label, np.concatenate(sets), np.concatenate(weights))


def threshold(test: Floats) -> float:
    """Return the highest score that at least 95 % of the in-set's test inputs reach, `fpr95`'s."""
    return float(np.sort(test)[len(test) - at_least_95_percent(len(test))])


def accepted(row: Row, at: float) -> float:
    """Return the share of a row that a threshold accepts."""
    return float(row.weights[row.values >= at].sum())


def view(found: Sequence[Row]) -> tuple[float, float]:
    """Return from where to where the axis goes: what all rows reach, but not far beyond the first.

    An end leaves out at most 0.5 % of a row, unless that lies more than twice the span of the first row beyond it.
    """
    ends = np.array([np.quantile(row.values, [REACH, 1 - REACH]) for row in found])
    low, high = ends[0]
    reach = SPANS * (high - low)
    low, high = max(ends[:, 0].min(), low - reach), min(ends[:, 1].max(), high + reach)
    if low == high:
        return float(low) - 0.5, float(high) + 0.5
    return float(low), float(high)


def beyond(row: Row, ends: tuple[float, float]) -> tuple[float, float]:
    """Return the shares of a row below and above the axis."""
    low, high = ends
    return float(row.weights[row.values < low].sum()), float(row.weights[row.values > high].sum())


def figure(found: Sequence[Row], test: Floats, title: str, theme: Theme) -> "Figure":
    """Return the picture.

    Args:
        found: The rows; at least one.
        test: Scores of all of the in-set's test inputs.
        title: Of the picture.
        theme: Its colours.

    Raises:
        BadData: There is no row.
    """
    from matplotlib.figure import Figure

    if not found:
        raise BadData("nothing to draw: no set has a score")
    left, right = (LETTER * longest + 0.15 for longest in (max(len(row.label) + 9 for row in found), 9))
    width, height = left + WIDE + right, ABOVE + ROW * len(found) + BELOW
    picture = Figure(figsize=(width, height))
    picture.set_facecolor(theme.page)
    axes = picture.add_axes((left / width, BELOW / height, WIDE / width, ROW * len(found) / height))
    picture.text(0.5, 1 - 0.1 / height, title, ha="center", va="top", fontsize="large", color=theme.ink)
    picture.text(0.1 / width, 0.1 / height, SAID, ha="left", va="bottom", fontsize=7, color=theme.ink)
    at, ends = threshold(test), view(found)
    for place, row in enumerate(found):
        _bars(axes, place, found[0], ends, theme.behind)
        _bars(axes, place, row, ends, _colour(row, theme), 0.85)
        _told(axes, place, row, ends, theme)
        axes.text(
            1.012,
            place - 0.3,
            f"{100 * accepted(row, at):.1f} %",
            transform=axes.get_yaxis_transform(),
            color=theme.ink,
        )
    axes.text(1.012, -1.05, "accepted", transform=axes.get_yaxis_transform(), va="bottom", fontsize=7, color=theme.ink)
    if ends[0] <= at <= ends[1]:
        axes.axvline(at, color=theme.ink, linewidth=0.8, linestyle=":")
    _frame(axes, found, ends, theme)
    return picture


def _frame(axes: "Axes", found: Sequence[Row], ends: tuple[float, float], theme: Theme) -> None:
    axes.set_xlim(ends)
    axes.set_ylim(len(found) - 0.9, -1.0)
    axes.set_facecolor(theme.page)
    axes.set_yticks(np.arange(len(found)) - 0.3, [f"{row.label}  {len(row.values):,}" for row in found])
    for label, row in zip(axes.get_yticklabels(), found, strict=True):
        label.set_color(_colour(row, theme))
    axes.tick_params(axis="x", colors=theme.ink)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.ink)
    axes.set_xlabel("score", color=theme.ink)


def _colour(row: Row, theme: Theme) -> str:
    names = [FIRST, *(name for name in KINDS if name != FIRST)]
    return theme.failures[names.index(row.kind) % len(theme.failures)] if row.kind else theme.right


def _bars(axes: "Axes", place: int, row: Row, ends: tuple[float, float], colour: str, alpha: float = 1.0) -> None:
    """Draw what is on the axis upwards from a row's line, the highest bar as high as the row."""
    shares, edges = np.histogram(row.values, BINS, range=ends, weights=row.weights)
    if shares.max() > 0:
        axes.stairs(place - 0.85 * shares / shares.max(), edges, baseline=place, fill=True, color=colour, alpha=alpha)


def _told(axes: "Axes", place: int, row: Row, ends: tuple[float, float], theme: Theme) -> None:
    """Say which share of a row lies beyond each end."""
    below, above = beyond(row, ends)
    across, box = axes.get_yaxis_transform(), {"facecolor": theme.page, "edgecolor": "none", "alpha": 0.75, "pad": 1}
    if below >= LEAST:
        axes.text(
            0.003,
            place - 0.45,
            f"◂ {100 * below:.1f} %",
            fontsize=7,
            color=theme.ink,
            transform=across,
            bbox=box,
        )
    if above >= LEAST:
        axes.text(
            0.997, place - 0.45, f"{100 * above:.1f} % ▸", ha="right", fontsize=7, color=theme.ink, transform=across
        )
