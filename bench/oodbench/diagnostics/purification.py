"""Purification: does moving features up their own density mend a classifier's misclassifications?

Shao, Song & Ermon, "Understanding Classifier Mistakes with Generative Models", 2020, appendix B.

    F <- F - eps (grad B(F) + 2 nu (F - f(x))),   100 steps from F = f(x),   B(F) = -log p(F) / (dim F log 2)
    grad(-log p)(F) = sum_k r_k(F) (F - mu_k) / sigma_k^2,   r_k(F) = p(k|F)

p is the feature mixture of `gmm-1000`, the class is argmax of the frozen head at the purified features. B is in bits
per dimension: without its divisor the same eps is a step dim F log 2 times as long. nu holds F to where it began.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import FEATURES, HEAD, LOGITS, Head, Output
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.detectors.mixture import FeatureMixture
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.suited import suited
from oodbench.estimators import ROWS, Mixture
from oodbench.models.outputs import Access, ModelOutputs
from oodbench.models.train import Report, silent
from oodbench.run.context import Context
from oodbench.run.plan import sized
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table

STEPS = 100
EPS = (0.1, 0.01)
NU = (0.0, 0.01, 0.1, 1.0)
ANSWERS: frozenset[Output] = frozenset({FEATURES, LOGITS})


class Setting(NamedTuple):
    """One point of the paper's grid."""

    eps: float
    nu: float


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Purify the features of up to n validation and test images at every setting; return the file written and a table.

    Args:
        method: A method whose detector is a feature mixture, and whose model has a linear head.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model and of the mixture's start.
        n: Most images a part, evenly spaced.
        out: Folder to write to.
        report: Told of the training and of each setting.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method is no feature mixture.
        MissingData: the in-set is not here.
    """
    context = Context(find_matrix(matrix), workspace)
    found = suited(method, lambda one: isinstance(one.detector, FeatureMixture), "has no mixture over features")
    detector = found.sized(context.matrix.scale).detector
    assert isinstance(detector, FeatureMixture)  # at every scale the same class
    recipe = sized(found.recipe, context.matrix)
    model, _ = context.model(recipe, seed, report)

    def features(images: Inputs) -> Tensor:
        return torch.as_tensor(context.outputs(recipe, seed, ANSWERS, images, report)[FEATURES]).to(model.device)

    training = SimpleNamespace(train=SimpleNamespace(features=features(context.sets.train)), seed=seed)
    mixture = detector.fit(training)
    head = ModelOutputs(model, context.sets.test, Access(frozenset({HEAD}))).head
    rows: list[dict[str, Any]] = []
    for part, images in (("validation", context.sets.validation), ("test", context.sets.test)):
        assert images.labels is not None
        few = evenly(len(images), n)
        f, labels = features(images)[few], torch.from_numpy(images.labels[few]).to(model.device)
        for done, (eps, nu) in enumerate(product(EPS, NU)):
            report(f"{part}, eps {eps}, nu {nu}", done, len(EPS) * len(NU))
            setting = Setting(eps, nu)
            rows.append({"part": part, **setting._asdict(), **effect(head, f, purified(mixture, f, setting), labels)})
    about = {"method": method, "matrix": matrix, "seed": seed, "steps": STEPS, "components": len(mixture.mu)}
    return Study([write(about | {"rows": rows}, out / "purification.json")], table(rows))


def purified(mixture: Mixture, f: Float[Tensor, "n F"], setting: Setting, steps: int = STEPS) -> Float[Tensor, "n F"]:
    """Return the features after some steps of gradient descent on their bits per dimension, in float64."""
    return torch.cat([_descended(mixture, rows.double(), setting, steps) for rows in torch.split(f, ROWS)])


def _descended(mixture: Mixture, start: Tensor, setting: Setting, steps: int) -> Tensor:
    f = start
    for _ in range(steps):
        f = f - setting.eps * (bits_gradient(mixture, f) + 2 * setting.nu * (f - start))
    return f


def bits_gradient(mixture: Mixture, f: Float[Tensor, "n F"]) -> Float[Tensor, "n F"]:
    """Return grad B(F) = sum_k r_k (F - mu_k) / sigma_k^2 / (dim F log 2)."""
    r = mixture.log_joint(f).softmax(dim=1)
    precision = 1 / mixture.sigma2.double()
    pull = f * (r @ precision) - r @ (mixture.mu.double() * precision)
    return pull / (f.shape[1] * log(2))


def effect(
    head: Head, before: Float[Tensor, "n F"], after: Float[Tensor, "n F"], labels: Int[Tensor, "n"]
) -> dict[str, float | int]:
    """Return accuracy before and after, and how many answers became right or wrong, or changed at all."""
    was, now = (classes(head, f) for f in (before, after))
    right, still = was == labels, now == labels
    return {
        "n": len(labels),
        "accuracy_before": float(right.double().mean()),
        "accuracy_after": float(still.double().mean()),
        "mended": int((~right & still).sum()),
        "broken": int((right & ~still).sum()),
        "changed": int((was != now).sum()),
    }


def classes(head: Head, f: Float[Tensor, "n F"]) -> Int[Tensor, "n"]:
    """Return what the head answers."""
    return (f.double() @ head.weight.double().T + head.bias.double()).argmax(dim=1)


def table(rows: Sequence[Mapping[str, Any]]) -> Page:
    """Return what each setting did to the accuracy, in percent, and to how many images."""
    shown = ("part", "eps", "nu", "accuracy_before", "accuracy_after", "mended", "broken", "changed")
    cells = [[f"{100 * row[key]:.2f}" if "accuracy" in key else row[key] for key in shown] for row in rows]
    headers = [key.replace("_", " ") for key in shown]
    return Page(Table(headers, cells, ["left"] * len(shown)))
