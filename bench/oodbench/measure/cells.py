"""From a scores file to cells, what is good and what is bad in each kind of failure, and from a cell to its numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadData
from oodbench.measure.intervals import Interval, delong
from oodbench.measure.intervals import bootstrap as bootstrapped
from oodbench.measure.ranking import count, evaluate
from oodbench.records import Failure, Scores


@dataclass(frozen=True, eq=False)
class Cell:
    """The scores of one failure set.

    Attributes:
        failure: The kind of failure.
        name: Card or attack name, "<type>-<severity>", or "misclassified".
        good: Scores of what the detector should accept [n], float64.
        bad: Scores of what it should flag [m], float64.
    """

    failure: Failure
    name: str
    good: NDArray[np.float64]
    bad: NDArray[np.float64]


def cells(scores: Scores) -> list[Cell]:
    """Return all cells of a scores file: misclassifications, out-sets, attacks, corruptions; each by name.

    | failure | good: test images | bad |
    |---|---|---|
    | ood | all | out-set images |
    | adversarial | those that the classifier gets right and were attacked | their attacked versions that fooled it |
    | misclassification | those that the classifier gets right | those it gets wrong |
    | corruption | all | their corrupted versions |

    A group may come out empty (no misclassification, no attack that worked): `measure` then raises.
    """
    test = scores.test.astype(np.float64)
    found: list[Cell] = []
    if scores.correct is not None:
        found.append(Cell("misclassification", "misclassified", test[scores.correct], test[~scores.correct]))
    found += [Cell("ood", name, test, bad.astype(np.float64)) for name, bad in sorted(scores.ood.items())]
    for name, attacked in sorted(scores.adversarial.items()):
        right = attacked.index if scores.correct is None else attacked.index[scores.correct[attacked.index]]
        fooling = attacked.scores[attacked.fooled].astype(np.float64)
        found.append(Cell("adversarial", name, test[right], fooling))
    found += [Cell("corruption", name, test, bad.astype(np.float64)) for name, bad in sorted(scores.corruption.items())]
    return found


def measure(cell: Cell, bootstrap: int = 200, seed: int = 0) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return a cell's ranking metrics by name, and 95 % intervals of `auroc` (DeLong) and `fpr95` (bootstrap).

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
        intervals["fpr95"] = bootstrapped(counts, "fpr95", bootstrap, seed)
    return evaluate(counts), intervals
