"""What a flow draws: samples beside the in-set's images, and how a classifier finds them.

Grover, Dhar & Ermon, "Flow-GAN: Combining Maximum Likelihood and Adversarial Learning in Generative Models", AAAI 2018,
sets bits per dimension and the MODE score of samples side by side: one may be good where the other is bad.

    y = f^-1(eps), eps ~ N(0, I);   x = floor(256 y) / 255 within [0, 1], the grey levels of y

The classifier is the plain one of the matrix, at the same seed; the in-set's test images are asked as well, since it is
their MODE score that samples could reach.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from tabulate import tabulate

from oodbench.contract import LOG_DENSITY, LOGITS
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.densities.flow_gan import FlowGan
from oodbench.densities.glow import Glow
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.sample_pictures import draw_all
from oodbench.diagnostics.suited import suited
from oodbench.measure.likelihood import bits_per_dim
from oodbench.measure.mode_score import Floats, mode_score
from oodbench.models.outputs import Trained
from oodbench.models.seeding import seeded
from oodbench.models.train import Report, labels_of, silent
from oodbench.networks.flow_gan import FlowGanNet
from oodbench.networks.glow import GlowNet
from oodbench.run.context import Context
from oodbench.run.plan import reference_of, sized
from oodbench.run.sets import in_set
from oodbench.run.workspace import Workspace

ROWS = 100
"""Samples drawn at once."""


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Draw n samples of a method's flow, and let the classifier of the matrix judge them.

    Models that are not in the cache are trained first.

    Args:
        method: One whose model is a flow.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the models and of the samples.
        n: Samples, and most test images that they are held against.
        out: Folder to write to.
        report: Told of the training.

    Returns:
        The files written, samples.json and samples.png; and the table of MODE scores.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's model is not a flow.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    lacks = "is not a flow, and only of these samples are drawn"
    found = suited(method, lambda one: isinstance(one.recipe, Glow | FlowGan), lacks)
    recipe = sized(found.recipe, context.matrix)
    model, _ = context.model(recipe, seed, report)
    y = drawn(model, n, seed)
    test = context.sets.test
    shown = {"samples": grey_levels(y), "test": test.take(evenly(len(test), n))}
    classifier, train = (
        reference_of(recipe, context.matrix),
        class_shares(context.sets.train, in_set(context.matrix).classes),
    )

    def judged(images: Inputs) -> float:
        logits = context.outputs(classifier, seed, frozenset({LOGITS}), images, report)[LOGITS]
        return mode_score(softmax(np.asarray(logits, dtype=np.float64), axis=1), train)

    log_p = context.outputs(recipe, seed, frozenset({LOG_DENSITY}), test, report)[LOG_DENSITY]
    study = {
        "method": method,
        "matrix": matrix,
        "seed": seed,
        "n": n,
        "bits_per_dimension": float(bits_per_dim(log_p, test.shape).mean()),
        "mode_score": {name: judged(images) for name, images in shown.items()},
        "outside": float(((y < 0) | (y >= 1)).mean()),
    }
    file = write(study, out / "samples.json")
    picture = draw_all(shown, out, f"{method} on {matrix}, seed {seed}")
    return Study([file, picture], table(study))


@torch.no_grad()
def drawn(model: Trained, n: int, seed: int) -> npt.NDArray[np.float32]:
    """Return n samples y of a flow [n c h w]."""
    net = model.net
    assert isinstance(net, GlowNet | FlowGanNet)
    with seeded(seed, "samples"):
        rows = [net.draw(min(ROWS, n - start)).cpu() for start in range(0, n, ROWS)]
    return torch.cat(rows).numpy()


def grey_levels(y: npt.NDArray[np.float32]) -> ArrayImages:
    """Return the 8-bit images that samples y lie in; what lies outside [0, 1) becomes black or white."""
    return ArrayImages(np.floor(256 * y.astype(np.float64)).clip(0, 255).astype(np.uint8))


def class_shares(images: Inputs, classes: int) -> Floats:
    """Return the share of each class [C]."""
    counts = np.bincount(labels_of(images).numpy(), minlength=classes)
    shares: Floats = counts / counts.sum()
    return shares


def table(study: dict[str, Any]) -> str:
    """Return the numbers for people."""
    rows = [
        ("bits per dimension, test images", f"{study['bits_per_dimension']:.3f}"),
        ("MODE score of the samples", f"{study['mode_score']['samples']:.2f}"),
        ("MODE score of test images", f"{study['mode_score']['test']:.2f}"),
        ("samples' values outside [0, 1)", f"{100 * study['outside']:.1f} %"),
    ]
    return tabulate(rows, tablefmt="plain", colalign=("left", "right"), disable_numparse=True)
