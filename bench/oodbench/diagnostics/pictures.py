"""The study of likelihoods as pictures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from oodbench.diagnostics.drawn import draw

if TYPE_CHECKING:
    from oodbench.diagnostics.likelihood import Parts, Values

BINS = 120

VIEW = 10
"""In-set standard deviations about its mean that histograms show; what lies beyond stands at their edge."""

COLOURS = 20
"""Sets before a colour comes again."""


def draw_all(
    parts: "Mapping[str, Parts]",
    variances: Mapping[str, float],
    gray: "Mapping[str, Mapping[float, Values]]",
    folder: Path,
    title: str,
) -> list[Path]:
    """Write every picture into a folder; return the files."""
    drawings: dict[str, Callable[[Any], None]] = {
        "decomposition": partial(_decomposition, parts),
        "second-order": partial(_second_order, parts, variances),
        "graying": partial(_graying, parts, gray),
    }
    return [draw(drawing, folder / f"{name}.png", title) for name, drawing in drawings.items()]


def _decomposition(parts: "Mapping[str, Parts]", figure: Any) -> None:
    """Histograms of log p(z), of the volume and of their sum, a colour a set; what lies far off stands at the edge."""
    figure.set_size_inches(12, 4)
    terms: dict[str, Callable[[Parts], Values]] = {
        "log p(z)": lambda part: part.log_prior,
        "log |det dz/dy|": lambda part: part.log_det,
        "log p(y)": lambda part: part.log_density,
    }
    for axes, (heading, term) in zip(figure.subplots(1, len(terms)), terms.items(), strict=True):
        low, high = view(term(parts["test"]), [term(part) for part in parts.values()])
        for place, (name, part) in enumerate(parts.items()):
            inside = name == "test"
            axes.hist(
                np.clip(term(part), low, high),
                bins=BINS,
                range=(low, high),
                density=True,
                histtype="stepfilled" if inside else "step",
                color="0.7" if inside else mpl.colormaps["tab20"](place % COLOURS),
                label="in-set" if inside else name,
            )
        axes.set_xlabel(f"{heading}, nats")
        axes.set_yticks([])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def view(inside: "Values", sets: "Sequence[Values]") -> tuple[float, float]:
    """Return from where to where histograms go; where all is constant but for rounding, a nat about it."""
    mean, reach = float(inside.mean()), VIEW * float(inside.std())
    low = max(mean - reach, min(float(values.min()) for values in sets))
    high = min(mean + reach, max(float(values.max()) for values in sets))
    return (low, high) if high - low > 1e-3 else (mean - 0.5, mean + 0.5)


def _second_order(parts: "Mapping[str, Parts]", variances: Mapping[str, float], figure: Any) -> None:
    """Each set's variance, and by how much it is likelier than the in-set: eq. 6 expects a falling line."""
    axes = figure.subplots()
    level = parts["test"].log_density.mean()
    for name, part in parts.items():
        axes.plot(variances[name], part.log_density.mean() - level, "s" if name == "test" else "o", color="tab:blue")
        axes.annotate("in-set" if name == "test" else name, (variances[name], part.log_density.mean() - level))
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.axvline(variances["test"], color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlabel("sum of the pixels' variances")
    axes.set_ylabel("mean log p(y) above the in-set's, nats")


def _graying(parts: "Mapping[str, Parts]", gray: "Mapping[str, Mapping[float, Values]]", figure: Any) -> None:
    """The in-set's mean log density as its contrast is taken away, a curve a grey level that it is taken about."""
    axes = figure.subplots()
    for name, curve in gray.items():
        axes.plot(list(curve), [values.mean() for values in curve.values()], "o-", label=f"about {name}")
    axes.legend()
    axes.invert_xaxis()
    axes.set_xlabel("contrast left in the in-set's images")
    axes.set_ylabel("mean log p(y), nats")
