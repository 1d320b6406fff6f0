"""Attack cards: `datasets/attacks.toml`."""

from functools import cache
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oodbench.data.cards import Name, Text
from oodbench.data.fixed import Fixed, cards_folder, read_toml
from oodbench.errors import BadCard, UnknownName

Radius = Annotated[float, Field(gt=0, le=1)]


class Attack(Fixed):
    """An attack.

    Attributes:
        name: Its name in matrices, records and tables.
        title: For people.
        kind: "fgsm" (one step) or "bim" (many, projected).
        eps: Radius of the ball, in pixel units of [0, 1].
        alpha: Step of "bim", in pixel units.
        steps: Number of steps of "bim".
        label: Whose loss is climbed: the true label's.
        norm: The ball's norm.
        source: Where the values come from.
    """

    name: Name
    title: Text
    kind: Literal["fgsm", "bim"]
    eps: Radius
    alpha: Radius | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    label: Literal["true"] = "true"
    norm: Literal["linf"] = "linf"
    source: Text

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        stated = [self.alpha is not None, self.steps is not None]
        if stated != [self.kind == "bim"] * 2:
            raise ValueError("alpha and steps are given exactly by bim")
        return self


class Attacks(Fixed):
    """The file of attacks."""

    attacks: tuple[Attack, ...]


@cache
def _load() -> dict[str, Attack]:
    attacks = read_toml(cards_folder() / "attacks.toml", Attacks).attacks
    named = {attack.name: attack for attack in attacks}
    if len(named) < len(attacks):
        raise BadCard("attacks.toml: two attacks have one name.")
    return named


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
