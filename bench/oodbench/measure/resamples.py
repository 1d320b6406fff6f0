"""A metric on resampled inputs: what ranks need, drawn once for each record.

Every resample draws weights for the in-set's and each failure set's inputs (Efron & Tibshirani, An Introduction to the
Bootstrap, 1993, ch. 6), by the name and the size of the set: all methods and seeds are judged on the same drawn inputs,
since they were scored on the same inputs, and what they share cancels out of their differences.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import weighted
from oodbench.measure.kinds import find_kind
from oodbench.measure.ranking import RANKING, at_least_95_percent

Floats = NDArray[np.float64]
Weights = NDArray[np.signedinteger[Any]]

STREAMS = {"misclassified": "mistakes"}
"""Sets whose resamples are drawn under the name that version 0.1 gave them: published ranks stay as they are."""

RESAMPLES = 200
"""Of the inputs, behind ranks."""


def drawn_mean(cells: Iterable[Cell], metric: str, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the mean over cells of a metric, on each resample of their inputs [resamples].

    Inputs are drawn by the name of their set, so that all methods and runs are judged on the same drawn inputs.

    Raises:
        UnknownName: There is no such ranking metric.
    """
    if metric not in RANKING:
        raise UnknownName("ranking metric", metric, RANKING)
    cells = list(cells)
    prepared: dict[int, Any] = {}  # one array of good scores may serve many sets: its part is done once
    total = np.zeros(resamples)
    for cell in cells:
        of_good = weights_of("good", len(cell.good), resamples, seed)
        of_bad = weights_of(f"bad/{_stream(cell)}", len(cell.bad), resamples, seed)
        if quick := QUICK.get(metric):
            if id(cell.good) not in prepared:
                prepared[id(cell.good)] = quick.of_good(cell.good, of_good)
            drawn = quick.of_bad(cell.bad, of_bad, prepared[id(cell.good)])
        else:
            drawn = _remeasured(cell, of_good, of_bad, metric)
        total += drawn / len(cells)
    return total


def _stream(cell: Cell) -> str:
    """Return the name under which the bad inputs of a cell are drawn: of versions of the same inputs, the same ones."""
    return cell.failure if find_kind(cell.failure).one_draw else STREAMS.get(cell.name, cell.name)


@lru_cache(maxsize=32)  # the sets of a matrix, and those whose sizes depend on the model
def weights_of(group: str, size: int, resamples: int = RESAMPLES, seed: int = 0) -> Weights:
    """Return how often each input of a group is drawn in each resample [size, resamples]: the same in every call."""
    return _weights(np.random.default_rng([seed, crc32(group.encode()), size]), size, resamples)


def _weights(rng: np.random.Generator, size: int, resamples: int) -> Weights:
    """Return how often each of `size` inputs is drawn in each resample [size, resamples]."""
    drawn = np.empty((resamples, size), dtype=np.int16 if size < 2**15 else np.int32)
    step = max(1, 2**16 // size)  # resamples at a time: what stays in a processor's cache
    for start in range(0, resamples, step):
        some = drawn[start : start + step]
        places = rng.integers(size, size=some.shape) + size * np.arange(len(some))[:, None]
        some[:] = np.bincount(places.ravel(), minlength=some.size).reshape(some.shape)
    return np.ascontiguousarray(drawn.T)


def _threshold_95(good: Floats, weights: Weights) -> Floats:
    """Return each resample's largest threshold that accepts 95 % of the drawn good inputs [resamples].

    It is the score at which more good inputs would be lost than may be. Only the lowest scores can be that, so only
    they are looked at: as many as are lost, and as many again until all resamples are settled.
    """
    n = len(good)
    lost = n - at_least_95_percent(n)
    order = np.argsort(good)
    looked_at = min(n, 2 * lost + 16)
    while True:
        crossed = np.cumsum(weights[order[:looked_at]], axis=0, dtype=np.int32) > lost
        if crossed[-1].all():
            threshold: Floats = good[order[crossed.argmax(axis=0)]]
            return threshold
        looked_at = min(n, 2 * looked_at)


def _accepted(bad: Floats, weights: Weights, threshold: Floats) -> Floats:
    """Return the share of the drawn bad inputs at or above each resample's threshold [resamples]."""
    between = (threshold.min() <= bad) & (bad < threshold.max())  # all others are lost in each resample, or in none
    lost = weights[bad < threshold.min()].sum(axis=0)
    lost += ((bad[between][:, None] < threshold) * weights[between]).sum(axis=0)
    share: Floats = (len(bad) - lost) / len(bad)
    return share


class _Cumulated(NamedTuple):
    """Good scores in order [n], and how many of the drawn ones lie below each, and in all [n + 1, resamples]."""

    scores: Floats
    below: Weights


def _cumulated(good: Floats, weights: Weights) -> _Cumulated:
    order = np.argsort(good)
    below = np.zeros((len(good) + 1, weights.shape[1]), dtype=weights.dtype)  # which holds n, and no count is above it
    np.cumsum(weights[order], axis=0, out=below[1:])
    return _Cumulated(good[order], below)


def _auroc(bad: Floats, weights: Weights, good: _Cumulated) -> Floats:
    """Return the share of the drawn pairs whose good input scores higher, ties counted half [resamples]."""
    lower, lower_or_tied = (np.searchsorted(good.scores, bad, side) for side in ("left", "right"))
    twice = np.add(
        good.below[lower], good.below[lower_or_tied], dtype=np.int32
    )  # the good inputs below a bad one, and again with the tied
    lost = np.einsum("jr,jr->r", twice, weights, dtype=np.int64)
    share: Floats = 1 - lost / (2 * len(good.scores) * len(bad))
    return share


class Quick(NamedTuple):
    """A metric on all resamples at once: what is prepared of the good scores, and the metric of that and bad ones."""

    of_good: Callable[[Floats, Weights], Any]
    of_bad: Callable[[Floats, Weights, Any], Floats]


QUICK = {"fpr95": Quick(_threshold_95, _accepted), "auroc": Quick(_cumulated, _auroc)}
"""Of the metrics that rank; any other is measured again on each resample."""


def _remeasured(cell: Cell, of_good: Weights, of_bad: Weights, metric: str) -> Floats:
    """Return any metric on each resample [resamples]."""
    values, places = np.unique(np.concatenate((cell.good, cell.bad)), return_inverse=True)
    good, bad, k = places[: len(cell.good)], places[len(cell.good) :], len(values)
    resamples = of_good.shape[1]
    return np.array(
        [RANKING[metric](weighted(_at(good, of_good[:, r], k), _at(bad, of_bad[:, r], k))) for r in range(resamples)]
    )


def _at(places: NDArray[np.intp], weights: Weights, k: int) -> NDArray[np.int64]:
    return np.bincount(places, weights, minlength=k).astype(np.int64)
