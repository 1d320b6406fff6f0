"""Attack cards: `datasets/attacks.toml`, a schema for each kind of attack (`oodbench.attacks` has the functions)."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from oodbench.data.cards import Count, Name, Text
from oodbench.data.fixed import Fixed, cards_folder, read_toml
from oodbench.errors import BadCard, UnknownName

Radius = Annotated[float, Field(gt=0, le=1)]
Length = Annotated[float, Field(gt=0)]
Norm = Literal["linf", "l2"]
Loss = Literal["ce", "dlr", "margin"]
Target = Literal["none", "random", "next", "runner-up", "least-likely"]

PROSE = frozenset({"title", "source"})
"""What cards say to people."""


class Attack(Fixed):
    """What every attack has; a subclass for each kind adds its parameters, the keywords of the attack's function.

    Attributes:
        name: Its name in matrices, records and tables.
        title: For people.
        kind: Which function it is, by its name in `oodbench.attacks.KINDS`.
        eps: Radius of the ball, in pixel units of [0, 1]; None for an attack that looks for the smallest change.
        norm: The norm that bounds, or is made small.
        label: The class that it leads away from: the true label.
        target: Which class it leads to; "none" for any other. A rule of `oodbench.attacks.targets`.
        seed: Of its random numbers.
        crafted_on: The classifier whose answers and derivatives it uses: the one under attack "itself", or the one of
            the same recipe and "another-seed" (the next of the matrix), which is called a transferred attack.
        source: Where the values come from.
        at_once: Images that are crafted together; a stopped run loses the work on as many.
        version: Of what the function does; whoever makes other images of a card raises it.
    """

    name: Name
    title: Text
    kind: str
    eps: float | None = None
    norm: Norm = "linf"
    label: Literal["true"] = "true"
    target: Target = "none"
    seed: Annotated[int, Field(ge=0)] = 0
    crafted_on: Literal["itself", "another-seed"] = "itself"
    source: Text

    at_once: ClassVar[int] = 64
    version: ClassVar[int] = 1
    choices: ClassVar[frozenset[str]] = frozenset()
    """Those of the common fields above that its function takes as parameters."""
    may_aim: ClassVar[bool] = False
    """Whether it can lead to a class."""
    may_know: ClassVar[bool] = True
    """Whether its function keeps the best it finds by a detector's score, too, where it is given one."""
    knowing_version: ClassVar[int] = 1
    """Of what its function does with a detector's score; whoever makes other images of an adaptive card raises it."""

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if self.target != "none" and not self.may_aim:
            raise ValueError(f"target is {self.target!r}, and {self.kind} leads to no class: leave it out")
        if self.norm == "linf" and self.eps is not None and self.eps > 1:
            raise ValueError(f"eps is {self.eps:g} in l-infinity, expected pixel units of [0, 1], at most 1")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the keywords of the attack's function."""
        own = [name for name in type(self).model_fields if name in self.choices or name not in Attack.model_fields]
        return {name: value for name in own if (value := getattr(self, name)) is not None}

    def content(self) -> dict[str, Any]:
        """Return what numbers depend on: fields that differ from their defaults, and a version other than 1."""
        return self.model_dump(mode="json", exclude=set(PROSE), exclude_defaults=True) | self._versioned()

    def crafting(self) -> dict[str, Any]:
        """Return what crafted images depend on, as caches have it: newer fields only where they are set."""
        newer = {name for name in NEWER if getattr(self, name) == Attack.model_fields[name].default}
        return self.model_dump(mode="json", exclude={*PROSE, *newer}) | self._versioned()

    def _versioned(self) -> dict[str, int]:
        return {"version": self.version} if self.version > 1 else {}


NEWER = frozenset({"target", "seed", "crafted_on"})
"""Common fields that are younger than the first crafted images."""


class Fgsm(Attack):
    """One step (Goodfellow 2015). It has no alpha and no steps; caches have the two in the address of its images."""

    kind: Literal["fgsm"]
    eps: Radius
    norm: Literal["linf"] = "linf"
    alpha: None = None
    steps: None = None

    at_once: ClassVar[int] = 256
    choices: ClassVar[frozenset[str]] = frozenset({"eps"})
    may_know: ClassVar[bool] = False


class Bim(Attack):
    """Many steps of length alpha, projected (Kurakin 2017)."""

    kind: Literal["bim"]
    eps: Radius
    norm: Literal["linf"] = "linf"
    alpha: Radius
    steps: Count

    at_once: ClassVar[int] = 256
    choices: ClassVar[frozenset[str]] = frozenset({"eps"})
    may_know: ClassVar[bool] = False


class Mim(Attack):
    """Many steps of eps / steps with momentum mu (Dong 2018)."""

    kind: Literal["mim"]
    eps: Radius
    norm: Literal["linf"] = "linf"
    steps: Count
    mu: Annotated[float, Field(ge=0)]

    choices: ClassVar[frozenset[str]] = frozenset({"eps"})
    may_know: ClassVar[bool] = False


class Pgd(Attack):
    """Many steps of length alpha from random starts (Madry 2018)."""

    kind: Literal["pgd"]
    eps: Length
    alpha: Length
    steps: Count
    restarts: Count
    loss: Loss = "ce"

    choices: ClassVar[frozenset[str]] = frozenset({"eps", "norm"})
    may_aim: ClassVar[bool] = True


class Apgd(Attack):
    """PGD that chooses its own step (Croce & Hein 2020); `targets`: towards each of so many likeliest other classes."""

    kind: Literal["apgd"]
    eps: Length
    steps: Count
    restarts: Count
    loss: Loss
    targets: Annotated[int, Field(ge=0)] = 0

    choices: ClassVar[frozenset[str]] = frozenset({"eps", "norm"})
    may_aim: ClassVar[bool] = True

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.targets and self.target != "none":
            raise ValueError(f"got targets = {self.targets} and target = {self.target!r}; one of them says where to")
        return self


class DeepFool(Attack):
    """The smallest change across the nearest boundary, by linear steps (Moosavi-Dezfooli 2016)."""

    kind: Literal["deepfool"]
    eps: None = None
    norm: Norm
    steps: Count
    overshoot: Annotated[float, Field(ge=0)]
    candidates: Annotated[int, Field(ge=2)]

    choices: ClassVar[frozenset[str]] = frozenset({"norm"})
    may_know: ClassVar[bool] = False


class Cw(Attack):
    """The smallest l2 change with a margin of kappa (Carlini & Wagner 2017); kappa = inf: see `oodbench.attacks.cw`."""

    kind: Literal["cw"]
    eps: None = None
    norm: Literal["l2"] = "l2"
    kappa: Annotated[float, Field(ge=0)]
    steps: Count
    lr: Length
    searches: Count
    c: Length

    may_aim: ClassVar[bool] = True
    knowing_version: ClassVar[int] = 2


class Fab(Attack):
    """The smallest change, by projections on planes (Croce & Hein 2020); it counts within eps."""

    kind: Literal["fab"]
    eps: Length
    steps: Count
    restarts: Count
    targets: Annotated[int, Field(ge=0)]
    alpha_max: Radius
    eta: Annotated[float, Field(ge=1)]
    beta: Radius

    choices: ClassVar[frozenset[str]] = frozenset({"eps", "norm"})
    may_know: ClassVar[bool] = False


class Square(Attack):
    """Random squares of +-eps, by logits alone (Andriushchenko 2020)."""

    kind: Literal["square"]
    eps: Radius
    norm: Literal["linf"] = "linf"
    steps: Count
    p_init: Radius

    choices: ClassVar[frozenset[str]] = frozenset({"eps"})


OfAnyKind = Annotated[Fgsm | Bim | Mim | Pgd | Apgd | DeepFool | Cw | Fab | Square, Field(discriminator="kind")]


class AdaptiveAttack(Fixed):
    """An attack whose attacker also knows the fitted detector (`oodbench.attacks.adaptive`).

    Its norm, radius, steps, restarts and seed are those of the attack that it is made from: what the two differ by is
    what knowing the detector is worth.

    Attributes:
        name: That of the attack, an @, and what the attacker knows: "pgd-8@score-1".
        title: For people.
        of: The attack of the same budget that knows the model alone.
        detection: What is added to its loss, by its name in `oodbench.attacks.adaptive.DETECTIONS`.
        weight: λ of a score, d of a loss of detection: what a standard deviation of the score among clean validation
            images is worth, or its square.
        source: Where the values come from.
        version: Of what is done beside the attack itself.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*@[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Text
    of: Name
    detection: Literal["score", "typicality"]
    weight: Annotated[float, Field(ge=0)]
    source: Text

    version: ClassVar[int] = 1

    @property
    def attack(self) -> Attack:
        """The attack that it is made from.

        Raises:
            UnknownName: There is no such attack.
        """
        return find_attack(self.of)

    def content(self) -> dict[str, Any]:
        """Return what numbers depend on."""
        said = self.model_dump(mode="json", exclude={*PROSE, "of"})
        versions = {"version": self.version, "knowing": self.attack.knowing_version}
        return (
            said | {"of": self.attack.content()} | {what: version for what, version in versions.items() if version > 1}
        )


class Attacks(Fixed):
    """The file of attacks."""

    attacks: tuple[OfAnyKind, ...]
    adaptive: tuple[AdaptiveAttack, ...] = ()


@cache
def _load() -> dict[str, Attack]:
    attacks = read_toml(cards_folder() / "attacks.toml", Attacks).attacks
    named: dict[str, Attack] = {attack.name: attack for attack in attacks}
    if len(named) < len(attacks):
        raise BadCard("attacks.toml: two attacks have one name.")
    return named


@cache
def _load_adaptive() -> dict[str, AdaptiveAttack]:
    cards = read_toml(cards_folder() / "attacks.toml", Attacks).adaptive
    for fault in _faults(cards):
        raise BadCard(f"attacks.toml: {fault}.")
    return {card.name: card for card in cards}


def _faults(cards: Sequence[AdaptiveAttack]) -> Iterator[str]:
    """Say what is wrong with adaptive cards beside the attacks that they are made from."""
    if len({card.name for card in cards}) < len(cards):
        yield "two adaptive attacks have one name"
    for card in cards:
        known = _load().get(card.of)
        if known is None:
            yield f"{card.name}: {UnknownName('attack', card.of, _load())}"
        elif card.name.partition("@")[0] != card.of or card.name.endswith(TWINS):
            yield f"{card.name}: expected {card.of!r}, an @ and what the attacker knows, other than {', '.join(TWINS)}"
        elif not known.may_know or known.crafted_on != "itself":
            why = (
                "is crafted on another classifier"
                if known.may_know
                else f"is a {known.kind}, which keeps nothing by a score"
            )
            yield f"{card.name}: {card.of} {why}; adapt another attack"


TWINS = ("@known", "@uint8")
"""Endings that names of failure sets have already (`oodbench.measure.kinds`)."""


def load_adaptive() -> dict[str, AdaptiveAttack]:
    """Return every adaptive attack by name.

    Raises:
        BadCard: The file breaks the schema, or a card is made from no attack that can be adapted.
    """
    return dict(_load_adaptive())


def find_adaptive(name: str) -> AdaptiveAttack:
    """Return one adaptive attack.

    Raises:
        UnknownName: There is no such attack; the nearest is offered.
    """
    cards = _load_adaptive()
    if name not in cards:
        raise UnknownName("adaptive attack", name, cards)
    return cards[name]


def load_attacks() -> dict[str, Attack]:
    """Return every attack by name.

    Raises:
        BadCard: The file breaks the schema.
    """
    return dict(_load())


def find_attack(name: str) -> Attack:
    """Return one attack.

    Raises:
        UnknownName: There is no such attack; the nearest is offered.
    """
    attacks = _load()
    if name not in attacks:
        raise UnknownName("attack", name, attacks)
    return attacks[name]
