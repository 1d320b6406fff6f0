"""What evaluations of a density say, as pictures: one a fact."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.diagnostics.drawn import draw
from oodbench.diagnostics.neighbours import moved, squared_distances
from oodbench.diagnostics.one_gaussian import AXIS, MIXTURE, Gaussians, grid

COLOURS = ("tab:blue", "tab:orange", "tab:green")


def draw_all(
    study: Mapping[str, Any], fits: Mapping[str, Gaussians], images: npt.NDArray[np.float32], folder: Path
) -> list[Path]:
    """Write a picture a fact into a folder; return the files."""
    on = f"{study['matrix']}, seed {study['seed']}"
    drawings = {
        "mixing": (partial(_mixing, study), f"1 % of a model and 99 % noise ({on})"),
        "parzen": (partial(_parzen, study), f"Parzen windows over true samples and over centres ({on})"),
        "neighbours": (partial(_neighbours, study, images), f"nearest neighbours of moved images ({on})"),
        "one-gaussian": (partial(_fits, fits), "one Gaussian fitted to a mixture by three divergences"),
    }
    return [draw(drawing, folder / f"{name}.png", title) for name, (drawing, title) in drawings.items()]


def _mixing(study: Mapping[str, Any], figure: Any) -> None:
    """Bits per dimension of noise, the model, and the mixture: two are the same to the eye."""
    figure.set_size_inches(6.4, 2.4)
    axes, mixed = figure.subplots(), study["mixing"]
    bars = {"noise alone": 8.0, "model": mixed["bits"], "1 % model, 99 % noise": mixed["bits_mixed"]}
    shown = axes.barh(list(bars), list(bars.values()), color=("0.7", *COLOURS[:2]))
    axes.bar_label(shown, fmt="%.3f", padding=3)
    axes.set_xlim(0, 9.5)
    axes.invert_yaxis()
    axes.set_xlabel("bits per dimension of test images, lower is likelier")


def _parzen(study: Mapping[str, Any], figure: Any) -> None:
    """Mean log density of test images under both windows."""
    figure.set_size_inches(6.4, 2.0)
    axes, windows = figure.subplots(), study["parzen"]
    names = [f"{windows['n']:.0f} true samples", f"{windows['n']:.0f} k-means centres"]
    values = [windows["samples"], windows["centres"]]
    shown = axes.barh(names, values, color=COLOURS[:2])
    axes.bar_label(shown, fmt="%.1f", padding=3)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel("mean log density of test images, nats, higher is likelier")


def _neighbours(study: Mapping[str, Any], images: npt.NDArray[np.float32], figure: Any) -> None:
    """The share that keeps its nearest neighbour over the shift; beside it an image, moved, and its neighbours."""
    figure.set_size_inches(8, 3.2)
    curve, examples = figure.subfigures(1, 2, width_ratios=(1, 1.2))
    axes = curve.subplots()
    shares = {int(shift): 100 * share for shift, share in study["neighbours"].items()}
    axes.plot(list(shares), list(shares.values()), "o-", color=COLOURS[0])
    axes.set_ylim(-3, 103)
    axes.set_xticks(list(shares))
    axes.set_xlabel("pixels to the right")
    axes.set_ylabel("nearest is the same image, percent")
    flat = images.reshape(len(images), -1).astype(np.float64)
    shifts = list(shares)
    grid_of = examples.subplots(2, len(shifts))
    for column, shift in enumerate(shifts):
        own = moved(images[:1], shift)
        near = int(squared_distances(own.reshape(1, -1).astype(np.float64), flat).argmin())
        for row, image in ((0, own[0]), (1, images[near])):
            axis = grid_of[row][column]
            axis.imshow(_shown(image), cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
        grid_of[0][column].set_title(f"by {shift}")
    grid_of[0][0].set_ylabel("moved")
    grid_of[1][0].set_ylabel("nearest")


def _shown(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return an image [C, H, W] as it is drawn: [H, W] of one channel, else [H, W, C]."""
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def _fits(fits: Mapping[str, Gaussians], figure: Any) -> None:
    """The mixture as shades, and each Gaussian as circles of one and two standard deviations."""
    figure.set_size_inches(8, 3.0)
    p = np.exp(MIXTURE.log_density(grid())).reshape(len(AXIS), len(AXIS)).T
    for axes, (name, q), colour in zip(figure.subplots(1, len(fits)), fits.items(), COLOURS, strict=False):
        axes.contourf(AXIS, AXIS, p, levels=8, cmap="Greys")
        angle = np.linspace(0, 2 * np.pi, 100)
        for times, style in ((1, "-"), (2, "--")):
            x, y = (q.mu[0, at] + times * q.s[0] * wave for at, wave in enumerate((np.cos(angle), np.sin(angle))))
            axes.plot(x, y, style, color=colour)
        axes.set_title(f"least {name}")
        axes.set_xlim(-5, 5)
        axes.set_ylim(-5, 5)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
