"""How good the judged classifier is: accuracy and calibration on the in-set's test images."""

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure.calibration import report
from bench.records import SubjectRecord
from bench.subjects.views import Trained


def quality(subject: Trained, logits: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int64]) -> SubjectRecord:
    """Return the facts of a classifier from its logits [n C] and the true classes [n]."""
    numbers = report(logits, labels)
    parameters = sum(weight.numel() for weight in subject.net.parameters())
    return SubjectRecord(parameters=parameters, n_test=len(labels), **numbers)
