"""The kinds of failure: each is one value, and whatever tells them apart is asked of it.

Good inputs are what a detector should accept, bad ones what it should flag. A kind says which inputs of a scores file
are good and bad, which sets of it a matrix names, and how all this is told to people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from oodbench.errors import BadData, UnknownName
from oodbench.measure.corruption import by_type
from oodbench.measure.metrics import METRICS
from oodbench.measure.misclassification import of_counts
from oodbench.measure.ranking import Counts, count
from oodbench.measure.selective import SELECTIVE, aurc, selective
from oodbench.records import Adapted, Outcomes, Scores

if TYPE_CHECKING:
    from oodbench.data.matrix import Matrix

Floats = NDArray[np.float64]

ROUNDED = "@uint8"
"""Ending of an attack whose images were rounded to the 256 grey levels before they were scored."""


KNOWN = "@known"
"""Ending of an attack that stands beside an adaptive one: of the same budget, on the same images, and the attacker
knows the model alone."""

TWINS = (ROUNDED, KNOWN)
"""Endings of what stands beside an attack, and is no part of a mean."""

COVARIATE = "covariate"
"""The group of sets of the in-set's own classes under a shift: what accepts them is not wrong, so no mean has them."""


class Groups(NamedTuple):
    """The scores of one failure set, float64.

    Attributes:
        name: Of the set.
        good: Of its good inputs [n].
        bad: Of its bad inputs [m].
        wrong: Which of the good inputs the classifier gets wrong [n]; None where that is not known, or is no question.
    """

    name: str
    good: Floats
    bad: Floats
    wrong: NDArray[np.bool_] | None = None


class Column(NamedTuple):
    """A failure set and the group that it stands in."""

    name: str
    group: str


@dataclass(frozen=True)
class Kind:
    """A kind of failure.

    Attributes:
        name: As in records, commands and files.
        title: As a heading.
        short: As a heading of columns.
        good: What is good, in words.
        bad: What is bad, in words.
        groups: The failure sets of a scores file, given what the reference classifier does, and the sets of shifted
            in-set images (see `shifted_sets`); a group may be empty.
        planned: The failure sets that a matrix names, those of a group together.
        group: The group of a failure set that no matrix names, by its name.
        headings: Titles of metrics that have another name here.
        tests: Numbers by name that are measured besides the ranking metrics.
        further: Those of them that have tables like a ranking metric's.
        called: What a bad input is called where there is little room.
        made_of: Other kinds whose scores these are: what one of their sets lacks, is lacking here.
        one_draw: Whether all sets are versions of the same inputs, so that a resample draws the same of each.
        own_inputs: Whether its bad inputs are made for each detector: those of two runs may be others.
        apart: Whether the groups of its sets are failures of their own, where a table has a column a failure.
    """

    name: str
    title: str
    short: str
    good: str
    bad: str
    groups: Callable[[Scores, Outcomes | None, Collection[str]], Iterator[Groups]]
    planned: Callable[[Matrix], tuple[Column, ...]] = lambda matrix: ()
    group: Callable[[str], str] = lambda name: ""
    headings: Mapping[str, str] = field(default_factory=dict)
    tests: Callable[[Counts, Groups], dict[str, float]] = lambda counts, groups: {}
    further: tuple[str, ...] = ()
    called: str = "bad"
    made_of: frozenset[str] = frozenset()
    one_draw: bool = False
    own_inputs: bool = False
    apart: bool = False

    def heading(self, metric: str) -> str:
        """Return a metric's title, with an arrow to better."""
        found = METRICS[metric]
        return f"{self.headings.get(metric, found.title)} {'↑' if found.higher_is_better else '↓'}"

    @property
    def said(self) -> str:
        """What is good and what is bad."""
        return f"Good: {self.good}. Bad: {self.bad}."


def _ood(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    test, wrong = scores.test.astype(np.float64), ~outcomes.correct if outcomes else None
    for name, bad in sorted(scores.ood.items()):
        yield Groups(name, test, bad.astype(np.float64), wrong)


def _scod(counts: Counts, groups: Groups) -> dict[str, float]:
    """Return AURC with all out-set inputs counted as wrong; nothing where nobody knows what is right, or nothing is.

    Source: Xia & Bouganis, Augmenting Softmax Information for Selective Classification with Out-of-Distribution Data,
    ACCV 2022, at the sizes of the sets as they are.
    """
    if groups.wrong is None or groups.wrong.all():
        return {}
    wrong = np.concatenate((groups.good[groups.wrong], groups.bad))
    return {"scod_aurc": aurc(count(groups.good[~groups.wrong], wrong))}


def _ood_of(matrix: Matrix) -> tuple[Column, ...]:
    order = ("near", "far", "synthetic", COVARIATE)
    return tuple(sorted((Column(one.card, one.group) for one in matrix.ood), key=lambda one: order.index(one.group)))


def _adversarial(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    """Raise BadData where the scores are not of the images that were attacked."""
    test = scores.test.astype(np.float64)
    for name, attacked in sorted(scores.adversarial.items()):
        found = outcomes.attacks.get(name) if outcomes else None
        if outcomes is None or found is None:
            raise BadData(f"adversarial/{name}: nothing is known of what this attack achieved")
        if not np.array_equal(found.index, attacked.index):
            raise BadData(f"adversarial/{name}: the scores are of other images than those that were attacked")
        right = attacked.index[outcomes.correct[attacked.index]]
        yield Groups(name, test[right], attacked.scores[found.fooled].astype(np.float64))


def _adversarial_of(matrix: Matrix) -> tuple[Column, ...]:
    names = [one.attack for one in matrix.attacks]
    return tuple(Column(name, _precision(name)) for name in (*names, *(name + ROUNDED for name in names)))


def _precision(name: str) -> str:
    return "rounded" if name.endswith(ROUNDED) else "exact"


def _misclassification(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    if outcomes is not None:
        test = scores.test.astype(np.float64)
        yield Groups("misclassified", test[outcomes.correct], test[~outcomes.correct])


def _tests(counts: Counts, groups: Groups) -> dict[str, float]:
    return {"mann_whitney_log10_p": of_counts(counts).log10_p} | selective(counts)


def _corruption(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    test = scores.test.astype(np.float64)
    for name, corrupted in sorted(scores.corruption.items()):
        yield Groups(name, test, corrupted.scores.astype(np.float64))


def _corruption_of(matrix: Matrix) -> tuple[Column, ...]:
    return tuple(Column(one.name, one.type) for one in matrix.corrupted)


def shifted_sets(matrix: Matrix | None) -> frozenset[str]:
    """Return the sets of a matrix that hold shifted in-set images: those of the group covariate, and corrupted ones."""
    if matrix is None:
        return frozenset()
    covariate = [one.card for one in matrix.ood if one.group == COVARIATE]
    return frozenset([*covariate, *(one.name for one in matrix.corrupted)])


def _full_spectrum(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    """Yield nothing where there are no shifted images, or a set of them lacks: the good inputs would be others.

    The corrupted sets are of the same n images, and each of these counts once: `dealt`.
    """
    corrupted = {
        name: one.scores.astype(np.float64) for name, one in sorted(scores.corruption.items()) if name in shifted
    }
    covariate = [bad for name, bad in sorted(scores.ood.items()) if name in shifted]
    if not shifted or len(corrupted) + len(covariate) < len(shifted):
        return
    good = np.concatenate([scores.test, *covariate, *dealt(corrupted)]).astype(np.float64)
    for name, bad in sorted(scores.ood.items()):
        if name not in shifted:
            yield Groups(name, good, bad.astype(np.float64))


def dealt(corrupted: Mapping[str, Floats]) -> list[Floats]:
    """Return of each of n images one corrupted version: types in turn, and of each type its severities in turn.

    Image i has type t = i mod T, and of its S severities that at place (i div T + t) mod S: of every type as many
    images, and of every severity, however few they are beside the T S sets.

    Args:
        corrupted: Scores [n] by set, named type-severity.

    Example:
        >>> [part.tolist() for part in dealt({"fog-1": np.arange(4.0), "fog-2": 10 + np.arange(4.0)})]
        [[0.0, 2.0], [11.0, 13.0]]
    """
    types = by_type(corrupted)
    several = len(types)
    return [
        scores[t + several * ((s - t) % len(severities)) :: several * len(severities)]
        for t, severities in enumerate(types.values())
        for s, scores in enumerate(severities)
    ]


def _full_spectrum_of(matrix: Matrix) -> tuple[Column, ...]:
    shifted = shifted_sets(matrix)
    return tuple(one for one in _ood_of(matrix) if one.name not in shifted) if shifted else ()


def _adaptive(scores: Scores, outcomes: Outcomes | None, shifted: Collection[str]) -> Iterator[Groups]:
    """Yield each adaptive attack, and once beside those made from one attack that one, on their images.

    Raises:
        BadData: Nothing is known of the attack without the detector, on these images.
    """
    test, beside = scores.test.astype(np.float64), set[str]()
    for name, adapted in sorted(scores.adaptive.items()):
        yield Groups(name, test[adapted.index], adapted.scores[adapted.fooled].astype(np.float64))
        twin = beside_of(name)
        if twin not in beside:
            beside.add(twin)
            yield Groups(twin, test[adapted.index], _same_images(twin.removesuffix(KNOWN), adapted, scores, outcomes))


def _same_images(known: str, adapted: Adapted, scores: Scores, outcomes: Outcomes | None) -> Floats:
    """Return the scores of those images that an attack without the detector made of the same clean ones, and fooled."""
    attacked, found = scores.adversarial.get(known), outcomes.attacks.get(known) if outcomes else None
    if attacked is None or found is None or not np.array_equal(found.index, attacked.index):
        raise BadData(f"adaptive: nothing is known of {known}, which does not know the detector")
    if lacking := np.setdiff1d(adapted.index, attacked.index).tolist():
        raise BadData(f"adaptive: {known} was not tried on image {lacking[0]}, which an attack on the detector was")
    return attacked.scores[found.fooled & np.isin(attacked.index, adapted.index)].astype(np.float64)


def beside_of(name: str) -> str:
    """Return the set that stands beside an adaptive attack: "pgd-8@known" beside "pgd-8@score-1"."""
    return name.partition("@")[0] + KNOWN


def _adaptive_of(matrix: Matrix) -> tuple[Column, ...]:
    names = [one.attack for one in matrix.adaptive]
    return tuple(Column(name, _knows(name)) for name in (*names, *dict.fromkeys(map(beside_of, names))))


def _knows(name: str) -> str:
    return "known" if name.endswith(KNOWN) else "adaptive"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "ood",
            "Out-of-distribution inputs",
            "OOD",
            "in-set test inputs",
            "inputs of other sets",
            _ood,
            _ood_of,
            tests=_scod,
            further=("scod_aurc",),
            called="out-set",
            apart=True,
        ),
        Kind(
            "adversarial",
            "Adversarial inputs",
            "Adversarial",
            "attacked images as they were, where the model is right",
            f"their attacked versions that fooled it; `{ROUNDED}`: rounded to 256 grey levels before scoring, "
            "not part of the mean",
            _adversarial,
            _adversarial_of,
            _precision,
            called="attacked",
        ),
        Kind(
            "adaptive",
            "Adversarial inputs whose attacker knows the detector",
            "Adaptive",
            "attacked images as they were, where the model is right",
            "their versions, made against the model and this detector at once, that fooled the model; "
            f"`{KNOWN}`: the same attack on the same images, made against the model alone, not part of the mean",
            _adaptive,
            _adaptive_of,
            _knows,
            called="attacked",
            own_inputs=True,
        ),
        Kind(
            "misclassification",
            "The model's own misclassifications",
            "Misclassifications",
            "in-set test inputs that the model gets right",
            "those it gets wrong",
            _misclassification,
            lambda matrix: (Column("misclassified", ""),),
            headings={"aupr_in": "AUPR-Success", "aupr_out": "AUPR-Error"},
            tests=_tests,
            further=tuple(SELECTIVE),
            called="wrong",
        ),
        Kind(
            "corruption",
            "Corrupted inputs",
            "Corruptions",
            "in-set test images",
            "their corrupted versions, type-severity",
            _corruption,
            _corruption_of,
            group=lambda name: name.rsplit("-", 1)[0],
            called="corrupted",
            one_draw=True,
        ),
        Kind(
            "full-spectrum",
            "Full-spectrum OOD inputs",
            "Full spectrum",
            "in-set test images, those of the in-set's classes under a shift (the group covariate), and corrupted "
            "ones: one version of each image that is corrupted, types and severities in turn",
            "inputs of other sets",
            _full_spectrum,
            _full_spectrum_of,
            made_of=frozenset({"ood", "corruption"}),
            called="out-set",
        ),
    )
}
"""All kinds by name, in the order in which they are shown."""


def find_kind(name: str) -> Kind:
    """Return the kind of failure of that name.

    Raises:
        UnknownName: There is none; the nearest is offered.
    """
    if name not in KINDS:
        raise UnknownName("kind of failure", name, KINDS)
    return KINDS[name]


def _known(name: str) -> str:
    if name not in KINDS:
        raise ValueError(str(UnknownName("kind of failure", name, KINDS)))
    return name


KindName = Annotated[str, AfterValidator(_known)]
"""The name of a kind, as a field of a file."""


def excused(names: Iterable[str], scored: Iterable[str]) -> frozenset[str]:
    """Return the sets that may lack: what stands beside adaptive attacks of which none was made."""
    beside = {beside_of(name) for name in scored if not name.endswith(TWINS)}
    return frozenset(name for name in names if name.endswith(KNOWN)) - beside


def averaged(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the sets that the overall mean is over: all, but each attack once, and no covariate shift."""
    return tuple(one.name for one in columns if not one.name.endswith(TWINS) and one.group != COVARIATE)


def not_averaged(matrix: Matrix | None) -> frozenset[str]:
    """Return the sets of a matrix, of any kind of failure, that no mean is over."""
    columns = [column for kind in KINDS.values() for column in kind.planned(matrix)] if matrix else []
    return frozenset(column.name for column in columns) - frozenset(averaged(columns))
