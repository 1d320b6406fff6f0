"""Whether a classifier's confidence means what it says.

Confidence is the largest softmax probability. All in float64, from logits, without overflow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SURE = 0.997
CLASSWISE = 15
"""Bins of classwise ECE."""

IB_INN = np.concatenate(
    (np.linspace(-1e-6, 0.05, 5), np.linspace(0.05, 0.95, 10)[1:-1], 1 - np.linspace(0.05, -1e-6, 5))
)
"""Edges of IB-INN's bins."""

LEAST_PAIRS = 20
"""Of an input and a class: IB-INN's bins have more, or are left out."""

_ROWS = 4096  # images at a time: a thousand classes in float64 take much memory


@dataclass(frozen=True, eq=False)
class Predictions:
    """What calibration needs of n predictions.

    Attributes:
        confidence: Probability of the predicted class [n], in (0, 1].
        correct: Whether the predicted class is the true one [n].
        nll: -log probability of the true class [n], nats.
        brier: Sum over classes of (probability - truth)^2 [n], in [0, 2].
    """

    confidence: Floats
    correct: Bools
    nll: Floats
    brier: Floats


def report(logits: NDArray[Any], labels: NDArray[Any]) -> dict[str, float | None]:
    """Return every number of this module by name, from logits [n C] and true classes [n].

    Raises:
        BadData: Shapes do not match, there is no image, a logit is not finite, or a label is out of range.

    Example:
        >>> numbers = report(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1]))
        >>> numbers["accuracy"], round(numbers["ece_15"], 3)
        (0.5, 0.5)
    """
    seen = predictions(logits, labels)
    return {
        "accuracy": float(seen.correct.mean()),
        "ece_10": ece(seen.confidence, seen.correct, bins=10),
        "ece_15": ece(seen.confidence, seen.correct, bins=15),
        "rms_calibration": rms_calibration(seen.confidence, seen.correct),
        "mad_calibration": mad_calibration(seen.confidence, seen.correct),
        "soft_f1": soft_f1(seen.confidence, seen.correct),
        "oce": oce(seen.confidence, seen.correct),
        "oce_share": oce_share(seen.confidence),
        "brier": float(seen.brier.mean()),
        "nll": float(seen.nll.mean()),
    }


def every_class(logits: NDArray[Any], labels: NDArray[Any]) -> dict[str, float | None]:
    """Return the numbers that look at the probability of each class, by name, from logits [n C] and labels [n].

    `classwise_ece` is the mean over classes k of the ECE of "it is k", whose confidence is p_k:

        1/C sum_k sum_b n_kb / n |share of class k in the bin - mean p_k in the bin|

    over 15 bins of equal width, (lo, hi], the first with 0 (Kull et al., Beyond temperature scaling, NeurIPS 2019).

    `ib_inn_ece`, `ib_inn_mce` and `ib_inn_ice` are what the code of IB-INN (Ardizzone et al. 2020) calls ECE, MCE and
    ICE, and are not Guo's: over all pairs of an input and a class, in 17 bins that are narrow near 0 and 1, [lo, hi),
    bins of at most 20 pairs left out, the gap is |centre of the bin - share of hits|; its mean weighted by pairs, its
    maximum, and its integral over the centres by trapezoids. None where no bin has more than 20 pairs.

    Raises:
        BadData: As `report`.

    Example:
        >>> numbers = every_class(np.zeros((4, 2)), np.array([0, 0, 1, 1]))
        >>> numbers["classwise_ece"], numbers["ib_inn_ece"]  # 8 pairs are too few for a bin
        (0.0, None)
    """
    _check(logits, labels)
    n, classes = logits.shape
    gaps, hits, pairs = np.zeros(classes * CLASSWISE), np.zeros(len(IB_INN) - 1), np.zeros(len(IB_INN) - 1)
    for start in range(0, n, _ROWS):
        p = _softmax(logits[start : start + _ROWS])
        truth = np.arange(classes) == labels[start : start + _ROWS, None]
        bins = np.searchsorted(np.arange(1, CLASSWISE) / CLASSWISE, p, side="left") + CLASSWISE * np.arange(classes)
        gaps += np.bincount(bins.ravel(), weights=(truth - p).ravel(), minlength=len(gaps))
        hits += np.histogram(p[truth], IB_INN)[0]
        pairs += np.histogram(p, IB_INN)[0]
    return {"classwise_ece": float(np.abs(gaps).sum() / (n * classes))} | _ib_inn(hits, pairs)


def _ib_inn(hits: Floats, pairs: Floats) -> dict[str, float | None]:
    kept = pairs > LEAST_PAIRS
    if not kept.any():
        return dict.fromkeys(("ib_inn_ece", "ib_inn_mce", "ib_inn_ice"))
    centres = (IB_INN[1:] + IB_INN[:-1])[kept] / 2
    gaps = np.abs(hits[kept] / pairs[kept] - centres)
    return {
        "ib_inn_ece": float((gaps * pairs[kept]).sum() / pairs[kept].sum()),
        "ib_inn_mce": float(gaps.max()),
        "ib_inn_ice": float(np.trapezoid(gaps, centres)),
    }


def predictions(logits: NDArray[Any], labels: NDArray[Any]) -> Predictions:
    """Return what calibration needs, from logits [n C] and true classes [n]; of equal logits the first class wins.

    Raises:
        BadData: As `report`.

    Example:
        >>> seen = predictions(np.array([[0.0, 0.0]]), np.array([1]))
        >>> seen.confidence.tolist(), seen.correct.tolist(), seen.brier.tolist()
        ([0.5], [False], [0.5])
    """
    _check(logits, labels)
    parts = [_predictions(logits[i : i + _ROWS], labels[i : i + _ROWS]) for i in range(0, len(labels), _ROWS)]
    return Predictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def ece(confidence: Floats, correct: Bools, bins: int) -> float:
    """Return the expected calibration error, sum_b n_b / n |accuracy_b - mean confidence_b|, in [0, 1].

    Bins are of equal width, (lo, hi]. Source: Guo et al. 2017.

    Example:
        >>> ece(np.array([0.75, 0.75]), np.array([True, False]), bins=10)  # half are right
        0.25
    """
    edges = np.arange(1, bins) / bins
    bin_of = np.searchsorted(edges, confidence, side="left")
    # n_b (accuracy_b - mean confidence_b) is the sum of (correct - confidence) over the bin.
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def rms_calibration(confidence: Floats, correct: Bools) -> float:
    """Return sqrt(sum_b n_b / n (accuracy_b - mean confidence_b)^2) over bins of neighbours, in [0, 1].

    Source: Hendrycks et al. 2019, whose code leaves out the bin of the highest confidence; here all count.

    Example:
        >>> rms_calibration(np.array([0.75, 0.75]), np.array([True, False]))
        0.25
    """
    share, gap = _neighbours(confidence, correct)
    return float(np.sqrt((share * gap**2).sum()))


def mad_calibration(confidence: Floats, correct: Bools) -> float:
    """Return sum_b n_b / n |accuracy_b - mean confidence_b| over the bins of `rms_calibration`, in [0, 1].

    Example:
        >>> mad_calibration(np.array([0.75, 0.75]), np.array([True, False]))
        0.25
    """
    share, gap = _neighbours(confidence, correct)
    return float((share * np.abs(gap)).sum())


def soft_f1(confidence: Floats, correct: Bools) -> float | None:
    """Return 2 sum (1 - c) w / sum (1 - c + w) with w = 1 for a wrong prediction of confidence c, in [0, 1].

    None where it is 0 / 0: nothing is wrong and nothing in doubt. Source: Hendrycks et al. 2019.

    Example:
        >>> soft_f1(np.array([1.0, 0.5]), np.array([True, False]))  # 2 (1/2) / (1/2 + 1)
        0.6666666666666666
    """
    doubt, wrong = 1 - confidence, ~correct
    mass = float((doubt + wrong).sum())
    return float(2 * (doubt * wrong).sum()) / mass if mass > 0 else None


def oce(confidence: Floats, correct: Bools) -> float | None:
    """Return the share of errors among predictions with confidence >= 0.997, over 0.003; None when there are none.

    1 means as many errors as that confidence allows. Read it beside `oce_share`: where hardly a prediction is that
    confident (label smoothing by e over C classes aims at a probability of 1 - e + e / C), 0 says nothing of
    calibration. Source: Mackowiak et al. 2021.

    Example:
        >>> round(oce(np.full(1000, 0.998), np.arange(1000) > 2), 6)  # 3 of 1,000 are wrong
        1.0
    """
    sure = confidence >= SURE
    return float((~correct[sure]).mean() / 0.003) if sure.any() else None


def oce_share(confidence: Floats) -> float:
    """Return the share of predictions that `oce` is about, those with confidence >= 0.997, in [0, 1].

    Example:
        >>> oce_share(np.array([0.998, 0.9]))
        0.5
    """
    return float((confidence >= SURE).mean())


def _check(logits: NDArray[Any], labels: NDArray[Any]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise BadData(f"got logits {list(logits.shape)} and labels {list(labels.shape)}, expected [n, classes] and [n]")
    if labels.dtype.kind not in "iu":
        raise BadData(f"got labels of {labels.dtype}, expected whole numbers")
    classes = logits.shape[1]
    if outside := np.flatnonzero((labels < 0) | (labels >= classes)).tolist():
        raise BadData(f"label {labels[outside[0]]} at index {outside[0]} is out of range, expected 0 to {classes - 1}")
    if broken := np.flatnonzero(~np.isfinite(logits).all(axis=1)).tolist():
        raise BadData(f"{len(broken)} of {len(labels)} rows of logits are not finite, the first at index {broken[0]}")


def _predictions(logits: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Bools, Floats, Floats]:
    rows = np.arange(len(labels))
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z).sum(axis=1))
    p = np.exp(z - log_sum[:, None])
    # sum_k (p_k - y_k)^2 with y one-hot, the true class apart.
    brier = (p**2).sum(axis=1) - p[rows, labels] ** 2 + (1 - p[rows, labels]) ** 2
    return p.max(axis=1), logits.argmax(axis=1) == labels, log_sum - z[rows, labels], brier


def _softmax(logits: NDArray[Any]) -> Floats:
    z = logits.astype(np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    p: Floats = z / z.sum(axis=1, keepdims=True)
    return p


def _neighbours(confidence: Floats, correct: Bools, size: int = 100) -> tuple[Floats, Floats]:
    """Return each bin's share of the inputs and its accuracy - mean confidence.

    Bins hold `size` consecutive inputs in order of confidence; what is left over joins the last. Inputs of one
    confidence are right as often as their mean, wherever a bin ends among them, so that their order has no part.
    """
    _, tied = np.unique(confidence, return_inverse=True)
    accuracy = (np.bincount(tied, correct) / np.bincount(tied))[tied]
    order = np.argsort(confidence, kind="stable")
    starts = np.arange(max(1, len(order) // size)) * size
    gaps = np.add.reduceat((accuracy - confidence)[order], starts)
    sizes = np.diff(starts, append=len(order))
    return sizes / len(order), gaps / sizes
