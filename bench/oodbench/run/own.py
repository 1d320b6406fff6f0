"""What judging a user's classifier and fitting a detector on it share: its outputs, and who can read them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from oodbench.contract import LOGITS, Method, Output
from oodbench.data.inputs import Inputs, JoinedInputs
from oodbench.data.stream import batches
from oodbench.models.outputs import Passes, Trained, joined
from oodbench.models.train import Report, silent
from oodbench.recipes import Plain
from oodbench.run.judged import spread
from oodbench.run.outputs import (
    LOCK,
    joined_segments,
    mapped_outputs,
    onto,
    passed,
    remove_segments,
    seal_outputs,
    sealed_outputs,
    segment_folder,
    segments_left,
)
from oodbench.run.overlap import Marked, Marks, Overlaps, in_memory, keep_marks, kept_marks
from oodbench.run.plan import why_not
from oodbench.run.user_sets import NO_TRAINING, Given, NoTraining
from oodbench.store import digest, one_at_a_time

ASKED = 512
"""Training images on which the model's accuracy is measured, where no method had all of them pass through it."""

SEGMENT = 4096
"""Inputs whose outputs are sealed together: what a kill can cost."""


def why_not_judged(method: Method, sets: Given, net: nn.Module) -> str | None:
    """Return why a method cannot judge a user's classifier with what is given, or None."""
    if not isinstance(method.recipe, Plain):
        return f"trains a classifier of its own ({type(method.recipe).__name__}), and would not judge yours"
    lacks: Mapping[Output, str] = getattr(net, "lacks", {})
    lacking = sorted(method.detector.reads & lacks.keys())
    if lacking:
        return f"reads {', '.join(map(str, lacking))}: {lacks[lacking[0]]}"
    if isinstance(sets.train, NoTraining) and "labels" in method.materials:
        return NO_TRAINING
    reason = why_not(method, method.recipe, sets.offered, "images")
    return reason or (sets.too_small_to_halve() if method.search else None)


class OwnOutputs:
    """A model's outputs for each set: one forward pass a set, for all methods.

    Args:
        model: Whose.
        wanted: Outputs that any method reads.
        folder: Where they lie; None keeps them in memory.
        lasting: Whether the folder outlives this process: then they are sealed, found again, and kept part by part.
        report: Told of the progress.
    """

    def __init__(
        self,
        model: Trained,
        wanted: frozenset[Output],
        folder: Path | None = None,
        lasting: bool = False,
        report: Report = silent,
    ) -> None:
        self._model = replace(model, passes=Passes())  # these passes are shared, not one method's own
        self._wanted, self._folder, self._lasting, self._report = wanted, folder, lasting, report
        self._made: dict[str, Mapping[Output, Any]] = {}
        self._marks: dict[str, Marks] = {}
        self.overlaps = Overlaps()

    def __call__(self, images: Inputs) -> Mapping[Output, Any]:
        """Return the outputs for a set."""
        key = self.known(images)
        if key not in self._made:
            self._made[key] = self._forward(images, key)
        elif key in self._marks and not in_memory(images):  # another set of equal content has passed
            self.overlaps.note(images, self._marks[key])
        return self._made[key]

    def made(self, images: Inputs) -> Mapping[Output, Any]:
        """Return the outputs for a set that are there already."""
        return {} if isinstance(images, NoTraining) else self._made.get(self.known(images), {})

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

    def known(self, images: Inputs) -> str:
        """Return what tells a set from others: its content, or where nothing outlives this process what is cheaper."""
        return images.sha256() if self._lasting else _token(images)

    def _forward(self, images: Inputs, key: str) -> Mapping[Output, Any]:
        marked = Marked(images)
        if self._folder is None:
            made = self._in_memory(marked)
        else:
            place = self._folder / "outputs" / key[:20]
            made = self._lastingly(marked, place) if self._lasting else self._on_disk(marked, place)
        if sum(map(len, marked.marks)) == len(images):
            self._marks[key] = np.concatenate(marked.marks)
            self.overlaps.note(images, self._marks[key])
        return made

    def _in_memory(self, images: Marked) -> Mapping[Output, Any]:
        parts = []
        with torch.no_grad():
            for batch in batches(images, self._model.batch):
                parts.append(self._model.outputs(onto(self._model.device, batch), self._wanted))
        return {output: joined([part[output] for part in parts]) for output in self._wanted}

    def _on_disk(self, images: Marked, place: Path) -> Mapping[Output, Any]:
        return mapped_outputs(place, passed(self._model, images, self._wanted, place, self._report))

    def _lastingly(self, images: Marked, place: Path) -> Mapping[Output, Any]:
        found, missing = sealed_outputs(place, self._wanted)
        if missing or segments_left(place):
            with one_at_a_time(place / LOCK):
                found, missing = sealed_outputs(place, self._wanted)  # whoever held the lock may have made them
                if missing:
                    self._sealed(images, missing, place)
                    return found | sealed_outputs(place, missing)[0]
                remove_segments(place)  # a stop between sealing the whole and removing its parts leaves them
        images.marks.extend(kept_marks(place))
        return found

    def _sealed(self, images: Marked, missing: frozenset[Output], place: Path) -> None:
        """Make outputs of a set and seal them, segment by segment; the segments go when the whole is sealed."""
        n = len(images)
        segments = [slice(start, min(start + SEGMENT, n)) for start in range(0, n, SEGMENT)]
        if len(segments) == 1:
            self._segment(images.inputs, slice(0, n), missing, place, images)
            return
        places = [segment_folder(place, one.start) for one in segments]
        for one, where in zip(segments, places, strict=True):
            self._segment(images.inputs.take(one), one, missing, where, images)
        if sum(map(len, images.marks)) == n:
            keep_marks(place, images.marks)
        seal_outputs(place, joined_segments(places, missing, n, place))
        remove_segments(place)

    def _segment(self, inputs: Inputs, rows: slice, missing: frozenset[Output], place: Path, whole: Marked) -> None:
        """Make what a segment lacks and seal it; add its marks to those of the whole."""
        part = Marked(inputs)
        if lacking := sealed_outputs(place, missing)[1]:

            def told(text: str, done: int, total: int) -> None:
                self._report(text, rows.start + done, len(whole))

            made = passed(self._model, part, lacking, place, told)
            keep_marks(place, part.marks)
            seal_outputs(place, made)
        whole.marks.extend(part.marks or kept_marks(place))


def _token(images: Inputs) -> str:
    """Return what tells a set from others in this process; content is hashed only where that is cheap."""
    if isinstance(images, JoinedInputs):
        return digest([_token(part) for part in images.parts])
    token = getattr(images, "token", None)
    return token() if token else images.sha256()
