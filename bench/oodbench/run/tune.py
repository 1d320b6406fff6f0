"""Tuning, a visible step of the pipeline: a grid over a detector's fields, judged on held-out sets.

The candidate with the least FPR95 wins; of equals that with the largest AUROC, of equals the one with the largest
margin: how far the mean scores of good and bad inputs are apart, in units of their spread. All three are means over the
held-out bad sets, and none depends on the unit of the scores. On a saturated set (FPR95 0 and AUROC 1 for all) the
margin is what still tells candidates apart; where it does not either, the grid is undecided: the first of the equals
stands, and the record says so.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import Detector, Grid, Outputs
from oodbench.errors import BadData, BadMethod
from oodbench.measure.ranking import ranking
from oodbench.models.outputs import ModelOutputs
from oodbench.models.train import Report
from oodbench.run.fit_data import HandOut, as_fit_data

Floats = npt.NDArray[np.floating[Any]]


SAME = 1e-6
"""Numbers that differ by no more than this, or this share of them, are equal: scores are float32."""


@dataclass(frozen=True)
class Tuned:
    """A detector with the values that won, its fitted state, and what was chosen.

    Attributes:
        undecided: Whether another candidate was as good by all that judges them.
    """

    detector: Detector[Any]
    state: Any
    chosen: dict[str, float]
    undecided: bool = False


class Judged(NamedTuple):
    """How well a candidate tells held-out good inputs from bad ones, in the order of what counts; larger is better.

    Attributes:
        kept_out: 1 - FPR95, the mean over the bad sets.
        auroc: Likewise.
        margin: Likewise; see `margin`.
    """

    kept_out: float
    auroc: float
    margin: float

    def beats(self, other: "Judged") -> bool:
        """Whether it is better in the first of the three in which they differ."""
        return next((a > b for a, b in zip(self, other, strict=True) if not _same(a, b)), False)


def judged(good: Floats, bad: Sequence[Floats]) -> Judged:
    """Return how well scores tell good inputs from those of each bad set."""
    found = [ranking(good, scores) for scores in bad]
    margins = [margin(good, scores) for scores in bad]
    fpr95, auroc = (float(np.mean([one[metric] for one in found])) for metric in ("fpr95", "auroc"))
    return Judged(1 - fpr95, auroc, float(np.mean(margins)))


def margin(good: Floats, bad: Floats) -> float:
    """Return (mean good - mean bad) / sqrt((var good + var bad) / 2): Cohen's d with both groups weighing the same.

    No shift and no unit of the scores changes it. Without any spread it is 0 between equal means, else infinite.

    Example:
        >>> margin(np.array([3.0, 5.0]), np.array([0.0, 2.0]))
        3.0
    """
    good, bad = good.astype(np.float64), bad.astype(np.float64)
    if np.ptp(good) == np.ptp(bad) == 0:  # a mean of equal numbers need not be one of them
        return float(np.copysign(np.inf, good[0] - bad[0])) if good[0] != bad[0] else 0.0
    return float((good.mean() - bad.mean()) / np.sqrt((good.var() + bad.var()) / 2))


def _same(a: float, b: float) -> bool:
    return a == b or (isfinite(a) and isfinite(b) and abs(a - b) <= SAME * max(1.0, abs(a)))


def scores_of(detector: Detector[Any], state: Any, outputs: ModelOutputs) -> Floats:
    """Return a detector's scores of a set, batch by batch: float64 where it returns that, else float32.

    Raises:
        BadMethod: a batch's scores are not one number per input.
    """
    # One array from the start: small tensors kept between the large ones of a batch would break up the heap.
    whole = np.empty(0, np.float32)
    done = 0
    with torch.no_grad():
        for batch in outputs.batches():
            score = detector.score(state, _as_outputs(batch))
            if score.shape != (len(batch),):
                raise BadMethod(
                    f"score returned shape {tuple(score.shape)} for {len(batch)} inputs; expected one number each"
                )
            if not done:
                whole = np.empty(len(outputs), np.float64 if score.dtype == torch.float64 else np.float32)
            whole[done : done + len(score)] = score.cpu().numpy()
            done += len(score)
    return whole


def _as_outputs(batch: ModelOutputs) -> Outputs:
    return batch


def candidates(detector: Detector[Any], grid: Grid) -> Iterator[tuple[Detector[Any], dict[str, float]]]:
    """Yield the detector at every point of its grid, the last field fastest."""
    names = [name for name, _ in grid.over]
    for values in itertools.product(*(values for _, values in grid.over)):
        point = dict(zip(names, values, strict=True))
        yield replace(detector, **point), point  # type: ignore[type-var]


def tune(
    detector: Detector[Any],
    grid: Grid,
    data: HandOut,
    good: ModelOutputs,
    bad: Sequence[ModelOutputs],
    report: Report,
) -> Tuned:
    """Return the point of the grid that tells good from bad best; see the module.

    Args:
        detector: At its defaults.
        grid: What to try.
        data: What each candidate is fitted on: one half of the held-out sets.
        good: The other half of the held-out in-distribution inputs.
        bad: The other half of each held-out bad set.
        report: Told of the progress.

    Raises:
        BadData: there is no bad set to judge by.
    """
    if not bad:
        raise BadData(f"nothing to tune on: {grid.on} holds no image here (an attack that fooled the model on none?)")
    points = list(candidates(detector, grid))
    best: tuple[Judged, Tuned] | None = None
    for done, (candidate, point) in enumerate(points):
        state = candidate.fit(as_fit_data(data))
        found = judged(scores_of(candidate, state, good), [scores_of(candidate, state, outputs) for outputs in bad])
        if best is None or found.beats(best[0]):
            best = found, Tuned(candidate, state, point)
        elif not best[0].beats(found):
            best = best[0], replace(best[1], undecided=True)
        report("tune", done + 1, len(points))
    assert best is not None
    return best[1]
