"""The study of likelihoods as pictures."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patheffects import withStroke

from oodbench.diagnostics.drawn import draw

if TYPE_CHECKING:
    from oodbench.diagnostics.likelihood import Parts, Values

BINS = 120

VIEW = 6
"""Standard deviations of the in-set about its median that histograms show; what lies beyond is counted in words."""

CONSTANT = 0.5
"""Nats to both sides where all of the in-set has one value but for rounding."""

GROUPS = {"in-set": "0.35", "near": "#0060a0", "far": "#b04a00", "synthetic": "#7b3294"}
"""Groups of sets from top to bottom, and their colours: dark enough for text on white, and apart in print."""

LEAST = 0.005
"""The smallest share beyond an edge that is printed, as 1 %."""


def draw_all(
    parts: "Mapping[str, Parts]",
    variances: Mapping[str, float],
    gray: "Mapping[str, Mapping[float, Values]]",
    groups: Mapping[str, str],
    folder: Path,
    title: str,
) -> list[Path]:
    """Write every picture into a folder; return the files.

    Args:
        parts: By set, the in-set's test images under the name "test".
        variances: By set.
        gray: Log densities by grey level and contrast.
        groups: Of the out-sets; the others are of the in-set.
        folder: Where to write.
        title: Of each picture.
    """
    drawings: dict[str, Callable[[Any], None]] = {
        "decomposition": partial(_decomposition, parts, groups),
        "second-order": partial(_second_order, parts, variances, groups),
        "graying": partial(_graying, gray),
    }
    return [draw(drawing, folder / f"{name}.png", title) for name, drawing in drawings.items()]


def _decomposition(parts: "Mapping[str, Parts]", groups: Mapping[str, str], figure: Any) -> None:
    """Histograms of log p(z), of the volume and of their sum, a row a set, with the in-set's behind each in grey."""
    rows = [name for group in GROUPS for name in parts if name != "test" and groups.get(name, "in-set") == group]
    figure.set_size_inches(8.5, 1.5 + 0.33 * len(rows))
    figure.set_layout_engine("constrained", w_pad=0.1)
    terms: dict[str, Callable[[Parts], Values]] = {
        "log p(z)": lambda part: part.log_prior,
        "+ log |det dz/dy|": lambda part: part.log_det,
        "= log p(y)": lambda part: part.log_density,
    }
    columns = figure.subplots(1, len(terms), sharey=True)
    for axes, (heading, term) in zip(columns, terms.items(), strict=True):
        inside = term(parts["test"])
        low, high = view(inside)
        highest = _shares(inside, (low, high)).max()
        for row, name in enumerate(rows):
            _histogram(axes, row, inside, (low, high), highest, "0.8")
            values, colour = term(parts[name]), GROUPS[groups.get(name, "in-set")]
            _histogram(axes, row, values, (low, high), highest, colour)
            _outside(axes, row, values, (low, high), colour)
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.9, -1.05)
        axes.set_xlabel(f"{heading}, nats")
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=4, prune="both")
        if high - low == 2 * CONSTANT:
            axes.set_xticks([(low + high) / 2], [f"{(low + high) / 2:,.2f}"])
        axes.spines[["left", "top", "right"]].set_visible(False)
    columns[0].set_yticks(np.arange(len(rows)) - 0.3, [_label(name, groups) for name in rows])
    for label, name in zip(columns[0].get_yticklabels(), rows, strict=True):
        label.set_color(GROUPS[groups.get(name, "in-set")])
    figure.supxlabel(
        "grey behind each row: the in-set's test images; heights are shares of images,\n"
        "and a row is as high as the in-set's highest bin, or as the set's own where that is higher\n"
        "beyond an edge: the share of a set's images that lie there, from 1 %\n"
        f"out-sets: {', '.join(f'{name} {colour}' for name, colour in WORDS.items())}",
        fontsize="medium",
    )


WORDS = {"near": "blue", "far": "orange", "synthetic": "violet"}
"""What the colours of groups are called."""


def _histogram(axes: Any, row: int, values: "Values", shown: tuple[float, float], highest: float, colour: str) -> None:
    """Draw what is within view upwards from a row's line; the row is as high as `highest`, or as a higher peak."""
    shares = _shares(values, shown)
    edges = np.linspace(*shown, BINS + 1)
    heights = 0.85 * shares / max(highest, shares.max())
    axes.stairs(row - heights, edges, baseline=row, fill=True, color=colour, alpha=0.75)
    axes.axhline(row, color="0.8", linewidth=0.5, zorder=0)


def _shares(values: "Values", shown: tuple[float, float]) -> "Values":
    """Return which share of the values each bin holds."""
    return np.histogram(values, bins=BINS, range=shown)[0] / len(values)


def _outside(axes: Any, row: int, values: "Values", shown: tuple[float, float], colour: str) -> None:
    """Say which share of the values lies beyond each edge of the view."""
    for edge, share, word, side in (
        (shown[0], float((values < shown[0]).mean()), "below", "left"),
        (shown[1], float((values > shown[1]).mean()), "above", "right"),
    ):
        if share >= LEAST:
            text = f"{100 * share:.0f} % {word}"
            said = axes.text(edge, row - 0.45, text, ha=side, va="center", fontsize="small", color=colour)
            said.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _label(name: str, groups: Mapping[str, str]) -> str:
    return name if name in groups else f"in-set, {name}"


def view(inside: "Values") -> tuple[float, float]:
    """Return from where to where histograms go; symmetric about the in-set's median."""
    middle, reach = float(np.median(inside)), VIEW * float(inside.std())
    reach = reach if reach > 1e-3 else CONSTANT
    return middle - reach, middle + reach


def _second_order(
    parts: "Mapping[str, Parts]", variances: Mapping[str, float], groups: Mapping[str, str], figure: Any
) -> None:
    """Each set's variance, and by how much it is likelier than the in-set: eq. 6 expects the shaded quarters."""
    figure.set_size_inches(8.5, 4.8)
    axes = figure.subplots()
    level, own = float(parts["test"].log_density.mean()), variances["test"]
    gains = {name: float(part.log_density.mean()) - level for name, part in parts.items() if name != "test"}
    axes.axhline(0, color="0.5", linewidth=0.8, zorder=0)
    axes.axvline(own, color="0.5", linewidth=0.8, zorder=0)
    axes.set_yscale("symlog", linthresh=100)
    for name, gain in gains.items():
        axes.plot(variances[name], gain, "o", color=GROUPS[groups.get(name, "in-set")])
    axes.margins(0.06, 0.08)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(left, right)
    axes.set_ylim(min(bottom, -150.0), max(top, 150.0))
    axes.fill_between((left, own), 0, axes.get_ylim()[1], color="0.93", zorder=-1)
    axes.fill_between((own, right), axes.get_ylim()[0], 0, color="0.93", zorder=-1)
    axes.yaxis.set_major_formatter(lambda gain, _: f"{gain:,.0f}")
    axes.set_xlabel("sum of the pixels' variances; vertical line: the in-set's test images")
    axes.set_ylabel("mean log p(y) above the in-set's test images\nin nats, logarithmic beyond 100")
    axes.set_title("shaded: less variance and likelier, or more variance and less likely, as eq. 6 has it", fontsize=9)
    order = sorted(gains, key=lambda name: -gains[name])
    for place, name in enumerate(order):
        colour = GROUPS[groups.get(name, "in-set")]
        axes.annotate(
            f"{_label(name, groups)}  {gains[name]:+,.0f}",
            (variances[name], gains[name]),
            (1.05, 1 - (place + 0.5) / len(order)),
            textcoords="axes fraction",
            va="center",
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6},
        )


def _graying(gray: "Mapping[str, Mapping[float, Values]]", figure: Any) -> None:
    """The in-set's mean log density as its contrast is taken away, a curve a grey level that it is taken about."""
    figure.set_size_inches(6.4, 3.6)
    axes = figure.subplots()
    for (name, curve), colour in zip(gray.items(), (GROUPS["near"], GROUPS["far"]), strict=False):
        means = [float(values.mean()) for values in curve.values()]
        axes.plot(list(curve), means, "o-", color=colour)
        axes.annotate(f"about {name}", (list(curve)[-1], means[-1]), (6, 0), textcoords="offset points", color=colour)
    axes.spines[["top", "right"]].set_visible(False)
    axes.invert_xaxis()
    axes.set_xlabel("contrast left in the in-set's test images")
    axes.set_ylabel("mean log p(y), nats")
