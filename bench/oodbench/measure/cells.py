"""From scores to cells, each with its good and its bad inputs, and from a cell to its numbers."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData
from oodbench.measure.intervals import Interval, delong, fpr95_interval
from oodbench.measure.kinds import KINDS, Groups, find_kind
from oodbench.measure.ranking import count, evaluate
from oodbench.records import Outcomes, Scores


@dataclass(frozen=True, eq=False)
class Cell:
    """The scores of one failure set.

    Attributes:
        failure: The kind of failure.
        name: Card or attack name, "<type>-<severity>", or "misclassified".
        good: Scores of what the detector should accept [n], float64.
        bad: Scores of what it should flag [m], float64.
        wrong: Which of the good inputs the classifier gets wrong [n]; None where that is not known, or is no question.
    """

    failure: str
    name: str
    good: NDArray[np.float64]
    bad: NDArray[np.float64]
    wrong: NDArray[np.bool_] | None = None


def cells(scores: Scores, outcomes: Outcomes | None = None, shifted: Collection[str] = ()) -> list[Cell]:
    """Return all cells of a detector's scores: those of each kind of failure (`KINDS`), by name.

    | failure | good: test images | bad |
    |---|---|---|
    | ood | all | out-set images |
    | adversarial | those that the classifier gets right and were attacked | their attacked versions that fooled it |
    | adaptive | those that were attacked | their versions that fooled it, made against the detector, too |
    | misclassification | those that the classifier gets right | those it gets wrong |
    | corruption | all | corrupted versions |
    | full-spectrum | all, and shifted in-set images | out-set images |

    Args:
        scores: Of one method.
        outcomes: What the reference classifier does; without one nothing is misclassified.
        shifted: Sets of shifted in-set images (`oodbench.measure.kinds.shifted_sets`); full spectrum needs some.

    A group may come out empty (no misclassification, no attack that worked): `measure` then raises.

    Raises:
        BadData: Attacked images were scored that the outcomes do not know.
    """
    return [Cell(kind.name, *groups) for kind in KINDS.values() for groups in kind.groups(scores, outcomes, shifted)]


def measure(cell: Cell, bootstrap: int = 200, seed: int = 0) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return a cell's ranking metrics and tests by name, and 95 % intervals of `auroc` (DeLong) and `fpr95`.

    Args:
        cell: What to measure.
        bootstrap: Resamples behind the interval of fpr95; 0 for none, and no interval.
        seed: Seed of the bootstrap.

    Raises:
        BadData: A group is empty or holds a NaN or an infinity; names the cell.
    """
    try:
        counts = count(cell.good, cell.bad)
    except BadData as error:
        raise BadData(f"{cell.failure}/{cell.name}: {error}") from error
    intervals = {"auroc": delong(counts)}
    if bootstrap:
        intervals["fpr95"] = fpr95_interval(counts, bootstrap, seed)
    groups = Groups(cell.name, cell.good, cell.bad, cell.wrong)
    return evaluate(counts) | find_kind(cell.failure).tests(counts, groups), intervals
