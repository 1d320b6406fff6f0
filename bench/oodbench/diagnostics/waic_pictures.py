"""WAIC's jackknife, and the images at both ends of the score, as pictures."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.data.inputs import Inputs
from oodbench.diagnostics.drawn import draw

Floats: TypeAlias = npt.NDArray[np.float64]

EXAMPLES = 6
"""Images at each end of the score."""

TOLD = 1.0
"""Points of AUROC by which a member must move it to be named."""


def draw_all(
    study: Mapping[str, Any], sets: Mapping[str, Inputs], scores: Mapping[str, Floats], folder: Path
) -> list[Path]:
    """Write both pictures into a folder; return the files."""
    title = f"{study['method']} on {study['matrix']}, seed {study['seed']}"
    return [
        draw(partial(_jackknife, study), folder / "waic-jackknife.png", title),
        draw(partial(_strips, sets, scores), folder / "waic-images.png", f"{title}: WAIC in nats below each image"),
    ]


def _jackknife(study: Mapping[str, Any], figure: Any) -> None:
    """A row a set: AUROC of all members, and without each of them."""
    found = study["auroc"]
    figure.set_size_inches(6.5, 1.3 + 0.27 * len(found))
    axes = figure.subplots()
    for place, one in enumerate(found.values()):
        without = 100 * np.array(one["without"])
        axes.plot((without.min(), without.max()), (place, place), color="0.8", linewidth=5, solid_capstyle="butt")
        axes.plot(without, [place] * len(without), "o", color="tab:blue", markersize=4, alpha=0.7, markeredgewidth=0)
        axes.plot(100 * one["all"], place, "|", color="black", markersize=11, markeredgewidth=1.4)
        farthest = int(np.abs(without - 100 * one["all"]).argmax())
        if abs(without[farthest] - 100 * one["all"]) >= TOLD:
            axes.text(without[farthest], place - 0.22, str(study["members"][farthest]), ha="center", va="bottom")
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.4, -0.9)
    axes.set_xlim(-3, 103)
    axes.grid(axis="x", color="0.92")
    axes.set_xlabel(
        "AUROC of the in-set, percent: black, all members; blue, without one of them\n"
        f"(its seed stands above the one that moves it most, by {TOLD:g} point or more)"
    )


def _strips(sets: Mapping[str, Inputs], scores: Mapping[str, Floats], figure: Any) -> None:
    """A row a set: its images of highest score, and those of lowest, with the score in nats below each."""
    figure.set_size_inches(0.72 * (2 * EXAMPLES + 1) + 1.3, 0.92 * len(sets) + 0.4)
    gaps = [*[1.0] * EXAMPLES, 0.35, *[1.0] * EXAMPLES]
    grid = figure.subplots(len(sets), len(gaps), squeeze=False, width_ratios=gaps)
    for row, (name, images) in zip(grid, sets.items(), strict=True):
        for axes in row:
            axes.set_axis_off()
        order = np.argsort(-scores[name], kind="stable")
        few = min(EXAMPLES, len(order) // 2)
        places = [*order[:few], *order[-few:]] if few else list(order)
        at = [*range(few), *range(len(gaps) - few, len(gaps))] if few else [0]
        x = images.batch(np.array(places))
        for column, place, image in zip(at, places, x, strict=True):
            row[column].imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
            row[column].set_title(nats(float(scores[name][place])), fontsize=6, y=-0.32)
        label = "in-set" if name == "test" else name
        row[0].text(-0.12, 0.5, label, transform=row[0].transAxes, ha="right", va="center")
    for first, heading in ((grid[0, 0], "highest"), (grid[0, -EXAMPLES], "lowest")):
        first.text(0, 1.08, heading, transform=first.transAxes, ha="left", va="bottom")


def nats(score: float) -> str:
    """Return a score as short as an image is wide.

    Example:
        >>> nats(3562.4), nats(-31624268803.0)
        ('3562', '-3.2e10')
    """
    if abs(score) < 1e6:
        return f"{score:.0f}"
    digits, power = f"{score:.1e}".split("e")
    return f"{digits}e{int(power)}"
