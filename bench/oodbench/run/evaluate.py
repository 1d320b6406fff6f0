"""The matrix-free way in: your model, your arrays, a table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from oodbench.contract import LOGITS, Material, Method, Output
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.errors import BadData, BadMethod
from oodbench.measure.cells import cells, measure
from oodbench.models.outputs import BATCH, Passes, Trained, joined, of_a_pass, to_store
from oodbench.networks import Classifier, Headed
from oodbench.recipes import Plain
from oodbench.records import Outcomes
from oodbench.run.arrays import Array, check_classes, images, labelled
from oodbench.run.examine import Exam, examine
from oodbench.run.machine import exact
from oodbench.run.plan import why_not
from oodbench.run.registry import find
from oodbench.run.workspace import usable

Row = dict[str, Any]

ANSWER: frozenset[Output] = frozenset({LOGITS})

METRICS = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")
INTERVAL = ("auroc_low", "auroc_high")
COLUMNS = ("method", "failure", "set", "n_good", "n_bad", *METRICS, *INTERVAL, "forward", "gradient", "note")


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
    pool: str | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well methods tell a classifier's failures, a row per (method, failure set).

    Failures are the sets given, and the classifier's own misclassifications on `test`.

    Args:
        model: Maps pixels [n c h w] in [0, 1] to logits [n C]. Standardisation is part of it. It is left unchanged.
        train: Inputs and labels that the model was trained on.
        test: Inputs and labels of the same distribution, held out.
        failures: Out-of-distribution images by name.
        methods: Names (`oodbench list`), or methods of your own.
        validation: Held-out images and labels, for methods that fit or tune on them.
        ood_validation: Held-out out-of-distribution images by name, for methods that tune on them.
        head: Name of the model's last linear layer; by default its last `nn.Linear`.
        layers: Names of modules whose outputs multi-layer methods read, beside the penultimate features.
        pool: Name of the module that pools the last feature map; by default the last pooling module before the head.
        device: Where to run.
        seed: For methods whose fit is random.

    Returns:
        Columns method, failure, set, n_good, n_bad, fpr95, detection_error, auroc, aupr_in, aupr_out (all in [0, 1]),
        auroc_low and auroc_high (95 % interval), forward and gradient (passes per input), and note: why there are no
        numbers, of a method that cannot run (then failure and set are empty too) or of one set.

    Raises:
        UnknownName: no such method, or no module of that name; the nearest is offered.
        BadData: an array is not what it must be.
        BadMethod: the model is none, cannot read the images, does not answer with logits, or the head takes no part in
            its forward pass.
        BadSetting: the device is not here.
    """
    if not isinstance(model, nn.Module):
        raise BadMethod(f"model: got {_named(model)}; expected an nn.Module, whose forward pass gives logits")
    for name, sets in (("failures", failures), ("ood_validation", {} if ood_validation is None else ood_validation)):
        if not isinstance(sets, Mapping):
            raise BadData(f"{name}: got {_named(sets)}; expected images by name, as in {{'noise': images}}")
    chosen = [find([m])[0].method if isinstance(m, str) else m for m in methods]
    offered: set[Material] = {"labels"}
    offered |= {"validation"} if validation else set()
    offered |= {"ood_validation"} if ood_validation else set()
    notes = [_why_not(method, frozenset(offered)) for method in chosen]
    runnable = [method for method, note in zip(chosen, notes, strict=True) if not note]
    wanted = to_store(ANSWER.union(*(method.detector.reads for method in runnable)))
    place = usable(device)
    with exact(place), evaluating(model, place):
        ours = isinstance(model, Classifier | Headed)
        trained = Trained((model if ours else Headed(model, head, layers, pool=pool)).to(place), place)
        exam = _exam(trained, train, test, failures, validation, ood_validation, seed, wanted)
        rows: list[Row] = []
        for method, reason in zip(chosen, notes, strict=True):
            note = reason or _lacking(method, exam)
            rows += [_note(method, note)] if note else _rows(method, exam)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _named(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a value of type {type(value).__name__}"


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


def _why_not(method: Method, offered: frozenset[Material]) -> str | None:
    if not isinstance(method.recipe, Plain):
        return f"trains a classifier of its own ({type(method.recipe).__name__}), and would not judge yours"
    return why_not(method, method.recipe, offered, "images")


def _lacking(method: Method, exam: Exam) -> str | None:
    """Return why the model cannot give what is not stored and this method reads: a map that no module pools, say."""
    wanted = of_a_pass(method.detector.reads) - to_store(method.detector.reads)
    if not wanted:
        return None
    try:
        with torch.no_grad():
            one = torch.from_numpy(exam.train.batch(slice(0, 1))).to(exam.model.device)
            exam.model.net.outputs(one, wanted)  # type: ignore[operator]
    except BadMethod as error:
        return str(error)
    return None


def _note(method: Method, note: str, failure: str | None = None, name: str | None = None) -> Row:
    return {"method": method.name, "failure": failure, "set": name, "note": note}


def _rows(method: Method, exam: Exam) -> list[Row]:
    try:
        outcome = examine(method, exam)
    except BadData as error:
        return [_note(method, str(error))]
    rows = []
    outcomes = Outcomes(exam.correct) if exam.correct is not None else None
    for cell in sorted(cells(outcome.scores, outcomes), key=lambda cell: cell.failure):
        try:
            metrics, intervals = measure(cell, bootstrap=0, seed=exam.seed)
        except BadData as error:  # nothing to tell apart: a classifier that makes no misclassification
            rows.append(_note(method, str(error), cell.failure, cell.name))
            continue
        rows.append(
            {"method": method.name, "failure": cell.failure, "set": cell.name}
            | {"n_good": len(cell.good), "n_bad": len(cell.bad)}
            | {name: metrics[name] for name in METRICS}
            | dict(zip(INTERVAL, intervals["auroc"], strict=True))
            | {"forward": outcome.forward, "gradient": outcome.gradient, "note": ""}
        )
    return rows + [_note(method, why, failure, name) for (failure, name), why in outcome.failed.items()]


def _exam(
    model: Trained,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    failures: Mapping[str, Array],
    validation: tuple[Array, Array] | None,
    ood_validation: Mapping[str, Array] | None,
    seed: int,
    wanted: frozenset[Output],
) -> Exam:
    train_set = labelled("train", train)
    like = train_set.shape
    test_set = labelled("test", test, like)
    validation_set = labelled("validation", validation, like) if validation else None
    classes = _classes(model, train_set)
    for one in (train_set, test_set, validation_set):
        if one is not None:
            check_classes(one, classes)
    outputs = _Outputs(model, wanted)
    return Exam(
        model=model,
        outputs=outputs,
        seed=seed,
        classes=classes,
        train=train_set,
        validation=validation_set,
        test=test_set,
        correct=outputs(test_set)[LOGITS].argmax(1).cpu().numpy() == test_set.labels,
        ood={name: images(name, x, like) for name, x in failures.items()},
        tuning={name: images(name, x, like) for name, x in (ood_validation or {}).items()},
    )


def _classes(model: Trained, images: ArrayImages) -> int:
    """Return how many classes a model knows."""
    one = torch.from_numpy(images.batch(slice(0, 1))).to(model.device)
    try:
        with torch.no_grad():
            logits = model.net.outputs(one, ANSWER)[LOGITS]  # type: ignore[operator]
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadMethod(
            f"the model cannot read one of the training images, float32 {list(one.shape)} "
            f"({str(error).splitlines()[0]}); expected images [n c h w] as it was trained on, "
            f"and weights in float32 (model.float())"
        ) from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        got = f"shape {list(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadMethod(f"the model answered one image with {got}; expected logits [1 C] of C classes, two or more")
    return int(logits.shape[1])


class _Outputs:
    """A model's outputs for each set, in memory: one forward pass a set, for all methods."""

    def __init__(self, model: Trained, wanted: frozenset[Output]) -> None:
        self._model = replace(model, passes=Passes())  # these passes are shared, not one method's own
        self._wanted = wanted
        self._made: dict[str, dict[Output, Any]] = {}

    def __call__(self, images: Inputs) -> dict[Output, Any]:
        key = images.sha256()
        if key not in self._made:
            self._made[key] = self._forward(images)
        return self._made[key]

    def _forward(self, images: Inputs) -> dict[Output, Any]:
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images.batch(slice(start, start + BATCH))).to(self._model.device)
                parts.append(self._model.outputs(x, self._wanted))
        return {output: joined([part[output] for part in parts]) for output in self._wanted}
