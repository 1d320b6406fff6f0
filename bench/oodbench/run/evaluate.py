"""The matrix-free way in: your model, your arrays, a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from oodbench.contract import LOGITS, Method, Output
from oodbench.data.inputs import Inputs
from oodbench.errors import BadData, BadMethod
from oodbench.measure.cells import cells, measure
from oodbench.models.outputs import BATCH, Passes, Trained, joined, to_store
from oodbench.recipes import Plain
from oodbench.records import Outcomes
from oodbench.run import remarks
from oodbench.run.arrays import Array, Given, check_classes, given_sets
from oodbench.run.engines import reason
from oodbench.run.examine import Exam, Outcome, examine
from oodbench.run.judged import ANSWER, as_model, evaluating, first_look, spread
from oodbench.run.machine import exact
from oodbench.run.plan import why_not
from oodbench.run.registry import find
from oodbench.run.workspace import usable

Row = dict[str, Any]

METRICS = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")
INTERVAL = ("auroc_low", "auroc_high")
COLUMNS = (
    *("method", "failure", "set", "n_good", "n_bad", *METRICS, *INTERVAL),
    *("forward", "gradient", "accuracy", "note"),
)

ASKED = 512
"""Training images on which the model's accuracy is measured, where no method had all of them pass through it."""


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
    layers: Sequence[str] | Mapping[str, int] = (),
    pool: str | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well methods tell a classifier's failures, a row per (method, failure set).

    Failures are the sets given, and the classifier's own misclassifications on `test`.

    Args:
        model: Maps pixels [n c h w] in [0, 1] to logits [n C], or [n 1] of two classes, or to a tuple, dict or object
            that holds them. Standardisation is part of it (`oodbench.networks.Headed(model, mean=..., std=...)` adds
            it). It is left unchanged.
        train: Inputs and labels that the model was trained on.
        test: Inputs and labels of the same distribution, held out.
        failures: Out-of-distribution images by name.
        methods: Names (`oodbench list`), or methods of your own.
        validation: Held-out images and labels, for methods that fit or tune on them.
        ood_validation: Held-out out-of-distribution images by name, for methods that tune on them.
        head: Name of the model's last linear layer; by default the last one that makes the logits, if any does.
        layers: Names of modules whose outputs multi-layer methods read, beside the penultimate features; as a mapping,
            with the axis of their channels (1 or -1) where the modules do not tell it.
        pool: Name of the module that pools the last feature map; by default the last one that makes the head's input.
        device: Where to run.
        seed: For methods whose fit is random.

    Returns:
        Columns method, failure, set, n_good, n_bad, fpr95, detection_error, auroc, aupr_in, aupr_out (all in [0, 1]),
        auroc_low and auroc_high (95 % interval), forward and gradient (passes per input), accuracy (the model's, on
        `test`), and note: what makes the numbers doubtful, or why there are none, of a method that cannot run (then
        failure and set are empty too) or of one set. `table.attrs["accuracy"]` holds the model's accuracy on `train`
        (or 512 of its images) and `test`.

    Raises:
        UnknownName: no such method, or no module of that name; the nearest is offered.
        BadData: an array is not what it must be.
        BadMethod: the model is none, cannot read the images, does not answer with logits, answers at random or as its
            batch wants; or the head or a layer is not what it is named as.
        BadSetting: the device is not here.
    """
    net = as_model(model, head, layers, pool)
    sets = given_sets(train, test, failures, validation, ood_validation)
    if isinstance(methods, str):
        raise BadMethod(f"methods: got {methods!r}; expected a list of names: [{methods!r}]")
    chosen = [find([m])[0].method if isinstance(m, str) else m for m in methods]
    place = usable(device)
    with exact(place), evaluating(net, place):
        trained = Trained(net.to(place), place)
        classes = first_look(trained, sets.train)
        check_classes(sets, classes)
        reasons = [_why_not(method, sets, net) for method in chosen]
        runnable = [method for method, why in zip(chosen, reasons, strict=True) if not why]
        outputs = _Outputs(trained, to_store(ANSWER.union(*(method.detector.reads for method in runnable))))
        exam = _exam(trained, outputs, sets, classes, seed)
        rows: list[Row] = []
        for method, why in zip(chosen, reasons, strict=True):
            rows += [_note(method, why)] if why else _rows(method, exam, sets)
        accuracy = {"train": outputs.accuracy(sets.train), "test": outputs.accuracy(sets.test)}
        doubts = [*remarks.of_model(trained, sets.train, accuracy), *remarks.of_test(sets)]
    for row in rows:
        row["accuracy"] = accuracy["test"]
        row["note"] = "; ".join([*doubts, *filter(None, [row["note"]])]) if "auroc" in row else row["note"]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["accuracy"] = accuracy
    return table


def _why_not(method: Method, sets: Given, net: nn.Module) -> str | None:
    if not isinstance(method.recipe, Plain):
        return f"trains a classifier of its own ({type(method.recipe).__name__}), and would not judge yours"
    lacks: Mapping[Output, str] = getattr(net, "lacks", {})
    lacking = sorted(method.detector.reads & lacks.keys())
    if lacking:
        return f"reads {', '.join(map(str, lacking))}: {lacks[lacking[0]]}"
    reason = why_not(method, method.recipe, sets.offered, "images")
    return reason or (sets.too_small_to_halve() if method.search else None)


def _note(method: Method, note: str, failure: str | None = None, name: str | None = None) -> Row:
    return {"method": method.name, "failure": failure, "set": name, "note": note}


def _rows(method: Method, exam: Exam, sets: Given) -> list[Row]:
    """Return a method's rows; whatever goes wrong in it is its own note, and costs no other method's rows."""
    try:
        return _measured(method, exam, sets, examine(method, exam))
    except Exception as error:
        return [_note(method, _overflow(method, exam) or (str(error) if isinstance(error, BadData) else reason(error)))]


def _measured(method: Method, exam: Exam, sets: Given, outcome: Outcome) -> list[Row]:
    of_method = [*remarks.of_method(method, exam.model, sets.train, exam.classes), *remarks.of_fit(outcome, sets.train)]
    of_method += remarks.of_held_out(method, sets)
    rows = []
    outcomes = Outcomes(exam.correct) if exam.correct is not None else None
    for cell in sorted(cells(outcome.scores, outcomes), key=lambda cell: cell.failure):
        try:
            metrics, intervals = measure(cell, bootstrap=0, seed=exam.seed)
        except BadData as error:  # nothing to tell apart: a classifier that makes no misclassification
            rows.append(_note(method, str(error), cell.failure, cell.name))
            continue
        of_set = remarks.of_set(cell.name, sets) if cell.failure == "ood" else ()
        rows.append(
            {"method": method.name, "failure": cell.failure, "set": cell.name}
            | {"n_good": len(cell.good), "n_bad": len(cell.bad)}
            | {name: metrics[name] for name in METRICS}
            | dict(zip(INTERVAL, intervals["auroc"], strict=True))
            | {"forward": outcome.forward, "gradient": outcome.gradient, "note": "; ".join([*of_method, *of_set])}
        )
    return rows + [_note(method, why, failure, name) for (failure, name), why in outcome.failed.items()]


def _overflow(method: Method, exam: Exam) -> str | None:
    """Return what of a method's training material is not finite, if a fit on it failed for that."""
    assert isinstance(exam.outputs, _Outputs)
    for output, value in exam.outputs.made(exam.train).items():
        parts = value if isinstance(value, tuple) else (value,)
        bad = torch.stack([~part.flatten(1).isfinite().all(dim=1) for part in parts]).any(dim=0)
        if output in method.detector.reads and bad.any():
            return (
                f"{output} of {int(bad.sum())} of {len(bad)} training images are NaN or infinite (the first: image "
                f"{int(bad.nonzero()[0])}), and no fit stands on them; look for an overflow in the model"
            )
    return None


def _exam(model: Trained, outputs: "_Outputs", sets: Given, classes: int, seed: int) -> Exam:
    return Exam(
        model=model,
        outputs=outputs,
        seed=seed,
        classes=classes,
        train=sets.train,
        validation=sets.validation,
        test=sets.test,
        correct=outputs.right(sets.test),
        ood=sets.ood,
        tuning=sets.tuning,
    )


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

    def made(self, images: Inputs) -> dict[Output, Any]:
        """Return the outputs for a set that are there already."""
        return self._made.get(images.sha256(), {})

    def right(self, images: Inputs) -> npt.NDArray[np.bool_]:
        """Return which images of a set the model gets right."""
        right: npt.NDArray[np.bool_] = self(images)[LOGITS].argmax(1).cpu().numpy() == images.labels
        return right

    def accuracy(self, images: Inputs) -> float:
        """Return the share that the model gets right: of a set that has passed through it, else of some images."""
        return float(self.right(images if self.made(images) else images.take(spread(len(images), ASKED))).mean())

    def _forward(self, images: Inputs) -> dict[Output, Any]:
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images.batch(slice(start, start + BATCH))).to(self._model.device)
                parts.append(self._model.outputs(x, self._wanted))
        return {output: joined([part[output] for part in parts]) for output in self._wanted}
