"""Why a flow finds other images likelier than its own: three looks at a Glow.

Nalisnick et al., "Do Deep Generative Models Know What They Don't Know?", ICLR 2019.

Decomposition:  log p(y) = log p(z) + log|det dz/dy|, set by set. Is it the prior or the volume that prefers a set?
Second order:   to second order about a common mean, and for a flow of constant volume,
                E_out[log p] - E_in[log p] ~ 1/2 sum_c a_c^2 (sum_hw var_in - sum_hw var_out),  a_c^2 > 0     (eq. 6)
                so that sets of lower variance are likelier. With one channel the sign needs no weight.
Graying:        contrast taken from the images, x' = g + k (x - g), lowers their variance: does log p rise?
                g = 1/2 in the paper, and also 0 here: images that stand on black lose that, too, about mid-grey.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import LOG_DENSITY, Output
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.densities.glow import Glow
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.false_alarms import false_alarms
from oodbench.diagnostics.pictures import draw_all
from oodbench.diagnostics.suited import suited
from oodbench.measure.likelihood import bits_per_dim
from oodbench.measure.ranking import ranking
from oodbench.models.outputs import BATCH
from oodbench.models.train import Report, silent
from oodbench.networks.glow import GlowNet
from oodbench.run.context import Context
from oodbench.run.plan import sized
from oodbench.run.sets import in_set
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table
from oodbench.store import atomically

CONTRASTS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
"""k of the graying."""

GREYS = {"mid-grey": 0.5, "black": 0.0}
"""g of the graying."""

ROLES = ("train", "test", "ood")
"""Of the sets that are looked at."""

IN_SET = ("train", "test")
"""Parts of the in-set: what is drawn and counted of out-sets is not of them."""

DENSITY: frozenset[Output] = frozenset({LOG_DENSITY})

Values = npt.NDArray[np.float64]


class Parts(NamedTuple):
    """log p(z) and log|det dz/dy| of n images, in nats; their sum is log p(y)."""

    log_prior: Values
    log_det: Values

    @property
    def log_density(self) -> Values:
        """Of y [n]."""
        return self.log_prior + self.log_det


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Look at a Glow on up to n images of each set of a matrix; train it first if it is not in the cache.

    False alarms are counted over all test and validation images, against all training images.

    Args:
        method: Its name.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model.
        n: Most images a set, evenly spaced.
        out: Folder to write to.
        report: Told of the training.

    Returns:
        The files written, likelihood.json, likelihood.npz and pictures as PNG; and the table of bits per dimension.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's model is not a Glow.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    found = suited(method, lambda one: isinstance(one.recipe, Glow), "is not a Glow, and only these can be taken apart")
    recipe = sized(found.recipe, context.matrix)
    model, _ = context.model(recipe, seed, report)
    net, device = model.net, model.device
    assert isinstance(recipe, Glow)
    assert isinstance(net, GlowNet)
    sets = {name: images.take(evenly(len(images), n)) for name, role, images in context.sets if role in ROLES}
    parts = {name: decomposed(net, images, device) for name, images in sets.items()}
    variances = {name: variance(images) for name, images in sets.items()}
    gray = {
        name: {k: decomposed(net, grayed(sets["test"], k, grey), device).log_density for k in CONTRASTS}
        for name, grey in GREYS.items()
    }
    study = summary(parts, variances, gray, in_set(context.matrix).images.shape)
    study["false_alarms"] = false_alarms(
        lambda images: torch.as_tensor(context.outputs(recipe, seed, DENSITY, images, report)[LOG_DENSITY]),
        context.sets,
    )
    about: dict[str, object] = {"method": method, "matrix": matrix, "seed": seed, "volume": recipe.volume}
    write(about | study, out / "likelihood.json")
    arrays = {f"{name} {field}": values for name, part in parts.items() for field, values in part._asdict().items()}
    with atomically(out / "likelihood.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    title = f"{method} on {matrix}, seed {seed}"
    groups = {one.card: one.group for one in context.matrix.ood}
    pictures = draw_all(parts, variances, gray, groups, out, title)
    return Study([out / "likelihood.json", out / "likelihood.npz", *pictures], table(study))


@torch.no_grad()
def decomposed(net: GlowNet, images: Inputs, device: torch.device) -> Parts:
    """Return log p(z) and log|det dz/dy| of every image."""
    found = []
    for start in range(0, len(images), BATCH):
        x = torch.from_numpy(images.batch(slice(start, min(start + BATCH, len(images))))).to(device)
        found.append([part.double().cpu().numpy() for part in net.parts(x)])
    return Parts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def variance(images: Inputs) -> float:
    """Return sum_chw var(x): the variances of all pixels over the images, summed."""
    return float(images.batch(slice(0, len(images))).astype(np.float64).var(axis=0).sum())


def grayed(images: Inputs, contrast: float, grey: float) -> Inputs:
    """Return the images at a share of their contrast about a grey level."""
    x = images.batch(slice(0, len(images)))
    return ArrayImages((grey + contrast * (x - grey)).astype(np.float32), images.labels)


def summary(
    parts: Mapping[str, Parts],
    variances: Mapping[str, float],
    gray: Mapping[str, Mapping[float, Values]],
    shape: tuple[int, int, int],
) -> dict[str, Any]:
    """Return the study's numbers by set: means in nats, bits per dimension, AUROC, whether eq. 6 has the sign."""
    inside = parts["test"]
    rows = {}
    for name, part in parts.items():
        row = {
            "log_prior": float(part.log_prior.mean()),
            "log_det": float(part.log_det.mean()),
            "log_density": float(part.log_density.mean()),
            "bits_per_dimension": float(bits_per_dim(part.log_density, shape).mean()),
            "variance": variances[name],
        }
        if name not in IN_SET:
            row |= _against(inside, part, variances["test"] - variances[name])
        rows[name] = row
    agreeing = [row["sign_agrees"] for name, row in rows.items() if name not in IN_SET]
    return {
        "sets": rows,
        "second_order": {"sets": len(agreeing), "sign_agrees": sum(agreeing)},
        "graying": {name: {str(k): float(of.mean()) for k, of in curve.items()} for name, curve in gray.items()},
    }


def _against(inside: Parts, outside: Parts, less_variance: float) -> dict[str, Any]:
    gain = float(outside.log_density.mean() - inside.log_density.mean())
    return {
        "auroc_log_density": float(ranking(inside.log_density, outside.log_density)["auroc"]),
        "auroc_log_prior": float(ranking(inside.log_prior, outside.log_prior)["auroc"]),
        "likelier_by": gain,
        "less_variance": less_variance,
        "sign_agrees": (gain > 0) == (less_variance > 0),
    }


def table(study: Mapping[str, Any]) -> Page:
    """Return bits per dimension, both parts of the log density and AUROC by set, and the false alarms beneath."""
    rows = [
        (
            f"in-set, {name}" if name in IN_SET else name,
            f"{row['bits_per_dimension']:.3f}",
            f"{row['log_prior']:.0f}",
            f"{row['log_det']:.0f}",
            f"{100 * row['auroc_log_density']:.2f}" if "auroc_log_density" in row else "",
        )
        for name, row in study["sets"].items()
    ]
    headers = ("set", "bits/dim", "log p(z)", "log |det|", "AUROC, log p")
    align = ("left", *["right"] * (len(headers) - 1))
    alarms = study["false_alarms"]
    return Page(
        Table(headers, rows, align),
        "",
        f"two-sided p below {100 * alarms['nominal']:.0f} %: {100 * alarms['test']:.2f} % of the in-set's test images, "
        f"{100 * alarms['validation']:.2f} % of its validation images",
    )
