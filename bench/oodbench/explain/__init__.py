"""What a generative classifier sees, as arrays and pictures: heat maps, salience, similar classes, decision space."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting
from oodbench.explain.heat import heat_maps
from oodbench.explain.pictures import Arrays, draw_all
from oodbench.explain.salience import salience_maps
from oodbench.explain.space import codes, decision_plane, mean_distances
from oodbench.models.train import Report, silent
from oodbench.networks.inn import IB_INN, GenerativeClassifier
from oodbench.run.context import Context
from oodbench.run.registry import find, registry
from oodbench.run.workspace import Workspace
from oodbench.store import atomically

SHOWN = 500
"""Test images on the plane of the decision space."""

AT_ONCE = 64
"""Images per pass: a heat map is an array of one value a class and a dimension."""


def explain(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> list[Path]:
    """Explain a method's model on the first test images of a matrix; train it first if it is not in the cache.

    Args:
        method: Its name.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model.
        n: Inputs.
        out: Folder to write to.
        report: Told of the training.

    Returns:
        The files written: arrays as .npz, pictures as PNG.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's model is not an IB-INN, or the folder cannot be made.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    (entry,) = find([method])
    recipe = entry.method.recipe
    if recipe.training.network != IB_INN:
        known = ", ".join(name for name, one in registry().items() if one.method.recipe.training.network == IB_INN)
        raise BadSetting(f"{method} is not an IB-INN, and only these can be explained: {known}")
    _make(out)
    sized = recipe.sized(context.matrix.scale, context.matrix.training)
    model, _ = context.model(sized, seed, report)
    assert isinstance(model.net, GenerativeClassifier)
    arrays = explanation(model.net, context.sets.test, n, model.device)
    with atomically(out / "explanation.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return [out / "explanation.npz", *draw_all(arrays, out, f"{method} on {matrix}, seed {seed}")]


def explanation(net: GenerativeClassifier, test: Inputs, n: int, device: torch.device) -> Arrays:
    """Return every array of the explanation of the first n test images.

    They are: images [n c h w] and labels [n]; log_p [n C], energy and evidence [n C h w] of `heat_maps`;
    salience_density and salience_posterior [n c h w]; mean_distances [C C]; and of up to SHOWN test images plane_codes
    [m 2] and plane_labels [m], beside plane_means [C 2], plane_pair [2] and plane_boundary.
    """
    assert test.labels is not None
    n, shown = min(n, len(test)), min(SHOWN, len(test))
    found: dict[str, list[npt.NDArray[np.floating]]] = {}
    for start in range(0, n, AT_ONCE):
        x = torch.from_numpy(test.batch(slice(start, min(start + AT_ONCE, n)))).to(device)
        heat, salience = heat_maps(net, x), salience_maps(net, x)
        some = {**heat._asdict(), "salience_density": salience.density, "salience_posterior": salience.posterior}
        for name, values in some.items():
            found.setdefault(name, []).append(values.cpu().numpy())
    z = codes(net, torch.from_numpy(test.batch(slice(0, shown))).to(device))
    plane = decision_plane(net, z)
    return {
        "images": test.batch(slice(0, n)),
        "labels": test.labels[:n],
        **{name: np.concatenate(parts) for name, parts in found.items()},
        "mean_distances": mean_distances(net).cpu().numpy(),
        "plane_codes": plane.codes.cpu().numpy(),
        "plane_labels": test.labels[:shown],
        "plane_means": plane.means.cpu().numpy(),
        "plane_pair": np.array([plane.a, plane.b]),
        "plane_boundary": np.array(plane.boundary),
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"--out {folder}: cannot be made ({error.strerror}); expected a folder to write to") from error
