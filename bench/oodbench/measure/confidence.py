"""Calibration from stored scores: a classifier's confidence comes back from a score that is its log odds.

`msp` and its like store s = log p / (1 - p), p the largest softmax probability; `temperature` stores the same at T in
units of logits, s = T (log p / (1 - p) + log(C - 1)). So p is known of every input that was scored, out-set inputs too.

Where out-set inputs are mixed in, each counts as wrong (Hendrycks, Mazeika & Dietterich, Deep Anomaly Detection with
Outlier Exposure, ICLR 2019, appendix G, which says equal numbers; their code mixes one to five, and its logs are the
numbers of the paper).
"""

from collections.abc import Callable, Mapping
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from oodbench.errors import BadData
from oodbench.measure.calibration import ece, mad_calibration, rms_calibration, soft_f1

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RATIO = 5
"""In-set inputs to one out-set input, in Hendrycks' mixture."""


class Judgements(NamedTuple):
    """Confidence of n predictions [n], in [0, 1], and which are right [n]."""

    confidence: Floats
    correct: Bools


def of_log_odds(scores: NDArray[np.floating]) -> Floats:
    """Return p [n] of scores log p / (1 - p) [n]."""
    return np.asarray(special.expit(scores.astype(np.float64)))


def of_tempered(scores: NDArray[np.floating], temperature: float, classes: int) -> Floats:
    """Return p [n] at a temperature T of scores T (log p / (1 - p) + log(C - 1)) [n].

    Raises:
        BadData: T is not positive, or there is one class.
    """
    if temperature <= 0 or classes < 2:
        raise BadData(f"got temperature {temperature} and {classes} classes, expected above 0 and at least 2")
    return np.asarray(special.expit(scores.astype(np.float64) / temperature - log(classes - 1)))


def alone(inside: Judgements, outside: Floats) -> Judgements:
    """Return the in-set's predictions."""
    return inside


def one_to_five(inside: Judgements, outside: Floats) -> Judgements:
    """Return Hendrycks' mixture: five in-set inputs to one out-set input, as many as there are, evenly spaced.

    Of n in-set and m out-set inputs it holds k = min(n // 5, m) out-set and 5 k in-set ones.

    Raises:
        BadData: There are fewer than five in-set inputs, or no out-set input.
    """
    k = min(len(inside.correct) // RATIO, len(outside))
    if not k:
        raise BadData(f"got {len(inside.correct)} in-set and {len(outside)} out-set inputs, expected 5 and 1 at least")
    kept = _evenly(len(inside.correct), RATIO * k)
    return everything(Judgements(inside.confidence[kept], inside.correct[kept]), outside[_evenly(len(outside), k)])


def everything(inside: Judgements, outside: Floats) -> Judgements:
    """Return our mixture: all in-set and all out-set test inputs, as `scod_aurc` has them."""
    return Judgements(
        np.concatenate((inside.confidence, outside)),
        np.concatenate((inside.correct, np.zeros(len(outside), dtype=bool))),
    )


MIXTURES: Mapping[str, Callable[[Judgements, Floats], Judgements]] = {
    "in-set alone": alone,
    "1:5 (Hendrycks 2019)": one_to_five,
    "all out-set inputs": everything,
}
"""What is mixed, by the name that tables have."""


def numbers(judged: Judgements) -> dict[str, float | None]:
    """Return ECE, RMS, MAD and soft F1 of predictions, by the names of `oodbench.measure.calibration`."""
    confidence, correct = judged
    return {
        "ece_15": ece(confidence, correct, bins=15),
        "rms_calibration": rms_calibration(confidence, correct),
        "mad_calibration": mad_calibration(confidence, correct),
        "soft_f1": soft_f1(confidence, correct),
    }


class Bins(NamedTuple):
    """A reliability diagram: the inputs of each bin of `ece`, their mean confidence and their accuracy, NaN of none."""

    n: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats


def reliability(judged: Judgements, bins: int = 15) -> Bins:
    """Return accuracy and mean confidence over bins of equal width, (lo, hi]: sum_b n_b / n |gap_b| is `ece`."""
    bin_of = np.searchsorted(np.arange(1, bins) / bins, judged.confidence, side="left")
    n = np.bincount(bin_of, minlength=bins)
    sums = (np.bincount(bin_of, weights=values, minlength=bins) for values in (judged.confidence, judged.correct))
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (total / n for total in sums)
    return Bins(n, confidence, accuracy)


def _evenly(n: int, k: int) -> NDArray[np.int64]:
    """Return k of n places, evenly spaced, the first included."""
    return np.arange(k, dtype=np.int64) * n // k
