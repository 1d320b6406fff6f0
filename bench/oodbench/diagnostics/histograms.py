"""Log densities of a model, set by set: histograms of the in-set's test images against each group of out-sets.

Nalisnick et al., "Do Deep Generative Models Know What They Don't Know?", ICLR 2019, figure 1, for any density: in bits
a dimension of 8-bit images, the lower the likelier.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contract import LOG_DENSITY
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.detectors.densities import LIKELIHOOD
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.histogram_pictures import Floats, draw_all
from oodbench.diagnostics.suited import suited
from oodbench.measure.likelihood import bits_per_dim
from oodbench.measure.ranking import ranking
from oodbench.models.train import Report, silent
from oodbench.run.context import Context
from oodbench.run.plan import sized
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Draw the histograms of a density's bits per dimension.

    A model that is not in the cache is trained first.

    Args:
        method: One whose score is a log density.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model.
        n: Most images a set, evenly spaced.
        out: Folder to write to.
        report: Told of the training.

    Returns:
        The files written, histograms.json and histograms.png; and the table of bits per dimension.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's score is no log density.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    found = suited(method, lambda one: one.detector == LIKELIHOOD, "does not score by a log density")
    recipe = sized(found.recipe, context.matrix)

    def bits(images: Any) -> Floats:
        few = images.take(evenly(len(images), n))
        log_p = context.outputs(recipe, seed, frozenset({LOG_DENSITY}), few, report)[LOG_DENSITY]
        return bits_per_dim(np.asarray(log_p), few.shape)

    inside = bits(context.sets.test)
    outside = {name: bits(images) for name, images in context.sets.ood.items()}
    grouped = by_group(context.matrix, outside)
    study = {"method": method, "matrix": matrix, "seed": seed, "n": n, "sets": summary(inside, outside)}
    file = write(study, out / "histograms.json")
    picture = draw_all(inside, grouped, out, f"{method} on {matrix}, seed {seed}")
    return Study([file, picture], table(study))


def by_group(matrix: Matrix, found: Mapping[str, Floats]) -> dict[str, dict[str, Floats]]:
    """Return what was found of each out-set by the group that it is in, near, far or synthetic."""
    groups: dict[str, dict[str, Floats]] = {}
    for one in matrix.ood:
        if one.card in found:
            groups.setdefault(one.group, {})[one.card] = found[one.card]
    return groups


def summary(inside: Floats, outside: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of the bits by set, and AUROC of the in-set against each out-set."""
    told = {"test": {"mean": float(inside.mean()), "std": float(inside.std())}}
    for name, bits in outside.items():
        auroc = float(ranking(-inside, -bits)["auroc"])
        told[name] = {"mean": float(bits.mean()), "std": float(bits.std()), "auroc": auroc}
    return told


def table(study: Mapping[str, Any]) -> Page:
    """Return bits per dimension and AUROC by set."""
    rows = [
        (
            "in-set" if name == "test" else name,
            f"{row['mean']:.3f}",
            f"{row['std']:.3f}",
            f"{100 * row['auroc']:.2f}" if "auroc" in row else "",
        )
        for name, row in study["sets"].items()
    ]
    headers = ("set", "bits/dim", "std", "AUROC, percent")
    return Page(Table(headers, rows, ("left", "right", "right", "right")))
