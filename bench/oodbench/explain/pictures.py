"""The explanations as pictures: PNG, the same numbers make the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from oodbench.store import atomically

Arrays = dict[str, npt.NDArray[Any]]

CLASSES = 3
"""How many of an image's classes are drawn: the likeliest."""


def draw_all(arrays: Arrays, folder: Path, title: str) -> list[Path]:
    """Write every picture into a folder, from the arrays that lie beside them; return the files."""
    drawings: dict[str, Callable[[Arrays, Any], None]] = {
        "heat-maps": _heat_maps,
        "salience-maps": _salience_maps,
        "class-similarity": _class_similarity,
        "decision-space": _decision_space,
    }
    files = []
    for name, drawing in drawings.items():
        figure = Figure(layout="constrained", dpi=110)
        FigureCanvasAgg(figure)
        with mpl.rc_context({"font.size": 8}):
            figure.suptitle(title)
            drawing(arrays, figure)
            with atomically(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", metadata={"Software": "oodbench"})
        files.append(folder / f"{name}.png")
    return files


def _heat_maps(arrays: Arrays, figure: Any) -> None:
    """Each image, the evidence for its likeliest classes, and what tells the first from the second."""
    axes = _grid(figure, len(arrays["images"]), 2 + CLASSES)
    for row, x, label, log_p, q in zip(
        axes, *(arrays[key] for key in ("images", "labels", "log_p", "evidence")), strict=True
    ):
        order = np.argsort(-log_p)[:CLASSES]
        _image(row[0], x, f"class {label}")
        low, high = q[order].min(), q[order].max()
        for cell, k in zip(row[1:], order, strict=False):
            cell.imshow(q[k], cmap="viridis", vmin=low, vmax=high)
            cell.set_title(f"log p({k}|x) = {log_p[k]:.1f}")
        _signed(row[-1], q[order[0]] - q[order[1]], f"{order[0]} rather than {order[1]}")


def _salience_maps(arrays: Arrays, figure: Any) -> None:
    """Each image, and the gradients of its density and of its posterior."""
    axes = _grid(figure, len(arrays["images"]), 3)
    keys = ("images", "labels", "salience_density", "salience_posterior", "log_p")
    for row, x, label, density, posterior, log_p in zip(axes, *(arrays[key] for key in keys), strict=True):
        _image(row[0], x, f"class {label}")
        _signed(row[1], density.sum(axis=0), "d log q(x) / dx")
        _signed(row[2], posterior.sum(axis=0), f"d log p({log_p.argmax()}|x) / dx")


def _class_similarity(arrays: Arrays, figure: Any) -> None:
    """The distances of the class means, as a matrix."""
    distances = arrays["mean_distances"]
    axes = figure.subplots()
    off = np.where(np.eye(len(distances), dtype=bool), np.nan, distances)
    figure.colorbar(axes.imshow(off, cmap="viridis_r"), label="distance of the class means")
    axes.set_xticks(range(len(distances)))
    axes.set_yticks(range(len(distances)))
    axes.set_xlabel("class")
    axes.set_ylabel("class")


def _decision_space(arrays: Arrays, figure: Any) -> None:
    """Codes of test images by their class, on the plane in which the two most alike classes differ."""
    axes = figure.subplots()
    a, b = arrays["plane_pair"]
    codes, labels, means = arrays["plane_codes"], arrays["plane_labels"], arrays["plane_means"]
    for k, colour, name in ((a, "tab:blue", f"class {a}"), (b, "tab:orange", f"class {b}")):
        axes.plot(*codes[labels == k].T, "o", color=colour, markersize=3, label=name)
    others = (labels != a) & (labels != b)
    axes.plot(*codes[others].T, ".", color="0.75", markersize=2, zorder=0, label="other classes")
    for k, place in enumerate(means):
        axes.annotate(str(k), place, fontweight="bold", ha="center", va="center")
    axes.axvline(float(arrays["plane_boundary"]), color="black", linewidth=0.8, label=f"p({a}|x) = p({b}|x)")
    axes.set_xlabel(f"from the mean of class {a} to that of class {b}")
    axes.set_ylabel("widest direction at right angles")
    axes.legend()


def _grid(figure: Any, rows: int, columns: int) -> Any:
    figure.set_size_inches(1.5 * columns, 0.5 + 1.6 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    return axes


def _image(cell: Any, x: npt.NDArray[Any], title: str) -> None:
    cell.imshow(x[0] if len(x) == 1 else x.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    cell.set_title(title)


def _signed(cell: Any, values: npt.NDArray[Any], title: str) -> None:
    bound = np.abs(values).max() or 1.0
    cell.imshow(values, cmap="RdBu_r", vmin=-bound, vmax=bound)
    cell.set_title(title)
