"""The study of adversarial noise as pictures."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from oodbench.data.inputs import Inputs
from oodbench.diagnostics import evenly
from oodbench.diagnostics.drawn import draw

EXAMPLES = 8


def draw_all(study: Mapping[str, Any], inside: Inputs, path: Mapping[int, Inputs], folder: Path) -> list[Path]:
    """Write AUROC by score, and images of the in-set and of each step, into a folder; return the files."""
    title = f"noise that climbs the density of {study['method']} on {study['matrix']}, seed {study['seed']}"
    few = inside.take(evenly(len(inside), EXAMPLES))
    rows = {"in-set": few, **{f"step {step}": images for step, images in path.items()}}
    return [
        draw(partial(_auroc, study), folder / "adversarial-noise.png", title),
        draw(partial(_examples, rows), folder / "adversarial-noise-images.png", title),
    ]


def _auroc(study: Mapping[str, Any], figure: Any) -> None:
    """A line a score over the steps, with 95 % intervals."""
    axes = figure.subplots()
    steps = [str(step) for step in study["kept"]]
    for name, found in study["auroc"].items():
        here = [step for step in steps if step in found]
        middle, low, high = ([100 * found[step][part] for step in here] for part in range(3))
        places = [steps.index(step) for step in here]
        (line,) = axes.plot(places, middle, "o-", label=name)
        axes.fill_between(places, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.axhline(50, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xticks(range(len(steps)), steps)
    axes.set_ylim(-3, 103)
    axes.set_xlabel("steps up log p(y) of one model")
    axes.set_ylabel("AUROC of the in-set against the noise, percent")
    axes.legend()


def _examples(rows: Mapping[str, Inputs], figure: Any) -> None:
    """A row a set."""
    figure.set_size_inches(EXAMPLES, 1.1 * len(rows))
    grid = figure.subplots(len(rows), EXAMPLES, squeeze=False)
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(name)
        for axis in axes:
            axis.set_xticks([])
            axis.set_yticks([])
        for axis, image in zip(axes, images.batch(slice(0, EXAMPLES)), strict=False):
            axis.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
