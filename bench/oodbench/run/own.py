"""What judging a user's classifier and fitting a detector on it share: its outputs in memory, and who can read them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from oodbench.contract import LOGITS, Method, Output
from oodbench.data.inputs import Inputs
from oodbench.models.outputs import BATCH, Passes, Trained, joined
from oodbench.recipes import Plain
from oodbench.run.arrays import Given
from oodbench.run.judged import spread
from oodbench.run.plan import why_not

ASKED = 512
"""Training images on which the model's accuracy is measured, where no method had all of them pass through it."""


def why_not_judged(method: Method, sets: Given, net: nn.Module) -> str | None:
    """Return why a method cannot judge a user's classifier with what is given, or None."""
    if not isinstance(method.recipe, Plain):
        return f"trains a classifier of its own ({type(method.recipe).__name__}), and would not judge yours"
    lacks: Mapping[Output, str] = getattr(net, "lacks", {})
    lacking = sorted(method.detector.reads & lacks.keys())
    if lacking:
        return f"reads {', '.join(map(str, lacking))}: {lacks[lacking[0]]}"
    reason = why_not(method, method.recipe, sets.offered, "images")
    return reason or (sets.too_small_to_halve() if method.search else None)


class InMemory:
    """A model's outputs for each set, in memory: one forward pass a set, for all methods."""

    def __init__(self, model: Trained, wanted: frozenset[Output]) -> None:
        self._model = replace(model, passes=Passes())  # these passes are shared, not one method's own
        self._wanted = wanted
        self._made: dict[str, dict[Output, Any]] = {}

    def __call__(self, images: Inputs) -> dict[Output, Any]:
        """Return the outputs for a set."""
        key = images.sha256()
        if key not in self._made:
            self._made[key] = self._forward(images)
        return self._made[key]

    def made(self, images: Inputs) -> dict[Output, Any]:
        """Return the outputs for a set that are there already."""
        return self._made.get(images.sha256(), {})

    def classes(self, images: Inputs) -> npt.NDArray[np.int64]:
        """Return the class that the model gives each image [n]."""
        found: npt.NDArray[np.int64] = self(images)[LOGITS].argmax(1).cpu().numpy()
        return found

    def right(self, images: Inputs) -> npt.NDArray[np.bool_]:
        """Return which images of a set the model gets right."""
        right: npt.NDArray[np.bool_] = self.classes(images) == images.labels
        return right

    def accuracy(self, images: Inputs) -> float:
        """Return the share that the model gets right: of a set that has passed through it, else of some images."""
        return float(self.right(images if self.made(images) else images.take(spread(len(images), ASKED))).mean())

    def _forward(self, images: Inputs) -> dict[Output, Any]:
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images.batch(slice(start, start + BATCH))).to(self._model.device)
                parts.append(self._model.outputs(x, self._wanted))
        return {output: joined([part[output] for part in parts]) for output in self._wanted}
