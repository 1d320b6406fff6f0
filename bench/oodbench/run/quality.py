"""How good a model is: a classifier's accuracy and calibration on the test images, a density's bits on every set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.inputs import Inputs
from oodbench.measure.calibration import report
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Trained
from oodbench.records import Quality
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
        if role != "tuning"
    }
