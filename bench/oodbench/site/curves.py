"""What is drawn of one row: ROC curves, the risk-coverage curve, and histograms of the scores of all kinds of input."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.measure.kinds import KINDS
from oodbench.measure.ranking import Counts, count
from oodbench.measure.selective import risk_coverage
from oodbench.report.entries import Entry
from oodbench.report.numbers import inputs_of
from oodbench.report.show import groups
from oodbench.result import ridges
from oodbench.site.script import short
from oodbench.store import digest

Floats = NDArray[np.float64]

VERSION = 1
"""Of this file: one more where other data come of the same scores."""

POINTS = 72
"""Of a curve, at most."""

BINS = 64
"""Of a histogram."""

MISCLASSIFIED = "misclassification"
"""The kind that has a risk-coverage curve."""


def seal(entry: Entry) -> str:
    """Return what names all that the curves of an entry are made from."""
    return f"oodbench {digest(VERSION, POINTS, BINS, inputs_of(entry), sorted(entry.shifted))[:16]}"


def curves(entry: Entry) -> dict[str, Any]:
    """Return what is drawn of an entry with scores.

    `roc` holds by kind and set [bad inputs accepted, good inputs accepted], `risk` the coverage and the risk of
    selective prediction, each a list of shares; `histogram` has a row for each kind and group of inputs.

    Raises:
        BadRecord: The scores, or the model's outcomes, are broken or not those that the records name.
        BadData: A score is NaN or infinite.
    """
    roc: dict[str, dict[str, list[list[float]]]] = {}
    risk = None
    for cell in entry.cells:
        if len(cell.good) and len(cell.bad):
            counts = count(cell.good, cell.bad)
            roc.setdefault(cell.failure, {})[cell.name] = receiver(counts)
            risk = _risk(counts) if cell.failure == MISCLASSIFIED else risk
    return {"seed": entry.record.seed, "roc": _in_order(roc), "risk": risk, "histogram": histogram(entry)}


def receiver(counts: Counts) -> list[list[float]]:
    """Return the shares of bad and of good inputs accepted, from the strictest threshold to the loosest."""
    x = np.concatenate(([0], counts.bad_from[::-1])) / counts.n_bad
    y = np.concatenate(([0], counts.good_from[::-1])) / counts.n_good
    return _drawn(*thinned(x, y))


def _risk(counts: Counts) -> list[list[float]]:
    return _drawn(*thinned(*risk_coverage(counts)))


def thinned(x: Floats, y: Floats, most: int = POINTS) -> tuple[Floats, Floats]:
    """Return at most so many points of a curve, evenly spaced along it; its ends stay."""
    if len(x) <= most:
        return x, y
    along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    places = np.searchsorted(along, np.linspace(0, along[-1], most))
    kept = np.unique(np.concatenate(([0], places, [len(x) - 1])).clip(0, len(x) - 1))[: most + 2]
    return x[kept], y[kept]


def histogram(entry: Entry) -> dict[str, Any]:
    """Return the histograms on one axis, as `oodbench show` draws them: shares in percent, sets weighing the same."""
    scores, outcomes = entry.read()
    found = ridges.rows(scores, outcomes, groups(entry.record.matrix))
    at, ends = ridges.threshold(scores.test.astype(np.float64)), ridges.view(found)
    rows = [_of_row(row, at, ends) for row in found]
    return {"ends": [short(end) for end in ends], "threshold": short(at), "rows": rows}


def _of_row(row: ridges.Row, at: float, ends: tuple[float, float]) -> dict[str, Any]:
    heights, _ = np.histogram(row.values, BINS, ends, weights=row.weights)
    return {
        "label": row.label,
        "kind": row.kind,
        "n": len(row.values),
        "accepted": short(ridges.accepted(row, at)),
        "beyond": [short(share) for share in ridges.beyond(row, ends)],
        "shares": [round(100 * float(height), 2) for height in heights],
    }


def _drawn(x: Floats, y: Floats) -> list[list[float]]:
    return [[round(float(one), 4) for one in of] for of in (x, y)]


def _in_order(roc: Mapping[str, dict[str, list[list[float]]]]) -> dict[str, dict[str, list[list[float]]]]:
    return {kind: roc[kind] for kind in KINDS if kind in roc}
