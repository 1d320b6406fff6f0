"""One method on one model: hand out, fit, tune, score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import Material, Method, Output
from oodbench.data.inputs import Inputs, JoinedInputs
from oodbench.errors import BadData
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import Report, silent
from oodbench.records import Changed, Corrupted, Quality, Scaled, Scores
from oodbench.run.attack import Attempt
from oodbench.run.fit_data import HandOut, as_fit_data, contrasts, labels_used
from oodbench.run.sets import Corrupted as CorruptedSet
from oodbench.run.tune import Floats, Tuned, scores_of, tune

OutputsOf = Callable[[Inputs], Mapping[Output, Any]]
"""The model's stored outputs for a set: the same forward pass for every method."""


@dataclass(frozen=True)
class Exam:
    """A model, and everything that it is examined on.

    Attributes:
        n_validation: In-distribution images that stand against held-out bad ones, in fitting and in tuning.
        adversarial_validation: Attacked validation images that fooled the model, if the matrix offers them.
        correct: Whether the judged classifier is right, for each test image [n].
        quality: How good that classifier is.
        calibration: How well its probabilities fit, before and after temperature scaling.
        corrupted: The corrupted test images, by set.
        robustness: What corruption does to the judged classifier, by set.
        bits: Mean bits per dimension of each set, if the model is a density.
    """

    model: Trained
    outputs: OutputsOf
    seed: int
    classes: int
    train: Inputs
    validation: Inputs | None
    test: Inputs
    correct: npt.NDArray[np.bool_] | None
    ood: Mapping[str, Inputs] = field(default_factory=dict)
    tuning: Mapping[str, Inputs] = field(default_factory=dict)
    attacks: Mapping[str, Attempt] = field(default_factory=dict)
    corrupted: Mapping[str, CorruptedSet] = field(default_factory=dict)
    robustness: Mapping[str, Corrupted] = field(default_factory=dict)
    adversarial_validation: Inputs | None = None
    n_validation: int = 0
    quality: Quality = Quality()
    calibration: Scaled | None = None
    bits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of an examination.

    Attributes:
        scores: Of every set that has finite ones.
        tuned: The detector with the values that won, and its fitted state.
        forward: Forward passes per test input, the shared one included.
        gradient: Backward passes per test input.
        failed: Reason by (failure kind, set) whose scores are not finite.
        seconds: By stage.
        access: What was declared and what was opened.
        opened: Materials that `fit` opened.
    """

    scores: Scores
    tuned: Tuned
    forward: float
    gradient: float
    failed: dict[tuple[str, str], str]
    seconds: dict[str, float]
    access: Access
    opened: frozenset[str]

    @property
    def chosen(self) -> dict[str, float]:
        """Tuned values by field."""
        return self.tuned.chosen


def examine(method: Method, exam: Exam, report: Report = silent) -> Outcome:
    """Fit, tune and score a method on one model.

    Raises:
        BadData: a score of the in-set's test images is NaN or infinite.
        Undeclared: the method read what it did not declare.
    """
    detector = method.detector
    access = Access(detector.reads, "labels" in detector.fits_on)
    started = perf_counter()
    data = hand_out(method, exam, access)
    tuned = _fit_and_tune(method, exam, access, data, report)
    fitted = perf_counter()
    passes = exam.model.passes
    before = passes.forward, passes.gradient
    sealed = Access(access.reads, labels=False, touched=access.touched)  # outputs for test images carry no labels
    scores, failed, n = _score_all(tuned, exam, sealed, report)
    shared = int(exam.model.net.passes) if sealed.stored else 0  # type: ignore[arg-type]
    return Outcome(
        scores=scores,
        tuned=tuned,
        forward=shared + (passes.forward - before[0]) / n,
        gradient=(passes.gradient - before[1]) / n,
        failed=failed,
        seconds={"fit": fitted - started, "score": perf_counter() - fitted},
        access=access,
        opened=frozenset(data.touched),
    )


def fitted(method: Method, exam: Exam, report: Report = silent) -> Tuned:
    """Fit and tune a method on one model, without a look at any test image."""
    access = Access(method.detector.reads, "labels" in method.detector.fits_on)
    return _fit_and_tune(method, exam, access, hand_out(method, exam, access), report)


def hand_out(method: Method, exam: Exam, access: Access) -> HandOut:
    """Return what `fit` sees: where a grid chooses afterwards, the even half of each held-out set, else all of it."""
    step = 2 if method.search else 1
    materials: dict[Material, ModelOutputs] = {}
    if exam.validation is not None:
        held_out = _first(exam.validation, exam.n_validation) if contrasts(method) else exam.validation
        materials["validation"] = _outputs(
            exam, held_out.take(slice(0, None, step)) if contrasts(method) else held_out, access
        )
    if exam.tuning:
        materials["ood_validation"] = _join(
            exam, [images.take(slice(0, None, step)) for images in exam.tuning.values()], access
        )
    if exam.adversarial_validation is not None:
        materials["adversarial_validation"] = _outputs(
            exam, exam.adversarial_validation.take(slice(0, None, step)), access
        )
    train = _outputs(exam, exam.train, access)
    labelled = labels_used(exam.model, len(exam.train))
    return HandOut(exam.classes, exam.seed, train, labelled, method.detector.fits_on, materials)


def _fit_and_tune(method: Method, exam: Exam, access: Access, data: HandOut, report: Report) -> Tuned:
    if method.search is None:
        report("fit", 0, 1)
        with torch.no_grad():
            return Tuned(method.detector, method.detector.fit(as_fit_data(data)), {})
    assert exam.validation is not None
    good = _outputs(exam, _first(exam.validation, exam.n_validation).take(slice(1, None, 2)), access)
    held_out = exam.tuning.values() if method.search.on == "ood_validation" else [exam.adversarial_validation]
    bad = [_outputs(exam, images.take(slice(1, None, 2)), access) for images in held_out if images is not None]
    with torch.no_grad():
        return tune(method.detector, method.search, data, good, bad, report)


def _score_all(
    tuned: Tuned, exam: Exam, sealed: Access, report: Report
) -> tuple[Scores, dict[tuple[str, str], str], int]:
    failed: dict[tuple[str, str], str] = {}
    total = 1 + len(exam.ood) + len(exam.attacks) + len(exam.corrupted)
    done = 0
    n = 0

    def score(failure: str, name: str, images: Inputs) -> Floats | None:
        nonlocal done, n
        values = scores_of(tuned.detector, tuned.state, _outputs(exam, images, sealed, labelled=False))
        done, n = done + 1, n + len(images)
        report(f"score {name}", done, total)
        reason = not_finite(values)
        if reason:
            failed[failure, name] = reason
        return None if reason else values

    test = score("misclassification", "test", exam.test)
    if test is None:
        raise BadData(f"in-set test images: {failed['misclassification', 'test']}")
    ood = {name: score("ood", name, images) for name, images in exam.ood.items()}
    attacked = {name: score("adversarial", name, attempt.images) for name, attempt in exam.attacks.items()}
    corrupted = {name: score("corruption", name, one.images) for name, one in exam.corrupted.items()}
    scores = Scores(
        test=test,
        ood={name: values for name, values in ood.items() if values is not None},
        adversarial={
            name: Changed(values, exam.attacks[name].index) for name, values in attacked.items() if values is not None
        },
        corruption={
            name: Changed(values, exam.corrupted[name].index)
            for name, values in corrupted.items()
            if values is not None
        },
    )
    return scores, failed, n


def not_finite(scores: Floats) -> str | None:
    """Return what is wrong with scores that are NaN or infinite, or None."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if not len(bad):
        return None
    return f"{len(bad)} of {len(scores)} scores are NaN or infinite, the first at index {bad[0]} ({scores[bad[0]]})"


def _outputs(exam: Exam, images: Inputs, access: Access, labelled: bool = True) -> ModelOutputs:
    labels = torch.from_numpy(images.labels) if labelled and images.labels is not None else None
    return ModelOutputs(exam.model, images, access, cache(lambda: exam.outputs(images)), labels)


def _first(images: Inputs, n: int) -> Inputs:
    return images.take(slice(0, n or len(images)))


def _join(exam: Exam, parts: list[Inputs], access: Access) -> ModelOutputs:
    return _outputs(exam, JoinedInputs(tuple(parts)), access)
