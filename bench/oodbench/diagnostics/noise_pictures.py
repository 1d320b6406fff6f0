"""The study of images that climb a density, as pictures."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.data.inputs import Inputs
from oodbench.diagnostics import evenly
from oodbench.diagnostics.drawn import draw

EXAMPLES = 8

WAYS = {
    "steps along the gradient's sign": ("step",),
    "steps of logits by Adam": ("logit",),
    "brightness left of test images": ("fade", "black"),
}
"""The panels, and how the names of their sets begin."""


def draw_all(study: Mapping[str, Any], inside: Inputs, path: Mapping[str, Inputs], folder: Path) -> list[Path]:
    """Write AUROC by score, and images of the in-set and of each way, into a folder; return the files."""
    title = f"images that climb the density of {study['method']} on {study['matrix']}, seed {study['seed']}"
    few = inside.take(evenly(len(inside), EXAMPLES))
    rows = {"in-set": few, **path}
    return [
        draw(partial(_auroc, study), folder / "adversarial-noise.png", title),
        draw(partial(_examples, rows), folder / "adversarial-noise-images.png", title),
    ]


def _auroc(study: Mapping[str, Any], figure: Any) -> None:
    """A panel a way, a line a score along it, with 95 % intervals."""
    figure.set_size_inches(9, 3.6)
    names = [name for name in study["bits_per_dimension"] if name != "test"]
    ways = {way: [name for name in names if name.split()[0] in words] for way, words in WAYS.items()}
    for axes, (way, here) in zip(figure.subplots(1, len(ways), sharey=True), ways.items(), strict=True):
        for nth, (judge, found) in enumerate(study["auroc"].items()):
            at = [place for place, name in enumerate(here) if name in found]
            middle, low, high = (np.array([100 * found[here[place]][part] for place in at]) for part in range(3))
            beside = np.array(at) + 0.05 * (nth - (len(study["auroc"]) - 1) / 2)  # so that no interval hides another
            axes.errorbar(beside, middle, (middle - low, high - middle), fmt="o-", ms=4, elinewidth=1, label=judge)
        axes.axhline(50, color="0.7", linewidth=0.8, zorder=0)
        axes.set_xticks(range(len(here)), [name.split()[-1] for name in here])
        axes.set_xlabel(way)
        axes.set_ylim(-3, 103)
    figure.axes[0].set_ylabel("AUROC of the in-set, percent")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _examples(rows: Mapping[str, Inputs], figure: Any) -> None:
    """A row a set."""
    figure.set_size_inches(0.8 * EXAMPLES + 0.6, 0.8 * len(rows) + 0.3)
    grid = figure.subplots(len(rows), EXAMPLES, squeeze=False)
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis in axes:
            axis.set_xticks([])
            axis.set_yticks([])
        for axis in axes[len(images) :]:
            axis.set_axis_off()
        for axis, image in zip(axes, images.batch(slice(0, EXAMPLES)), strict=False):
            axis.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
