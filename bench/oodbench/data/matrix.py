"""Matrices: what a leaderboard is about, as versioned TOML. Reading one needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from oodbench.corruptions.registry import (
    CORRUPTIONS,
    FIFTEEN,
    PUBLISHED_FIFTEEN,
    SEVERITIES,
    find_corruption,
    why_not,
)
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.cards import IN_SET, Count, Name, Shape, Text, card_sha256, find_card
from oodbench.data.fixed import Fixed, cards_folder, read_toml, toml_files
from oodbench.data.splits import find_cut
from oodbench.errors import BadCard, UnknownName
from oodbench.forward_precision import WHOLE, Precision, told
from oodbench.given import GivenModel
from oodbench.spaces import Images, Space
from oodbench.training import AUGMENTATIONS, OPTIMISERS, SCHEDULES, Training

Versioned = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*-v[0-9]+$")]
Seed = Annotated[int, Field(ge=0)]


class Sample(Fixed):
    """n images of a part of a data set."""

    card: Name
    n: Count
    split: Text = "test"


class OutSet(Sample):
    """An out-set, and how far from the in-set it is held to be.

    "covariate": the in-set's own classes under a shift. The model may well be right there, so that accepting them is no
    fault: the set has columns of its own, and is no part of a mean or a rank.
    """

    group: Literal["near", "far", "synthetic", "covariate"]


class Attacked(Fixed):
    """An attack on n test images."""

    attack: Name
    n: Count


class AdaptivelyAttacked(Attacked):
    """An adaptive attack on n test images, and on the detectors of some methods.

    Attributes:
        methods: Which; none named: all whose score is differentiable. On given classifiers without the classifier's
            name.
    """

    attack: Text
    methods: tuple[Text, ...] = ()


ALL_FIFTEEN = "fifteen"
"""Stands for the 15 types that mCE is over, in a matrix."""

Severity = Annotated[int, Field(ge=SEVERITIES[0], le=SEVERITIES[-1])]


class Corrupted(Fixed):
    """Types of corruption of n test images, each at some severities: a failure set a type and severity.

    Attributes:
        types: Names of corruptions; "fifteen" stands for those that mCE is over.
        severities: Of all of them.
        n: Test images that are corrupted; the same for every type, drawn once a matrix.
        seed: Of what is random in the corruptions.
        card: A card that holds the in-set's whole test split in each type and severity, in its order (published files):
            they are read, not made.
    """

    types: tuple[Name, ...] = Field(min_length=1)
    severities: tuple[Severity, ...] = Field(SEVERITIES, min_length=1)
    n: Count
    seed: Seed = 0
    card: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _each_named(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(types := given.get("types"), list | tuple):
            return given
        fifteen = PUBLISHED_FIFTEEN if given.get("card") else FIFTEEN
        return given | {"types": tuple(name for one in types for name in (fifteen if one == ALL_FIFTEEN else (one,)))}


class CorruptedSet(NamedTuple):
    """A failure set of corrupted images: its name, the type and severity, how many, the seed, and the card if any."""

    name: str
    type: str
    severity: int
    n: int
    seed: int
    card: str | None


class Outliers(Sample):
    """Images that a recipe may train against."""

    split: Text = "train"


class Matrix(Fixed):
    """An in-set, its failure sets, seeds and scale; how its classifier is trained, or which ones it is given.

    Attributes:
        name: The file's stem, ending in the version; a published matrix never changes.
        title: For people.
        scale: "tiny" (minutes), "cpu" (an hour on two cores) or "paper" (the papers' own recipes).
        seeds: Seeds of training; of given models, those of their weights.
        in_set: The card that is trained on.
        shape: Channels, height, width of what models take; the in-set's own unless given. None for texts.
        n_test: In-set test images that are scored.
        n_validation: In-set validation images that tuning sees.
        training: How the plain classifier is trained; None where models are given.
        model: Classifiers that are given: loaded, not trained. Of several, each is a row of its own for each method.
        ood: Out-sets that are tested.
        tuning_ood: Out-sets for tuning; no source in common with any test set.
        attacks: Attacks that are tested, on images of the test part.
        adaptive: Attacks on the model and a detector at once, made for each method after its fit; of each the attack of
            the same budget that does not know the detector is among `attacks`, on as many images or more.
        corruptions: Corruptions that are tested, of images of the test part.
        adversarial_validation: The attack for tuning, on images of the validation part; not one that is tested.
        outliers: Sets that outlier exposure may train on; no source in common with any test set.
        methods: What runs unless methods are named or all are asked for; none for all.
        reproduces: The paper whose table this is, as its file in `results/reported` is called; none as a rule.
        tuning_same: Images of the one out-set that are held out from its test, for tuning: what papers do that tune
            on the set that they test. Such a matrix has no `tuning_ood`, and rows that are tuned so say `ood_val_same`.
        tuning_shares_source: Whether `tuning_ood` has other images of a source that is tested, as OpenOOD's has. Rows
            that are tuned on it say `ood_val_same`, too.
        forward_precision: Of the forward passes whose outputs are stored (`oodbench.forward_precision`).
    """

    name: Versioned
    title: Text
    scale: Literal["tiny", "cpu", "paper"]
    seeds: tuple[Seed, ...] = Field(min_length=1)
    in_set: Name
    shape: Shape | None = None
    n_test: Count
    n_validation: Count
    training: Training | None = None
    model: tuple[GivenModel, ...] = ()
    ood: tuple[OutSet, ...] = Field(min_length=1)
    tuning_ood: tuple[Sample, ...] = ()
    attacks: tuple[Attacked, ...] = ()
    adaptive: tuple[AdaptivelyAttacked, ...] = ()
    corruptions: tuple[Corrupted, ...] = ()
    adversarial_validation: Attacked | None = None
    outliers: tuple[Outliers, ...] = ()
    methods: tuple[Text, ...] = ()
    reproduces: Text | None = None
    tuning_same: Count | None = None
    tuning_shares_source: bool = False
    forward_precision: Precision = WHOLE

    @model_validator(mode="before")
    @classmethod
    def _own_shape(cls, content: Any) -> Any:
        """Take the in-set's shape where none is given."""
        if isinstance(content, dict) and "shape" not in content and isinstance(content.get("in_set"), str):
            return {**content, "shape": _card(content["in_set"], "in_set").shape}
        return content

    @model_validator(mode="after")
    def _holds(self) -> Self:
        of_sets = _distinct, _roles, _spaces, _sizes, _origins, _tuned_on_same
        checks = *of_sets, _known_attacks, _adaptive, _known_corruptions, _known_training, _given
        for check in checks:
            for fault in check(self):
                raise ValueError(fault)
        return self

    @property
    def cards(self) -> tuple[str, ...]:
        """Every card it names, the in-set first."""
        named = (*self.ood, *self.tuning_ood, *self.outliers)
        published = [one.card for one in self.corruptions if one.card]
        return tuple(dict.fromkeys([self.in_set, *(one.card for one in named), *published]))

    @property
    def corrupted(self) -> tuple[CorruptedSet, ...]:
        """Every failure set of corrupted images, in the order of types and severities."""
        return tuple(
            CorruptedSet(f"{name}-{severity}", name, severity, one.n, one.seed, one.card)
            for one in self.corruptions
            for name in one.types
            for severity in one.severities
        )

    @property
    def space(self) -> Space:
        """What one input is, as the in-set's card declares it."""
        card = find_card(self.in_set)
        if card.tokens is not None:
            return card.tokens
        assert self.shape is not None
        return Images(self.shape, card.mean, card.std)

    @property
    def transfers(self) -> bool:
        """Whether an attack is crafted on another seed's classifier."""
        return any(load_attacks()[name].crafted_on != "itself" for name in self.attack_names)

    @property
    def attack_names(self) -> tuple[str, ...]:
        """The attacks that are tested, and the one for tuning."""
        held = self.adversarial_validation
        return tuple(one.attack for one in (*self.attacks, *((held,) if held else ())))

    def seed_after(self, seed: int) -> int:
        """Return the seed whose classifier a transferred attack on that of another is crafted on: the next one."""
        return self.seeds[(self.seeds.index(seed) + 1) % len(self.seeds)] if seed in self.seeds else self.seeds[0]

    def card_hashes(self) -> dict[str, str]:
        """Return the sha256 of every card it names."""
        return {name: card_sha256(find_card(name)) for name in self.cards}


@cache
def _read(path: Path) -> Matrix:
    matrix = read_toml(path, Matrix)
    if path.stem != matrix.name:
        raise BadCard(f"matrices/{path.name}: name is {matrix.name!r}, expected {path.stem!r}, the file's own.")
    return matrix


@cache
def _load() -> dict[str, Matrix]:
    return {path.stem: _read(path) for path in toml_files(cards_folder() / "matrices")}


def known_matrix(name: str) -> Matrix | None:
    """Return a matrix, in the precision that its name tells, or None where there is none of that name.

    No other is read.

    Raises:
        BadCard: As `load_matrices`.
    """
    base, precision = told(name)
    path = cards_folder() / "matrices" / f"{base}.toml"
    return _in(_read(path), name, precision) if path.is_file() else None


def _in(matrix: Matrix, name: str, precision: Precision) -> Matrix:
    """Return a float32 matrix in another precision: no paper's table is made of it."""
    if precision == WHOLE:
        return matrix
    title = f"{matrix.title}; forward passes in {precision}"
    changed = {"name": name, "title": title, "forward_precision": precision, "reproduces": None}
    return matrix.model_copy(update=changed)


def load_matrices() -> dict[str, Matrix]:
    """Return every matrix by name.

    Raises:
        BadCard: A file breaks the schema, names what does not exist, or tunes on a source that is tested.
    """
    return dict(_load())


def find_matrix(name: str) -> Matrix:
    """Return one matrix, in the precision that its name tells.

    Raises:
        UnknownName: There is no such matrix; the nearest is offered.
    """
    matrices = _load()
    base, precision = told(name)
    if base not in matrices:
        raise UnknownName("matrix", name, matrices)
    return _in(matrices[base], name, precision)


def _card(name: str, place: str) -> Any:
    try:
        return find_card(name)
    except UnknownName as error:
        raise ValueError(f"{place}: {error}") from error


def _distinct(matrix: Matrix) -> Iterator[str]:
    lists: dict[str, list[str]] = {
        "seeds": [str(seed) for seed in matrix.seeds],
        "ood": [one.card for one in matrix.ood],
        "tuning_ood": [one.card for one in matrix.tuning_ood],
        "attacks": [one.attack for one in matrix.attacks],
        "adaptive": [one.attack for one in matrix.adaptive],
        "outliers": [one.card for one in matrix.outliers],
        "corruptions": [one.name for one in matrix.corrupted],
        "model": [one.name for one in matrix.model],
    }
    for place, names in lists.items():
        if len(set(names)) < len(names):
            yield f"{place} names something twice: {names}"


def _roles(matrix: Matrix) -> Iterator[str]:
    lists = {"in": [matrix.in_set], "out": [], "tuning": [], "outliers": []}
    lists["out"] = [one.card for one in matrix.ood]
    lists["tuning"] = [one.card for one in matrix.tuning_ood]
    lists["outliers"] = [one.card for one in matrix.outliers]
    for role, names in lists.items():
        for name in names:
            card = _card(name, role)
            if role not in card.roles:
                yield f"{name} has the roles {list(card.roles)}, expected {role!r} among them"


def _spaces(matrix: Matrix) -> Iterator[str]:
    """Say what is of another space than the in-set: other sets, and what changes pixels where there are none."""
    space = _card(matrix.in_set, "in_set").space
    for name in matrix.cards:
        if (other := find_card(name).space) != space:
            yield f"{name} holds {other}, and {matrix.in_set} {space}; a matrix is of one kind of input"
    if space == "images":
        return
    held = matrix.adversarial_validation
    of_pixels = {
        "shape": matrix.shape,
        "attacks": [one.attack for one in matrix.attacks],
        "adaptive": [one.attack for one in matrix.adaptive],
        "adversarial_validation": held and held.attack,
        "corruptions": [one.name for one in matrix.corrupted],
        "training.augment": list(matrix.training.augment) if matrix.training else [],
    }
    for place, value in of_pixels.items():
        if value:
            yield f"{place}: got {value}, which is of pixels, and {matrix.in_set} holds {space}; leave it out"


def _sizes(matrix: Matrix) -> Iterator[str]:
    samples = [
        Sample(card=matrix.in_set, n=matrix.n_test, split="test"),
        Sample(card=matrix.in_set, n=matrix.n_validation, split="validation"),
        *matrix.ood,
        *matrix.tuning_ood,
        *matrix.outliers,
    ]
    for one in samples:
        card = _card(one.card, "card")
        try:
            size = len(find_cut(card, one.split).indices)
        except UnknownName as error:
            yield str(error)
            continue
        size = min(size, matrix.n_test) if card.origin == IN_SET else size
        if one.n > size:
            yield f"{one.card}/{one.split}: n is {one.n}, expected at most {size}"


def _origins(matrix: Matrix) -> Iterator[str]:
    tested = {find_card(name).origin: name for name in (*(one.card for one in matrix.ood), matrix.in_set)}
    shared = {find_card(one.card).origin for one in matrix.tuning_ood if matrix.tuning_shares_source}
    if matrix.tuning_shares_source and not shared & set(tested):
        yield "tuning_shares_source: no set of tuning_ood has an origin that is tested; leave it out"
    for place, samples in (("tuning_ood", matrix.tuning_ood), ("outliers", matrix.outliers)):
        for one in samples:
            origin = find_card(one.card).origin
            if origin in tested and not (place == "tuning_ood" and origin in shared):
                yield (
                    f"{place}: {one.card} has the origin {origin!r}, and so has {tested[origin]}, which is tested; "
                    f"what is tuned or trained on must share no source with it"
                )


def _tuned_on_same(matrix: Matrix) -> Iterator[str]:
    """Say what a matrix may not hold that tunes on the out-set it tests: one set, and no other to tune on."""
    if matrix.tuning_same is None:
        return
    if len(matrix.ood) > 1:
        names = [one.card for one in matrix.ood]
        yield f"tuning_same: expected one out-set, got {names}; what tunes on one is tested on it alone: a matrix each"
    if matrix.tuning_ood:
        names = [one.card for one in matrix.tuning_ood]
        yield f"tuning_same: tuning_ood names {names}, too; a matrix tunes on the out-set that it tests, or on others"
    for one in matrix.ood:
        try:
            size = len(find_cut(_card(one.card, "ood"), one.split).indices)
        except UnknownName:
            continue  # told by `_sizes`
        if one.n + matrix.tuning_same > size:
            yield (
                f"tuning_same: {one.n} tested and {matrix.tuning_same} held-out images of {one.card}/{one.split} "
                f"are {one.n + matrix.tuning_same}, expected at most {size}"
            )


def _known_attacks(matrix: Matrix) -> Iterator[str]:
    known = load_attacks()
    held = matrix.adversarial_validation
    for name in matrix.attack_names:
        if name not in known:
            yield str(UnknownName("attack", name, known))
        elif known[name].crafted_on != "itself" and len(set(matrix.seeds)) < 2:
            yield f"attacks: {name} is crafted on {known[name].crafted_on}, expected two seeds or more"
    for one in matrix.attacks:
        if one.n > matrix.n_test:
            yield f"attacks: {one.attack} wants {one.n} test images, expected at most n_test = {matrix.n_test}"
    if held and held.n > matrix.n_validation:
        yield f"adversarial_validation: n is {held.n}, expected at most n_validation = {matrix.n_validation}"
    if held and held.attack in {one.attack for one in matrix.attacks}:
        yield f"adversarial_validation: {held.attack} is also tested; tune on another attack"


def _adaptive(matrix: Matrix) -> Iterator[str]:
    """Say what is wrong with adaptive attacks: each stands beside the same attack without the detector."""
    known, sizes, beside = load_adaptive(), {one.attack: one.n for one in matrix.attacks}, dict[str, int]()
    for one in matrix.adaptive:
        if one.attack not in known:
            yield f"adaptive: {UnknownName('adaptive attack', one.attack, known)}"
            continue
        of = known[one.attack].of
        if sizes.get(of, 0) < one.n:
            got = f"is on {sizes[of]}" if of in sizes else "is not there"
            yield f"adaptive: {one.attack} is on {one.n} images; of `attacks` {of} {got}, expected on as many or more"
        if beside.setdefault(of, one.n) != one.n:
            yield f"adaptive: attacks made from {of} are on {beside[of]} and {one.n} images, expected the same"


def _known_corruptions(matrix: Matrix) -> Iterator[str]:
    types = dict.fromkeys(name for one in matrix.corruptions if one.card is None for name in one.types)
    for name in types:
        if name not in CORRUPTIONS:
            yield f"corruptions: {UnknownName('corruption', name, (*CORRUPTIONS, ALL_FIFTEEN))}"
        elif matrix.shape and (why := why_not(find_corruption(name), matrix.shape)):
            yield f"corruptions: {why}"
    for corrupted in matrix.corrupted:
        if corrupted.card and corrupted.name not in (known := _card(corrupted.card, "corruptions").splits):
            yield f"corruptions: {UnknownName(f'split of {corrupted.card}', corrupted.name, known)}"
    if len(sizes := {one.n for one in matrix.corruptions}) > 1:
        yield f"corruptions: n is {', '.join(map(str, sorted(sizes)))}, expected one n: all are of the same images"
    for one in matrix.corruptions:
        if one.n > matrix.n_test:
            yield f"corruptions: n is {one.n}, expected at most n_test = {matrix.n_test}"


def _known_training(matrix: Matrix) -> Iterator[str]:
    how = matrix.training
    if how is None:
        return
    named = [(OPTIMISERS, how.optimiser), (SCHEDULES, how.schedule), *((AUGMENTATIONS, name) for name in how.augment)]
    for table, name in named:
        if name not in table.names():
            yield f"training: {UnknownName(table.kind, name, table.names())}"


def _given(matrix: Matrix) -> Iterator[str]:
    """Say what a matrix may not be that trains no model, or that is given some."""
    if (matrix.training is None) == (not matrix.model):
        got = "neither" if matrix.training is None else "both"
        yield f"training and model: got {got}; expected [training], or a [[model]] for each given classifier"
    for model in matrix.model:
        if (seeds := sorted(one.seed for one in model.weights)) != sorted(matrix.seeds):
            yield f"model {model.name}: has weights of the seeds {seeds}, expected a file for each of {matrix.seeds}"
        channels = matrix.shape[0] if matrix.shape else 0
        if not len(model.mean) == len(model.std) == channels:
            got = f"{len(model.mean)} and {len(model.std)} numbers"
            yield f"model {model.name}: mean and std have {got}, expected one for each of {channels} channels"
