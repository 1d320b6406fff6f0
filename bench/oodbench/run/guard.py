"""What stands between code that was edited and numbers that older code made: behaviour on the toy, compared.

Versions are declared by people, and people forget. So what is made says by what code it was made and how that code
behaved on the toy (`oodbench.run.behaviour`); where other code finds it, it has to behave alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from oodbench.run.registry import Registered
from oodbench.training import Recipe

Numbers = Mapping[str, list[float]]
"""What came out of a run on the toy, by the name of a set, an output or a group of facts."""

SAME_MACHINE = 1e-4
"""Largest deviation, in units of the group's spread, of any number on one class of machine."""

ACROSS_MACHINES = 0.05
"""Largest median deviation across classes of machine, where rounding differs and training amplifies it."""


UNTRIED = frozenset({"weights", "untried"})
"""What moved where one of two codes could not be tried on the toy: nobody knows, so all of it."""


@dataclass(frozen=True)
class Made:
    """By what code something was made, on what class of machine, and how that code behaved on the toy."""

    source: str = ""
    machine: str = ""
    behaviour: Numbers = field(default_factory=dict)


class Guard(Protocol):
    """Knows how this code behaves, and says whether what other code made stands."""

    def made_model(self, recipe: Recipe) -> Made:
        """Return how this code trains and asks a recipe's model."""

    def moved_in_model(self, recipe: Recipe, made: Made) -> frozenset[str]:
        """Return the groups of numbers in which this code differs from what made a recipe's model."""

    def made_method(self, entry: Registered) -> Made:
        """Return how this code scores by a method."""

    def moved_in_method(self, entry: Registered, made: Made) -> frozenset[str]:
        """Return the groups of numbers in which this code differs from what made a method's record."""


def moved(now: Made, then: Made) -> frozenset[str]:
    """Return the names of the groups of numbers that are not alike.

    Example:
        >>> moved(Made(behaviour={"test": [1.0, 2.0]}), Made(behaviour={"test": [1.0, 2.5]}))
        frozenset({'test'})
    """
    if not now.behaviour or not then.behaviour:
        return UNTRIED
    names = now.behaviour.keys() | then.behaviour.keys()
    same_machine = now.machine == then.machine
    return frozenset(
        name
        for name in names
        if not alike(now.behaviour.get(name, []), then.behaviour.get(name, []), same_machine=same_machine)
    )


def alike(now: list[float], then: list[float], *, same_machine: bool) -> bool:
    """Return whether numbers are the same but for rounding: each of them, or across machines the most."""
    if len(now) != len(then):
        return False
    if not now:
        return True
    a, b = np.array(now), np.array(then)
    unit = max(float(b.std()), 1e-3 * float(np.abs(b).max()), 1e-12)
    deviation = np.abs(a - b) / unit
    if same_machine:
        return bool(deviation.max() <= SAME_MACHINE)
    return bool(np.median(deviation) <= ACROSS_MACHINES)
