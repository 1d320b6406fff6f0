"""What WAIC stands on: its members one by one left out, and the images that it finds most and least typical.

Choi, Jang & Alemi, "WAIC, but Why? Generative Ensembles for Robust Anomaly Detection", 2018.

    s_-j(x) = mean_{m != j} log p_m(x) - var_{m != j} log p_m(x)      the jackknife's score without member j

The spread of AUROC over j is what one member makes of the score; the jackknife's standard error of AUROC over members
is sqrt((M - 1) / M sum_j (AUROC_-j - mean)^2).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contract import LOG_DENSITY
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.densities.ensemble import DensityEnsemble
from oodbench.detectors.densities import WAIC
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.suited import suited
from oodbench.diagnostics.waic_pictures import Floats, draw_all
from oodbench.measure.ranking import ranking
from oodbench.models.train import Report, silent
from oodbench.run.context import Context
from oodbench.run.plan import sized
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Leave out WAIC's members in turn, and show the images at both ends of the score.

    Models that are not in the cache are trained first.

    Args:
        method: One whose score is WAIC.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the ensemble.
        n: Most images a set, evenly spaced.
        out: Folder to write to.
        report: Told of the training.

    Returns:
        The files written, waic.json and pictures as PNG; and the table of AUROC by set.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's score is not WAIC.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    found = suited(
        method,
        lambda one: isinstance(one.recipe, DensityEnsemble) and one.detector == WAIC,
        "does not score by WAIC",
    )
    recipe = sized(found.recipe, context.matrix)
    assert isinstance(recipe, DensityEnsemble)
    named = {"test": context.sets.test, **context.sets.ood}
    sets: dict[str, Inputs] = {name: images.take(evenly(len(images), n)) for name, images in named.items()}
    of_members = LOG_DENSITY.of_members
    log_p = {
        name: np.asarray(context.outputs(recipe, seed, frozenset({of_members}), images, report)[of_members])
        for name, images in sets.items()
    }
    members = [member for _, member in recipe.parts(seed, context.matrix.seeds)]
    study = {"method": method, "matrix": matrix, "seed": seed, "n": n, "members": members, "auroc": jackknife(log_p)}
    file = write(study, out / "waic.json")
    scores = {name: waic(each) for name, each in log_p.items()}
    pictures = draw_all(study, sets, scores, out)
    return Study([file, *pictures], table(study))


def waic(log_p: Floats) -> Floats:
    """Return mean_m log p_m - var_m log p_m of members' log densities [n M], the variance that of a population."""
    score: Floats = log_p.mean(axis=1) - log_p.var(axis=1)
    return score


def jackknife(log_p: Mapping[str, Floats]) -> dict[str, dict[str, Any]]:
    """Return AUROC of "test" against each other set: of all members, without each in turn, and its standard error."""
    found: dict[str, dict[str, Any]] = {}
    for name, outside in log_p.items():
        if name == "test":
            continue
        inside, size = log_p["test"], outside.shape[1]
        without = [_auroc(np.delete(inside, j, axis=1), np.delete(outside, j, axis=1)) for j in range(size)]
        error = float(np.sqrt((size - 1) * np.var(without)))
        found[name] = {"all": _auroc(inside, outside), "without": without, "standard_error": error}
    return found


def _auroc(inside: Floats, outside: Floats) -> float:
    return float(ranking(waic(inside), waic(outside))["auroc"])


def table(study: Mapping[str, Any]) -> Page:
    """Return AUROC in percent by set: of all members, without each, and the jackknife's standard error."""
    rows = [
        (name, *(f"{100 * value:.2f}" for value in (found["all"], *found["without"], found["standard_error"])))
        for name, found in study["auroc"].items()
    ]
    headers = ("AUROC, percent", "all", *(f"without {member}" for member in study["members"]), "std. error")
    align = ("left", *["right"] * (len(headers) - 1))
    return Page(Table(headers, rows, align))
