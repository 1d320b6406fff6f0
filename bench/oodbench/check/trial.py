"""One method on the toy: fitted and scored as often as the laws ask, with as much open as they leave open."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

from oodbench.check.toy import MATERIALS, Toy, toy, usual_space
from oodbench.check.world import differences, snapshot, unusual_generators
from oodbench.contract import Detector, Material, Method, Output
from oodbench.data.toys import CLASSES
from oodbench.errors import Undeclared
from oodbench.models.outputs import Access, ModelOutputs, given
from oodbench.run.fit_data import HandOut, as_fit_data, labels_used
from oodbench.spaces import SpaceName

SEED = 0
HELD_OUT: tuple[Material, ...] = ("validation", "ood_validation", "adversarial_validation")


@dataclass(frozen=True)
class Leave:
    """What a detector may open; by default everything, so that one fault does not hide another.

    Attributes:
        reads: Outputs.
        fits_on: Materials of `fit`.
        score_labels: Whether the images to score carry labels.
    """

    reads: frozenset[Output] | None = None
    fits_on: frozenset[Material] = MATERIALS
    score_labels: bool = True


ALL = Leave()


class Fitted(NamedTuple):
    """A detector and what it learnt."""

    detector: Detector[Any]
    state: Any


class Run(NamedTuple):
    """A detector that was fitted, its scores of the test images in one batch, and the names of what it opened."""

    fitted: Fitted
    scores: Tensor
    opened: frozenset[str]


class Again(NamedTuple):
    """The scores of a second run, and what of the world was not as before it, by aspect."""

    scores: Tensor
    changed: Mapping[str, list[str]]


@dataclass(frozen=True, eq=False)
class Trial:
    """A method on its own copy of the toy: what one method breaks, the next does not see."""

    method: Method

    @cached_property
    def toy(self) -> Toy:
        """The model of the method's recipe, and its images."""
        return copy.deepcopy(toy(self.method.recipe, self.space))  # recipes are frozen: the laws see to it

    @property
    def space(self) -> SpaceName:
        """The first space in which the model has all that the detector reads, or its recipe's usual one."""
        recipe, reads = self.method.recipe, self.method.detector.reads
        fitting = (one for one in get_args(SpaceName) if one in recipe.spaces and reads <= given(recipe.provides, one))
        return next(fitting, usual_space(recipe))

    @property
    def materials(self) -> frozenset[Material]:
        """What the toy of that space offers."""
        return MATERIALS if self.space == "images" else MATERIALS - {"adversarial_validation"}

    @cached_property
    def candidates(self) -> tuple[Detector[Any], ...]:
        """The detector as declared, and at both ends of each axis of its grid: at some values it may read less."""
        detector = self.method.detector
        axes = self.method.search.over if self.method.search else ()
        ends = (replace(detector, **{name: end}) for name, values in axes for end in (values[0], values[-1]))  # type: ignore[type-var]
        return (detector, *ends)

    @cached_property
    def tries(self) -> tuple[Run, ...]:
        """Each candidate, fitted and scored with everything open."""
        return tuple(self.run(candidate) for candidate in self.candidates)

    @cached_property
    def chosen(self) -> Run:
        """The try of the candidate that opens most, and of equals the first."""
        return max(self.tries, key=lambda run: len(run.opened))

    @property
    def fitted(self) -> Fitted:
        """The candidate that was chosen, and what it learnt."""
        return self.chosen.fitted

    @property
    def scores(self) -> Tensor:
        """Its scores of the test images, in one batch."""
        return self.chosen.scores

    @cached_property
    def opened(self) -> frozenset[str] | None:
        """What the candidates open where only what they declare is left open; None if that is not enough for them.

        Who opened no more than it declares while all was open has shown what it does; the others are run again.
        """
        detector = self.method.detector
        declared = replace(ALL, reads=detector.reads, fits_on=detector.fits_on)
        names = {output.name for output in detector.reads} | detector.fits_on
        try:
            return frozenset().union(
                *(
                    run.opened if run.opened <= names else self.run(run.fitted.detector, declared).opened
                    for run in self.tries
                )
            )
        except Undeclared:
            return None

    @cached_property
    def again(self) -> Again:
        """A second fit and score, on a fresh copy of the toy and with the global generators in other states."""
        fresh = Trial(self.method)  # here earlier runs may have changed already what is changed but once
        with unusual_generators():
            before = snapshot(fresh.toy)
            run = fresh.run(self.fitted.detector)
            return Again(run.scores, differences(before, snapshot(fresh.toy)))

    def run(self, detector: Detector[Any], leave: Leave = ALL) -> Run:
        """Fit a detector, and score the test images.

        Args:
            detector: Whom to fit.
            leave: What it may open.

        Raises:
            Undeclared: it opened what was not left open.
        """
        opened: set[str] = set()
        fitted = Fitted(detector, self.fit(detector, leave, opened))
        scores = self.score(fitted, "test", leave=leave, opened=opened)
        return Run(fitted, scores, frozenset(opened))

    def fit(self, detector: Detector[Any], leave: Leave = ALL, opened: set[str] | None = None) -> Any:
        """Return what a detector learns.

        Args:
            detector: Whom to fit.
            leave: What it may open.
            opened: Takes the names of what it opened.

        Raises:
            Undeclared: it opened what was not left open.
        """
        opened = set() if opened is None else opened
        access = Access(self._open(leave), "labels" in leave.fits_on, opened)
        materials: dict[Material, ModelOutputs] = {
            role: self._outputs(role, access) for role in HELD_OUT if role in self.materials
        }
        train = self._outputs("train", access)
        labelled = labels_used(self.toy.model, len(train))
        data = as_fit_data(HandOut(CLASSES, SEED, train, labelled, leave.fits_on, materials, opened))
        with torch.no_grad():
            return detector.fit(data)

    def score(
        self, fitted: Fitted, role: str, rows: Tensor | None = None, leave: Leave = ALL, opened: set[str] | None = None
    ) -> Tensor:
        """Return the scores of a role's images, or of some of them, as one batch.

        Args:
            fitted: Who scores.
            role: Which images.
            rows: Which of them, in this order; all by default.
            leave: What it may open.
            opened: Takes the names of what it opened.

        Raises:
            Undeclared: it opened what was not left open.
        """
        access = Access(self._open(leave), leave.score_labels, set() if opened is None else opened)
        with torch.no_grad():
            return fitted.detector.score(fitted.state, self._outputs(role, access, rows))

    def _open(self, leave: Leave) -> frozenset[Output]:
        return given(self.method.recipe.provides, self.space) if leave.reads is None else leave.reads

    def _outputs(self, role: str, access: Access, rows: Tensor | None = None) -> ModelOutputs:
        images = self.toy.examples[role]
        x, y, stored = images.x, images.y, images.outputs
        if rows is not None:
            x, y, stored = x[rows], y[rows], {output: _take(value, rows) for output, value in stored.items()}
        return ModelOutputs(self.toy.model, x, access, lambda: stored, y)


def _take(value: Any, rows: Tensor) -> Any:
    return tuple(part[rows] for part in value) if isinstance(value, tuple) else value[rows]
