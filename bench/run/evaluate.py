"""The matrix-free way in: your model, your arrays, a table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from bench.contract import Material, Method, View
from bench.data.images import ArrayImages, Images
from bench.errors import BadData
from bench.measure.cells import cells, measure
from bench.networks import Headed
from bench.recipes import Plain
from bench.run.examine import Exam, examine
from bench.run.plan import why_not
from bench.run.registry import find
from bench.subjects.views import BATCH, NET_VIEWS, Trained

Array = npt.NDArray[Any] | torch.Tensor
"""Images [n c h w], float in [0, 1] or uint8; or labels [n]."""

LOGITS: frozenset[View] = frozenset({"logits"})

COLUMNS = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")


def evaluate(
    model: nn.Module,
    *,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    failures: Mapping[str, Array],
    methods: Sequence[str | Method],
    validation: tuple[Array, Array] | None = None,
    ood_validation: Mapping[str, Array] | None = None,
    head: str | None = None,
    layers: Sequence[str] = (),
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well methods tell a classifier's failures, a row per (method, failure set).

    Failures are the sets given, and the classifier's own mistakes on `test`.

    Args:
        model: Maps pixels [n c h w] in [0, 1] to logits [n C]. Standardisation is part of it. It is left unchanged.
        train: Images and labels that the model was trained on.
        test: Images and labels of the same distribution, held out.
        failures: Out-of-distribution images by name.
        methods: Names (`oodbench list`), or methods of your own.
        validation: Held-out images and labels, for methods that fit or tune on them.
        ood_validation: Held-out out-of-distribution images by name, for methods that tune on them.
        head: Name of the model's last linear layer; by default its last `nn.Linear`.
        layers: Names of modules whose outputs multi-layer methods read, beside the penultimate features.
        device: Where to run.
        seed: For methods whose fit is random.

    Returns:
        Columns method, failure, set, n_good, n_bad, fpr95, detection_error, auroc, aupr_in, aupr_out (all in [0, 1]),
        auroc_low and auroc_high (95 % interval), forward and gradient (passes per input), and note: why a method could
        not run, in which case its row has no numbers.

    Raises:
        UnknownName: no such method, or no module of that name; the nearest is offered.
        BadData: an array is not what it must be.
    """
    chosen = [find([m])[0].method if isinstance(m, str) else m for m in methods]
    offered: set[Material] = {"labels"}
    offered |= {"validation"} if validation else set()
    offered |= {"ood_validation"} if ood_validation else set()
    wanted = frozenset[View]().union(*(method.detector.reads for method in chosen)) & NET_VIEWS | LOGITS
    with evaluating(model, torch.device(device)):
        exam = _exam(
            model, train, test, failures, validation, ood_validation, head, layers, torch.device(device), seed, wanted
        )
        rows: list[dict[str, Any]] = []
        for method in chosen:
            note = why_not(method, Plain(), frozenset(offered))
            rows += [{"method": method.name, "note": note}] if note else _rows(method, exam)
    return pd.DataFrame(rows)


@contextmanager
def evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a model on a device in evaluation mode, without gradients by its weights, and back as it was."""
    modes = {module: module.training for module in model.modules()}
    wants = {weight: weight.requires_grad for weight in model.parameters()}
    places = {weight: weight.device for weight in model.parameters()}
    model.to(device).eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight, wanted in wants.items():
            weight.requires_grad_(wanted)
        model.to(next(iter(places.values()), device))


def _rows(method: Method, exam: Exam) -> list[dict[str, Any]]:
    outcome = examine(method, exam)
    rows = []
    for cell in cells(outcome.scores):
        metrics, intervals = measure(cell, bootstrap=0, seed=exam.seed)
        rows.append(
            {"method": method.name, "failure": cell.failure, "set": cell.name}
            | {"n_good": len(cell.good), "n_bad": len(cell.bad)}
            | {name: metrics[name] for name in COLUMNS}
            | {"auroc_low": intervals["auroc"][0], "auroc_high": intervals["auroc"][1]}
            | {"forward": outcome.forward, "gradient": outcome.gradient, "note": ""}
        )
    failed = outcome.failed.items()
    return rows + [{"method": method.name, "failure": f, "set": name, "note": why} for (f, name), why in failed]


def _exam(
    model: nn.Module,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    failures: Mapping[str, Array],
    validation: tuple[Array, Array] | None,
    ood_validation: Mapping[str, Array] | None,
    head: str | None,
    layers: Sequence[str],
    device: torch.device,
    seed: int,
    wanted: frozenset[View],
) -> Exam:
    subject = Trained(model if hasattr(model, "show") else Headed(model, head, layers), device)
    train_set, test_set = images("train", *train), images("test", *test)
    assert train_set.labels is not None
    seen = _Seen(subject, wanted)
    return Exam(
        subject=subject,
        show=seen,
        seed=seed,
        classes=int(train_set.labels.max()) + 1,
        train=train_set,
        validation=images("validation", *validation) if validation else None,
        test=test_set,
        correct=seen(test_set)["logits"].argmax(1).cpu().numpy() == test_set.labels,
        ood={name: images(name, x) for name, x in failures.items()},
        tuning={name: images(name, x) for name, x in (ood_validation or {}).items()},
    )


class _Seen:
    """What a subject shows of each set, in memory: one forward pass a set, for all methods."""

    def __init__(self, subject: Trained, wanted: frozenset[View]) -> None:
        self._subject, self._wanted = subject, wanted
        self._seen: dict[int, tuple[Images, dict[View, Any]]] = {}

    def __call__(self, images: Images) -> dict[View, Any]:
        if id(images) not in self._seen:  # the set is kept beside its views, so its id stays its own
            self._seen[id(images)] = images, self._forward(images)
        return self._seen[id(images)][1]

    def _forward(self, images: Images) -> dict[View, Any]:
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images.batch(slice(start, start + BATCH))).to(self._subject.device)
                parts.append(self._subject.show(x, self._wanted))
        return {view: _cat([part[view] for part in parts]) for view in self._wanted}


def _cat(parts: list[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
    return torch.cat(parts)


def images(name: str, x: Array, y: Array | None = None) -> ArrayImages:
    """Return a user's arrays as images.

    Args:
        name: For errors.
        x: [n c h w], float in [0, 1] or uint8.
        y: Classes [n], integers from 0.

    Raises:
        BadData: shape, dtype or range is wrong; a label is negative or not an integer.
    """
    pixels = np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x)
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
    if y is None:
        return ArrayImages(pixels, card=name)
    labels = np.asarray(y.detach().cpu() if isinstance(y, torch.Tensor) else y)
    if labels.dtype.kind not in "iu":
        raise BadData(f"{name}: got labels of dtype {labels.dtype}; expected integers, a class from 0 for each image")
    if len(labels) and labels.min() < 0:
        raise BadData(f"{name}: got label {labels.min()}; expected classes from 0")
    return ArrayImages(pixels, labels.astype(np.int64), name)
