"""What a generative classifier sees, as arrays and pictures: heat, salience, gradients, classes, decision space."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.data.cards import find_card
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting
from oodbench.explain.heat import heat_maps
from oodbench.explain.pictures import Arrays, draw_all
from oodbench.explain.salience import gradient_maps, salience_maps
from oodbench.explain.space import codes, decision_space, mean_distances, pairwise_posteriors
from oodbench.models.train import Report, silent
from oodbench.networks.inn import IB_INN, GenerativeClassifier
from oodbench.run.context import Context
from oodbench.run.plan import sized
from oodbench.run.registry import find, registry
from oodbench.run.workspace import Workspace
from oodbench.store import atomically

SHOWN = 500
"""Test images in the decision space of each image that is explained, beside it."""

AT_ONCE = 2**26
"""Numbers per pass: the gaps of its images' codes to all class means."""


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
    recipe = sized(recipe, context.matrix)
    model, _ = context.model(recipe, seed, report)
    assert isinstance(model.net, GenerativeClassifier)
    arrays = explanation(model.net, context.sets.test, n, model.device)
    names = find_card(context.matrix.in_set).class_names
    arrays["class_names"] = np.array(names or [str(k) for k in range(len(arrays["mean_distances"]))])
    with atomically(out / "explanation.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return [out / "explanation.npz", *draw_all(arrays, out, f"{method} on {matrix}, seed {seed}")]


def explanation(net: GenerativeClassifier, test: Inputs, n: int, device: torch.device) -> Arrays:
    """Return every array of the explanation of the first n test images.

    They are: images [n c h w] and labels [n]; log_p [n C], energy and evidence [n C h w] of `heat_maps`; salience
    [n h w]; gradient_density and gradient_posterior [n c h w]; mean_distances and pairwise_posteriors [C C]; and the
    decision space of each image: decision_classes [n m], _means [n m 2], _code [n 2], _boundary [n], _rank [n], and
    _others [n s 2], the first s = SHOWN test images, with other_labels [s].
    """
    assert test.labels is not None
    n, shown = min(n, len(test)), min(SHOWN, len(test))
    pace = max(1, AT_ONCE // net.mu.numel())
    others = torch.cat([codes(net, _pixels(test, start, shown, pace, device)) for start in range(0, shown, pace)])
    found: dict[str, list[npt.NDArray[Any]]] = {}
    for start in range(0, n, pace):
        x = _pixels(test, start, n, pace, device)
        heat = heat_maps(net, x)
        slopes = gradient_maps(net, x)
        some = {**heat._asdict(), "salience": salience_maps(net, x, heat)}
        some |= {"gradient_density": slopes.density, "gradient_posterior": slopes.posterior}
        for z, log_p in zip(codes(net, x), heat.log_p, strict=True):
            space = decision_space(net, z, log_p, others)
            for name, value in space._asdict().items():
                found.setdefault(f"decision_{name}", []).append(torch.as_tensor(value).cpu().numpy()[None])
        for name, values in some.items():
            found.setdefault(name, []).append(values.cpu().numpy())
    return {
        "images": test.batch(slice(0, n)),
        "labels": test.labels[:n],
        "other_labels": test.labels[:shown],
        **{name: np.concatenate(parts) for name, parts in found.items()},
        "mean_distances": mean_distances(net).cpu().numpy(),
        "pairwise_posteriors": pairwise_posteriors(net).cpu().numpy(),
    }


def _pixels(test: Inputs, start: int, end: int, pace: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(test.batch(slice(start, min(start + pace, end)))).to(device)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"--out {folder}: cannot be made ({error.strerror}); expected a folder to write to") from error
