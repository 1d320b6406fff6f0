"""How good a model is: a classifier's accuracy, calibration and robustness, a density's bits on every set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.inputs import Inputs
from oodbench.measure.calibration import report
from oodbench.measure.corruption import delta_entropy
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Trained
from oodbench.records import Corrupted, Quality
from oodbench.run.sets import Sets


def quality(model: Trained, logits: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int64]) -> Quality:
    """Return the facts of a classifier from its logits [n C] and the true classes [n]."""
    numbers = report(logits, labels)
    parameters = sum(weight.numel() for weight in model.net.parameters())
    return Quality(parameters=parameters, n_test=len(labels), **numbers)


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
