"""What evaluations of a generative model do and do not say, on the images of a matrix; no model is trained.

Theis, van den Oord & Bethge, "A note on the evaluation of generative models", ICLR 2016.

Mixing:     a model of which 1 % is p and 99 % noise q makes samples of noise, and costs at most log 100 nats:
            log(p(x) / 100 + 99 q(x) / 100) >= log p(x) - log 100.   Here p is a Parzen window, q uniform.
Parzen:     a Parzen window over as many k-means centres as there are true samples gives test images a higher log
            density than one over the samples: it ranks models by something else than their likelihood.
Neighbours: the nearest neighbour (Euclidean) of an image moved by a pixel or two is often another image: samples that
            are copies need not have their original as nearest neighbour.
One Gaussian: fits by three divergences, `oodbench.diagnostics.one_gaussian`.

Images are y = (255 x + u) / 256, u uniform in [0, 1), and so have densities; a Parzen window is
p(y) = 1/N sum_i N(y; y_i, s^2 I), s chosen on validation images [open choice: from BANDWIDTHS].
"""

from collections.abc import Mapping, Sequence
from math import log, prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp

from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.evaluation_pictures import draw_all
from oodbench.diagnostics.neighbours import squared_distances, still_nearest
from oodbench.diagnostics.one_gaussian import DIVERGENCES, MIXTURE, fits
from oodbench.errors import BadSetting
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.seeding import generator
from oodbench.models.train import Report, silent
from oodbench.run.sets import open_sets
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table
from oodbench.spaces import Images

SHARE = 0.01
"""Of the model in the mixture."""

BANDWIDTHS = (0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.4)
"""s, in units of the grey range."""

TRAINING = 4
"""Times as many training images are taken as test images."""

SAMPLES = 0.5
"""True samples, and centres, for each test image."""

ROUNDS = 30
"""Most rounds of k-means; it stops where no centre moves."""

SHIFTS = (0, 1, 2, 3, 4)
"""Pixels to the right."""

Values = npt.NDArray[np.float64]


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Look at the images of a matrix's in-set.

    Args:
        method: What the files are filed under; no model is looked at.
        matrix: Its name.
        workspace: Folder of the data.
        seed: Of the noise within a grey level, and of which images are the samples.
        n: Most test and validation images, evenly spaced; four times as many training images.
        out: Folder to write to.
        report: Told of the steps.

    Returns:
        The files written, density-evaluation.json and pictures as PNG; and a table.

    Raises:
        UnknownName: no such matrix.
        BadSetting: its inputs are no images.
        MissingData: the in-set is not here.
    """
    card = find_matrix(matrix)
    if not isinstance(card.space, Images):
        raise BadSetting(f"{matrix} has inputs of kind {card.space.name}; expected a matrix of images")
    sets = open_sets(card, workspace.data)
    train, validation, test = (
        images.take(evenly(len(images), most))
        for images, most in ((sets.train, TRAINING * n), (sets.validation, n), (sets.test, n))
    )
    y, held, z = (dequantised(images, seed, at) for at, images in enumerate((train, validation, test)))
    report("Parzen windows", 1, 3)
    mixed = mixing(parzen(z, y, bandwidth(held, y)), test.shape)
    report("k-means", 2, 3)
    windows = prefers_centres(y, held, z, int(SAMPLES * n), seed)
    report("neighbours", 3, 3)
    pixels = {name: _pixels(images) for name, images in (("train", train), ("test", test))}
    neighbours = {str(shift): still_nearest(pixels["train"], n, shift) for shift in SHIFTS}
    study: dict[str, Any] = {
        "method": method,
        "matrix": matrix,
        "seed": seed,
        "n_train": len(train),
        "n_test": len(test),
        "mixing": mixed,
        "parzen": windows,
        "neighbours": neighbours,
        "fits": {
            name: {"mu": q.mu[0].tolist(), "s": float(q.s[0])}
            | {other: divergence(MIXTURE, q) for other, divergence in DIVERGENCES.items()}
            for name, q in fits().items()
        },
    }
    file = write(study, out / "density-evaluation.json")
    pictures = draw_all(study, fits(), pixels["train"], out)
    return Study([file, *pictures], table(study))


def dequantised(images: Inputs, seed: int, part: int) -> Values:
    """Return y = (255 x + u) / 256 of every image, flat [n, D]."""
    x = _pixels(images).reshape(len(images), -1)
    u = torch.rand(*x.shape, generator=generator(seed, "density-evaluation", part), dtype=torch.float64)
    found: Values = (np.round(255 * x) + u.numpy()) / 256
    return found


def parzen(x: Values, centres: Values, s: float) -> Values:
    """Return log p of points [n, D] under a Parzen window of bandwidth s over centres [N, D]."""
    d = x.shape[1]
    kernels: Values = logsumexp(-squared_distances(x, centres) / (2 * s**2), axis=1)
    log_p: Values = kernels - log(len(centres)) - d / 2 * log(2 * np.pi * s**2)
    return log_p


def bandwidth(held: Values, centres: Values) -> float:
    """Return that under which held-out points are likeliest on average."""
    distance, d, n = squared_distances(held, centres), held.shape[1], len(centres)
    means = [
        float(logsumexp(-distance / (2 * s**2), axis=1).mean()) - log(n) - d / 2 * log(2 * np.pi * s**2)
        for s in BANDWIDTHS
    ]
    return BANDWIDTHS[int(np.argmax(means))]


def mixing(log_p: Values, shape: Sequence[int]) -> dict[str, float]:
    """Return what 99 % of uniform noise, of log density 0, costs a model of log densities log_p [n], in nats."""
    mixture = np.logaddexp(log(SHARE) + log_p, log(1 - SHARE))
    return {
        "log_density": float(log_p.mean()),
        "log_density_mixed": float(mixture.mean()),
        "largest_cost": float((log_p - mixture).max()),
        "bound": -log(SHARE),
        "bits": float(bits_per_dim(log_p, shape).mean()),
        "bits_mixed": float(bits_per_dim(mixture, shape).mean()),
        "bound_in_bits": -log(SHARE) / log(2) / prod(shape),
    }


def prefers_centres(y: Values, held: Values, test: Values, n: int, seed: int) -> dict[str, float]:
    """Return mean log densities of test images under windows over n true samples and over n k-means centres."""
    drawn = torch.randperm(len(y), generator=generator(seed, "density-evaluation", "samples"))[:n].numpy()
    samples = y[drawn]
    centres = kmeans(y, samples)
    found: dict[str, float] = {"n": float(len(samples))}
    for name, points in (("samples", samples), ("centres", centres)):
        s = bandwidth(held, points)
        found |= {name: float(parzen(test, points, s).mean()), f"{name}_bandwidth": s}
    return found


def kmeans(x: Values, start: Values, rounds: int = ROUNDS) -> Values:
    """Return the centres [K, D] that Lloyd's algorithm comes to from a start; one that no point is nearest to stays."""
    centres = start.copy()
    for _ in range(rounds):
        nearest = squared_distances(x, centres).argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, x)
        new = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if np.array_equal(new, centres):
            break
        centres = new
    return centres


def _pixels(images: Inputs) -> npt.NDArray[np.float32]:
    return images.batch(slice(0, len(images)))


def table(study: Mapping[str, Any]) -> Page:
    """Return all numbers as a table."""
    mixed, windows = study["mixing"], study["parzen"]
    rows = [
        ("log density of test images under a Parzen window, nats", f"{mixed['log_density']:.2f}"),
        ("  1 % of it and 99 % noise", f"{mixed['log_density_mixed']:.2f}"),
        ("  largest cost; log 100 is 4.61", f"{mixed['largest_cost']:.2f}"),
        (f"window over {windows['n']:.0f} true samples, nats", f"{windows['samples']:.2f}"),
        (f"window over {windows['n']:.0f} k-means centres", f"{windows['centres']:.2f}"),
        *(
            (f"moved by {shift}, nearest is the same image, percent", f"{100 * share:.2f}")
            for shift, share in study["neighbours"].items()
        ),
        *(
            (f"one Gaussian by {name}: standard deviation; KLD, MMD, JSD", _fit(one))
            for name, one in study["fits"].items()
        ),
    ]
    return Page(Table(("what", "found"), rows, ("left", "right")))


def _fit(one: Mapping[str, float]) -> str:
    return f"{one['s']:.2f}; " + ", ".join(f"{one[name]:.3f}" for name in DIVERGENCES)
