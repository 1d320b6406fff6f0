"""Samples of a flow, beside images of the in-set."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.data.inputs import Inputs
from oodbench.diagnostics import evenly
from oodbench.diagnostics.drawn import draw

SIDE = 8
"""Images in a row, and rows."""

TITLES = {"samples": "samples", "test": "the in-set's test images"}


def draw_all(shown: Mapping[str, Inputs], folder: Path, title: str) -> Path:
    """Write the picture into a folder; return the file."""
    few = {name: images.take(evenly(len(images), SIDE**2)) for name, images in shown.items()}
    return draw(partial(_grids, few), folder / "samples.png", title)


def _grids(shown: Mapping[str, Inputs], figure: Any) -> None:
    figure.set_size_inches(3.2 * len(shown), 3.6)
    for axes, (name, images) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        axes.imshow(mosaic(images), cmap="gray", vmin=0, vmax=1)
        axes.set_title(TITLES[name])
        axes.set_axis_off()


def mosaic(images: Inputs) -> Any:
    """Return at most SIDE x SIDE images as one [rows h, SIDE w, c], a grey line between them."""
    x = images.batch(slice(0, len(images))).transpose(0, 2, 3, 1)
    missing = -len(x) % SIDE
    x = np.concatenate([x, np.full((missing, *x.shape[1:]), 0.5, x.dtype)])
    x = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=0.5)
    n, h, w, c = x.shape
    return x.reshape(n // SIDE, SIDE, h, w, c).swapaxes(1, 2).reshape(n // SIDE * h, SIDE * w, c)[:-1, :-1]
