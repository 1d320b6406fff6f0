"""Tuning, a visible step of the pipeline: a grid over a detector's fields, judged by FPR95 on held-out sets."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import Detector, Grid, Outputs
from oodbench.errors import BadData, BadMethod
from oodbench.measure.ranking import ranking
from oodbench.models.outputs import BATCH, ModelOutputs
from oodbench.models.train import Report
from oodbench.run.fit_data import HandOut, as_fit_data

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Tuned:
    """A detector with the values that won, its fitted state, and what was chosen."""

    detector: Detector[Any]
    state: Any
    chosen: dict[str, float]


def scores_of(detector: Detector[Any], state: Any, outputs: ModelOutputs) -> Floats:
    """Return a detector's scores of a set, batch by batch: float64 where it returns that, else float32.

    Raises:
        BadMethod: a batch's scores are not one number per input.
    """
    parts = []
    with torch.no_grad():
        for batch in outputs.batches(BATCH):
            score = detector.score(state, _as_outputs(batch))
            if score.shape != (len(batch),):
                raise BadMethod(
                    f"score returned shape {tuple(score.shape)} for {len(batch)} inputs; expected one number each"
                )
            parts.append(score.detach().cpu())
    whole = torch.cat(parts).numpy()
    return whole if whole.dtype == np.float64 else whole.astype(np.float32)


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
    """Return the point of the grid with the least FPR95, the mean over the bad sets; of equals, the first.

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
    best: tuple[float, Tuned] | None = None
    for done, (candidate, point) in enumerate(points):
        state = candidate.fit(as_fit_data(data))
        accepted = scores_of(candidate, state, good)
        fpr95 = float(np.mean([ranking(accepted, scores_of(candidate, state, outputs))["fpr95"] for outputs in bad]))
        if best is None or fpr95 < best[0]:
            best = fpr95, Tuned(candidate, state, point)
        report("tune", done + 1, len(points))
    assert best is not None
    return best[1]
