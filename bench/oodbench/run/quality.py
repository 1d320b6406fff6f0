"""How good a model is: a classifier's accuracy, calibration and robustness, a density's bits on every set."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from oodbench.data.inputs import Inputs
from oodbench.detectors.calibrated import CalibratedSoftmax, calibrate
from oodbench.measure.calibration import every_class, report
from oodbench.measure.corruption import delta_entropy
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Trained
from oodbench.records import Calibration, Corrupted, Quality, Scaled
from oodbench.run.sets import Sets

Logits: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.int64]


def quality(model: Trained, logits: Logits, labels: Labels) -> Quality:
    """Return the facts of a classifier from its logits [n C] and the true classes [n]."""
    numbers = report(logits, labels)
    parameters = sum(weight.numel() for weight in model.net.parameters())
    return Quality(parameters=parameters, n_test=len(labels), **numbers)


def scaled(logits: Logits, labels: Labels, held_out: tuple[Logits, Labels] | None) -> Scaled:
    """Return calibration on test images before and after temperature scaling.

    Args:
        logits: Of the test images [n C].
        labels: Their true classes [n].
        held_out: Those of the validation images, on which the temperature is fitted as by the method `temperature`;
            no test image has a part in it.
    """
    plain = _calibration(logits, labels)
    if held_out is None:
        return Scaled(plain=plain)
    method, (z, y) = CalibratedSoftmax(), map(torch.from_numpy, held_out)
    temperature = calibrate(z, y, method.lowest, method.highest)
    after = _calibration(logits.astype(np.float64) / temperature, labels)
    return Scaled(plain=plain, temperature=temperature, scaled=after)


def _calibration(logits: Logits, labels: Labels) -> Calibration:
    numbers = report(logits, labels) | every_class(logits, labels)
    return Calibration(**{name: numbers[name] for name in Calibration.model_fields})  # type: ignore[arg-type]


def bits(log_density: Callable[[Inputs], npt.NDArray[np.float64]], sets: Sets) -> dict[str, float]:
    """Return a density's mean bits per dimension on every set that it does not tune on.

    Args:
        log_density: Returns log p in nats of each image [n].
        sets: Those of the matrix.
    """
    return {
        name: float(bits_per_dim(log_density(images), images.shape).mean())
        for name, role, images in sets
        if role not in ("tuning", "corruption")
    }


def robustness(
    logits_of: Callable[[Inputs], npt.NDArray[np.floating[Any]]], clean: npt.NDArray[np.floating[Any]], sets: Sets
) -> dict[str, Corrupted]:
    """Return what corruption does to a classifier, by set.

    Args:
        logits_of: Returns its logits [n C] of a set.
        clean: Its logits of the test images.
        sets: Those of the matrix.
    """
    assert sets.test.labels is not None
    wrong = clean.argmax(1) != sets.test.labels
    found: dict[str, Corrupted] = {}
    for name, one in sets.corrupted.items():
        images, index = one.images, one.index
        logits = logits_of(images)
        found[name] = Corrupted(
            n=len(images),
            error=float((logits.argmax(1) != images.labels).mean()),
            clean_error=float(wrong[index].mean()),
            delta_entropy=delta_entropy(clean[index], logits),
        )
    return found
