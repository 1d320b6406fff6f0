"""The explanations as pictures: PNG, the same numbers make the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from scipy.stats import chi2

from oodbench.store import atomically

Arrays = dict[str, npt.NDArray[Any]]

CLASSES = 3
"""How many of an image's classes have heat maps: the likeliest."""

MASS = 0.9
"""Share of a class's codes inside its circle."""

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple")
"""Of the classes of a decision space."""


def draw_all(arrays: Arrays, folder: Path, title: str) -> list[Path]:
    """Write every picture into a folder, from the arrays that lie beside them; return the files."""
    drawings: dict[str, Callable[[Arrays, Any], None]] = {
        "heat-maps": _heat_maps,
        "salience-maps": _salience_maps,
        "gradient-maps": _gradient_maps,
        "class-similarity": _class_similarity,
        "decision-space": _decision_space,
    }
    files = []
    for name, drawing in drawings.items():
        figure = Figure(layout="constrained", dpi=110)
        FigureCanvasAgg(figure)
        with mpl.rc_context({"font.size": 9, "axes.titlesize": 9}):
            figure.suptitle(title)
            drawing(arrays, figure)
            with atomically(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", metadata={"Software": "oodbench"})
        files.append(folder / f"{name}.png")
    return files


def _heat_maps(arrays: Arrays, figure: Any) -> None:
    """Each image, the evidence for its likeliest classes, and what tells the first from the second."""
    names, axes = arrays["class_names"], _grid(figure, len(arrays["images"]), 2 + CLASSES)
    for row, x, label, log_p, q in zip(axes, *_of(arrays, "images", "labels", "log_p", "evidence"), strict=True):
        order = np.argsort(-log_p)[:CLASSES]
        _image(row[0], x, f"label: {names[label]}")
        low, high = q[order].min(), q[order].max()
        for cell, k in zip(row[1:], order, strict=False):
            drawn = cell.imshow(q[k], cmap="viridis", vmin=low, vmax=high)
            cell.set_title(f"{names[k]}\nlog p = {round(log_p[k], 1) + 0:.1f}")  # + 0: no minus before 0
        _bar(figure, drawn, row[1 : 1 + len(order)])
        shown = _signed(row[-1], q[order[0]] - q[order[1]], f"{names[order[0]]} rather\nthan {names[order[1]]}")
        _bar(figure, shown, row[-1])


def _salience_maps(arrays: Arrays, figure: Any) -> None:
    """Each image, and what its places add to its log density."""
    names, axes = arrays["class_names"], _grid(figure, len(arrays["images"]), 2)
    for row, x, label, salience in zip(axes, *_of(arrays, "images", "labels", "salience"), strict=True):
        _image(row[0], x, f"label: {names[label]}")
        row[1].set_title(f"log q(x) = {salience.sum():.0f}")
        _bar(figure, row[1].imshow(salience, cmap="viridis"), row[1])


def _gradient_maps(arrays: Arrays, figure: Any) -> None:
    """Each image, and the gradients of its density and of its posterior."""
    names, axes = arrays["class_names"], _grid(figure, len(arrays["images"]), 3)
    keys = ("images", "labels", "gradient_density", "gradient_posterior", "log_p")
    for row, x, label, density, posterior, log_p in zip(axes, *_of(arrays, *keys), strict=True):
        _image(row[0], x, f"label: {names[label]}")
        _bar(figure, _signed(row[1], density.sum(axis=0), "d log q(x) / dx"), row[1])
        title = f"d log p({names[log_p.argmax()]}) / dx"
        _bar(figure, _signed(row[2], posterior.sum(axis=0), title), row[2])


def _class_similarity(arrays: Arrays, figure: Any) -> None:
    """How far the class means lie apart, and how much of one class's codes the network gives to another."""
    distances, posteriors = arrays["mean_distances"], 100 * arrays["pairwise_posteriors"]
    names, side = arrays["class_names"], len(distances)
    figure.set_layout_engine("compressed")
    figure.set_size_inches(2.6 + 0.72 * side, 1.6 + 0.44 * side)
    left, right = figure.subplots(1, 2, sharey=True)
    own = np.eye(side, dtype=bool)
    _matrix(left, np.where(own, np.nan, distances), "viridis", "distance of the class means", "{:.1f}")
    title = "% of p(column) between row and column,\nexpected over codes of the row"
    _matrix(right, np.where(own, np.nan, posteriors), "viridis_r", title, "{:.1f}")
    for axes in (left, right):
        axes.set_xticks(range(side), names, rotation=90)
        axes.set_yticks(range(side), names)


def _matrix(axes: Any, values: npt.NDArray[Any], colours: str, title: str, form: str) -> None:
    drawn = axes.imshow(values, cmap=colours)
    axes.set_title(title)
    if len(values) > 20:
        axes.figure.colorbar(drawn, ax=axes)
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = np.mean(drawn.cmap(drawn.norm(value))[:3]) < 0.5
            colour = "white" if dark else "black"
            axes.text(column, row, form.format(value), ha="center", va="center", color=colour, fontsize=7)


def _decision_space(arrays: Arrays, figure: Any) -> None:
    """Each image's decision space: its most probable classes, where it lies among them, and where others lie."""
    n = len(arrays["images"])
    columns = min(3, n)
    figure.set_size_inches(3.3 * columns, 0.6 + 3.35 * -(-n // columns))
    grid = figure.subplots(-(-n // columns), columns, squeeze=False).ravel()
    for cell in grid[n:]:
        cell.set_axis_off()
    for at, cell in enumerate(grid[:n]):
        _one_decision(cell, {key: values[at] for key, values in arrays.items() if key.startswith("decision_")}, arrays)
        cell.set_title(f"label: {arrays['class_names'][arrays['labels'][at]]}")
        inset = cell.inset_axes((0.76, 0.75, 0.24, 0.25))
        _image(inset, arrays["images"][at], "")
        inset.set_axis_off()


def _one_decision(cell: Any, one: Arrays, arrays: Arrays) -> None:
    classes, means, others = one["decision_classes"], one["decision_means"], one["decision_others"]
    cell.plot(*others[~np.isin(arrays["other_labels"], classes)].T, ".", color="0.85", markersize=2, zorder=0)
    for k, place, colour in zip(classes, means, COLOURS, strict=False):
        cell.plot(*others[arrays["other_labels"] == k].T, ".", color=colour, markersize=2, alpha=0.5, zorder=1)
        cell.add_patch(
            Circle(tuple(place), radius(int(one["decision_rank"])), fill=False, edgecolor=colour, linewidth=1.2)
        )
        cell.plot(*place, "P", color=colour, markersize=6, label=arrays["class_names"][k], zorder=3)
    cell.plot(*one["decision_code"], "*", color="black", markersize=11, markeredgecolor="white", zorder=4)
    cell.axvline(float(one["decision_boundary"]), color="black", linewidth=0.8)
    reach = radius(int(one["decision_rank"])) + 0.3
    cell.set_xlim(means[:, 0].min() - reach, means[:, 0].max() + reach)
    cell.set_ylim(0, means[:, 1].max() + reach + 2)
    cell.set_aspect("equal")
    cell.legend(loc="upper left", fontsize=7, frameon=False, borderaxespad=0, handletextpad=0.1, labelspacing=0.2)
    a, b = (arrays["class_names"][k] for k in classes[:2])
    cell.set_xlabel(f"from {a} to {b}")
    cell.set_ylabel("distance from that axis")


def radius(rank: int) -> float:
    """Return how far from its mean, in a space of `rank` dimensions, MASS of a class's codes lies at most."""
    return float(np.sqrt(chi2.ppf(MASS, rank)))


def _of(arrays: Arrays, *keys: str) -> list[npt.NDArray[Any]]:
    return [arrays[key] for key in keys]


def _grid(figure: Any, rows: int, columns: int) -> Any:
    figure.set_size_inches(1.85 * columns, 0.5 + 1.75 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    return axes


def _image(cell: Any, x: npt.NDArray[Any], title: str) -> None:
    cell.imshow(x[0] if len(x) == 1 else x.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    cell.set_title(title)


def _signed(cell: Any, values: npt.NDArray[Any], title: str) -> Any:
    bound = np.abs(values).max() or 1.0
    cell.set_title(title)
    return cell.imshow(values, cmap="RdBu_r", vmin=-bound, vmax=bound)


def _bar(figure: Any, drawn: Any, axes: Any) -> None:
    figure.colorbar(drawn, ax=axes, label="nats", shrink=0.85, pad=0.02).ax.tick_params(labelsize=7)
