"""Adaptive attacks on one fitted detector and the classifier whose errors it is judged on, crafted after the fit.

What `oodbench.attacks.adaptive` has as a formula is made of a fitted detector here: its score, through the contract's
outputs, as a differentiable map of pixels. Images are kept below the detector's model by content: the card, the fitted
state, the models, the clean images and how the score is spread over clean ones; a run that was stopped goes on after
its last part. Where a detector has a differentiable approximation of its score, an attacker climbs that.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oodbench.attacks import Victim
from oodbench.attacks.adaptive import Clean, knowing, slope
from oodbench.contract import LOGITS, Approximated, Detector, FitData, Material, Output, Outputs
from oodbench.data.attack_cards import AdaptiveAttack, find_adaptive
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import AdaptivelyAttacked
from oodbench.errors import reason
from oodbench.given import method_of
from oodbench.identity import PROTOCOL, address
from oodbench.models.outputs import Access, ModelOutputs, Passes, Trained
from oodbench.models.state import state_sha256
from oodbench.models.train import Report, silent
from oodbench.records import Adapted, CellRecord
from oodbench.records import AdaptiveAttack as Achieved
from oodbench.run.attack import PASSING, Attempt, Classes, attempted, craft_first, made_once, save_attacked
from oodbench.run.cost import Spent, note, noted, spending
from oodbench.run.examine import not_finite
from oodbench.run.tune import Floats, scores_of

T = TypeVar("T")

KIND = "adaptive"
"""The kind of failure."""

STAGE = "adaptive"
"""What the attacks cost, beside the other stages of a record."""

NO_DERIVATIVE = "its score has no derivative by the pixels, so that an attack by derivatives learns nothing of it"


@dataclass(frozen=True)
class Fitted:
    """A fitted detector, and what an attacker knows of it.

    Attributes:
        method: The name of its row.
        detector: With the values that tuning chose.
        state: What it learnt.
        model: Whose outputs it scores.
        classifier: Whose errors it is judged on, and what is to be fooled with it.
        classes: Returns the class that this gives each image [n].
        outputs: Returns the model's stored outputs of a set.
        test: The images that are attacked, with labels.
        validation: Clean images that the score is standardised on.
        folder: The model's, in the cache.
        models: Content addresses of the model and the classifier.
    """

    method: str
    detector: Detector[Any]
    state: Any
    model: Trained
    classifier: Trained
    classes: Classes
    outputs: Callable[[Inputs], Mapping[Output, Any]]
    test: Inputs
    validation: Inputs
    folder: Path
    models: tuple[str, ...]

    def score(self, x: Tensor) -> Tensor:
        """Return the scores of pixels [n c h w], differentiable by them as far as the detector is."""
        self.model.passes.gradient += len(x) * torch.is_grad_enabled()
        outputs = ModelOutputs(self.model, x, Access(self.detector.reads))
        return self.detector.score(self.state, cast(Outputs, outputs))

    def scores(self, images: Inputs) -> Floats:
        """Return the scores of a set, as all sets are scored."""
        stored = cache(lambda: self.outputs(images))
        return scores_of(
            self.detector, self.state, ModelOutputs(self.model, images, Access(self.detector.reads), stored)
        )

    def logits(self, x: Tensor) -> Tensor:
        """Return the classifier's logits of pixels [n C]."""
        self.classifier.passes.gradient += len(x) * torch.is_grad_enabled()
        made: Tensor = self.classifier.outputs(x, frozenset({LOGITS}))[LOGITS]
        return made

    @property
    def at_once(self) -> int:
        """How many images derivatives are taken of together, at most."""
        return min(self.model.gradient_batch, self.classifier.gradient_batch)


@dataclass(frozen=True)
class ByApproximation:
    """A detector as an attacker sees it who climbs its differentiable approximation."""

    detector: Any

    @property
    def version(self) -> int:  # noqa: D102
        return int(self.detector.version)

    @property
    def reads(self) -> frozenset[Output]:  # noqa: D102
        return frozenset(self.detector.reads)

    @property
    def fits_on(self) -> frozenset[Material]:  # noqa: D102
        return frozenset(self.detector.fits_on)

    def fit(self, data: FitData) -> Any:
        """Return what the detector learns."""
        return self.detector.fit(data)

    def score(self, state: Any, batch: Outputs) -> Tensor:
        """Return the approximation [n]."""
        followed: Tensor = self.detector.differentiable(state, batch)
        return followed


@dataclass
class Adaptation:
    """What a matrix's adaptive attacks on one detector came to.

    Attributes:
        scores: By attack.
        achieved: Likewise.
        cells: Attacks without scores, and why.
        spent: On those that were made now or before.
    """

    scores: dict[str, Adapted] = field(default_factory=dict)
    achieved: dict[str, Achieved] = field(default_factory=dict)
    cells: list[CellRecord] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)


def adapt(wanted: tuple[AdaptivelyAttacked, ...], fitted: Fitted, report: Report = silent) -> Adaptation:
    """Return what adaptive attacks come to; one that cannot be made costs its own cell alone, which says why.

    Args:
        wanted: By a matrix.
        fitted: The detector under attack; the passes of its models are counted apart.
        report: Told of the progress.
    """
    found = Adaptation()
    for one in wanted:
        if one.methods and method_of(fitted.method) not in one.methods:
            found.cells.append(_cell("skipped", one, f"the matrix tries it on {', '.join(one.methods)}"))
            continue
        try:
            why = _try(one, fitted, found, report)
        except PASSING:
            raise
        except Exception as error:
            found.cells.append(_cell("failed", one, reason(error)))
            continue
        if why:
            found.cells.append(_cell("skipped", one, why))
    return found


def _cell(status: Any, one: AdaptivelyAttacked, why: str) -> CellRecord:
    return CellRecord(status=status, failure=KIND, name=one.attack, reason=why)


def _try(one: AdaptivelyAttacked, fitted: Fitted, found: Adaptation, report: Report) -> str | None:
    """Make one attack and add what it comes to; or return why there is nothing to add."""
    assert fitted.test.labels is not None
    card = find_adaptive(one.attack)
    right = np.flatnonzero(fitted.classes(fitted.test) == fitted.test.labels)[: one.n].astype(np.int32)
    if not len(right):
        return "the model gets no test image right: nothing to attack"
    followed = _followed(fitted)
    try:
        before = _flat(followed, fitted.test.take(right))
    except RuntimeError as error:
        return f"its score cannot be differentiated by the pixels: {error}"
    if before is None:
        return NO_DERIVATIVE
    if before.all():
        return f"unmoved: the derivative of its score by the pixels is zero at all {len(right)} images, so that {HELD}"
    clean = Clean.of(torch.from_numpy(followed.scores(fitted.validation)))
    attempt, place = _crafted(card, one.n, followed, clean, report)
    scores = fitted.scores(attempt.images)
    if why := not_finite(scores):
        raise ValueError(f"attacked images: {why}")
    after = _flat(followed, attempt.images)
    found.scores[card.name] = Adapted(scores, attempt.index, attempt.fooled)
    flat = before if after is None else before & after
    found.achieved[card.name] = _achieved(attempt, int(flat.sum()), clean)
    found.spent = found.spent + noted(place, STAGE)
    return None


def _followed(fitted: Fitted) -> Fitted:
    """Return the detector that the attacker climbs: its approximation where it has one."""
    approximated = isinstance(fitted.detector, Approximated)
    return replace(fitted, detector=ByApproximation(fitted.detector)) if approximated else fitted


HELD = "an attack by derivatives learns nothing of it, and that it holds says nothing of its strength"


def _flat(fitted: Fitted, images: Inputs) -> npt.NDArray[np.bool_] | None:
    """Return at which images the derivative of the score is zero [n]; None where there is no derivative at all."""
    found = []
    for start in range(0, len(images), fitted.at_once):
        x = torch.from_numpy(images.batch(slice(start, min(start + fitted.at_once, len(images)))))
        gradient = slope(fitted.score, x.to(fitted.model.device))
        if gradient is None:
            return None
        found.append((gradient == 0).flatten(1).all(1).cpu().numpy())
    return np.concatenate(found)


def _crafted(card: AdaptiveAttack, n: int, fitted: Fitted, clean: Clean, report: Report) -> tuple[Attempt, Path]:
    """Return the attacked images, made now unless they are kept, and where they are kept."""
    facts = (card.content(), n, fitted.test.sha256(), *fitted.models, fitted.detector)
    key = address(PROTOCOL, KIND, *facts, state_sha256(fitted.state), clean)
    place = fitted.folder / "attacks" / key[:20]
    made_once(place, card.name, lambda: _craft(card, n, fitted, clean, place, report))
    pixels, index = np.load(place / "pixels.npy", mmap_mode="r"), np.load(place / "index.npy")
    return attempted(ArrayImages(pixels), index, fitted.classes, fitted.test), place


def _craft(card: AdaptiveAttack, n: int, fitted: Fitted, clean: Clean, place: Path, report: Report) -> None:
    passes = Passes()
    apart = replace(
        fitted,
        model=replace(fitted.model, passes=passes),
        classifier=replace(fitted.classifier, passes=passes, gradient_batch=fitted.at_once),
    )
    victim = knowing(Victim(apart.logits), apart.score, clean, card.detection, card.weight)

    def told(text: str, done: int, total: int) -> None:
        report(f"attack {card.name}", done, total)

    told("", 0, 1)
    classes = fitted.classes(fitted.test)
    parts = craft_first(card.attack, n, apart.classifier, classes, fitted.test, place / "parts", told, victim)
    save_attacked(_noting(parts, place, passes, fitted.model.device), n, fitted.test.shape, place)


def _noting(parts: Iterator[T], place: Path, passes: Passes, device: torch.device) -> Iterator[T]:
    """Yield the parts of an attack, and keep beside it what each cost: a run that was stopped goes on counting."""
    while True:
        before = passes.forward, passes.gradient
        with spending(device) as spent:
            part = next(parts, None)
        if part is None:
            return
        spent.forward, spent.gradient = passes.forward - before[0], passes.gradient - before[1]
        note(place, STAGE, noted(place, STAGE) + spent)
        yield part


def _achieved(attempt: Attempt, flat: int, clean: Clean) -> Achieved:
    n, fooled = len(attempt.fooled), int(attempt.fooled.sum())
    return Achieved(
        n=n,
        fooled=fooled,
        success_rate=fooled / n,
        mean_linf=attempt.linf,
        mean_l2=attempt.l2,
        unmoved=attempt.unmoved,
        flat=flat,
        mean=clean.mean,
        std=clean.std,
    )
