"""Histograms of bits per dimension, a panel a group of out-sets."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.diagnostics.drawn import draw

Floats: TypeAlias = npt.NDArray[np.float64]

BINS = 70

TICKS = (-5, -2, -1, 0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)
"""Where bits are told, of those that are in sight."""


def draw_all(inside: Floats, groups: Mapping[str, Mapping[str, Floats]], folder: Path, title: str) -> Path:
    """Write the picture into a folder; return the file."""
    return draw(partial(_histograms, inside, groups), folder / "histograms.png", title)


def _histograms(inside: Floats, groups: Mapping[str, Mapping[str, Floats]], figure: Any) -> None:
    """The in-set in grey in every panel, a line a set, on one axis of bits that is logarithmic from about 1 on."""
    rows = max((len(sets) + 2) // 2 for sets in groups.values())  # of the legends, in two columns
    figure.set_size_inches(3.1 * len(groups), 2.7 + 0.2 * rows)
    panels, legends = figure.subplots(2, len(groups), squeeze=False, height_ratios=(2.3, 0.2 * rows))
    edges = bins([inside, *(bits for sets in groups.values() for bits in sets.values())])
    for axes, legend, (group, sets) in zip(panels, legends, groups.items(), strict=True):
        axes.hist(inside, edges, weights=_shares(inside), color="0.78", label="in-set")
        for place, (name, bits) in enumerate(sets.items()):
            style = ("-", "--", ":")[place // 10 % 3]
            axes.hist(
                bits,
                edges,
                weights=_shares(bits),
                histtype="step",
                color=f"C{place % 10}",
                ls=style,
                lw=1.2,
                label=name,
            )
        axes.set_xscale("asinh", linear_width=1)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xticks([tick for tick in TICKS if edges[0] <= tick <= edges[-1]])
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="x", rotation=45)
        axes.set_yticks([])
        axes.set_xlabel("bits per dimension")
        axes.set_title(group)
        legend.set_axis_off()
        legend.legend(*axes.get_legend_handles_labels(), loc="upper center", ncols=2, frameon=False)
    panels[0].set_ylabel("share of images")


def bins(sets: list[Floats]) -> Floats:
    """Return the edges of bins that hold all values, as wide as asinh is steep."""
    low, high = min(float(bits.min()) for bits in sets), max(float(bits.max()) for bits in sets)
    edges: Floats = np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), BINS + 1))
    edges[[0, -1]] = low, high
    return edges


def _shares(bits: Floats) -> Floats:
    return np.full(len(bits), 1 / len(bits))
