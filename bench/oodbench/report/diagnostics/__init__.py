"""Diagnostics of models and data: a module here is one, named after it, and holds all that tables say of it.

Such a module has `DIAGNOSTIC`, a `Diagnostic`. What computes it (and needs torch) is `analyse` of the module of the
same name in `oodbench.diagnostics`. Nothing else has a list of them: a new one is these two files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, NamedTuple

from oodbench.errors import UnknownName

if TYPE_CHECKING:
    from oodbench.data.fixed import Fixed


NO_MODEL = "data"
"""Stands for the method where a diagnostic needs no trained model."""


class Finding(NamedTuple):
    """A number that a claim may be of, in the unit that it is printed in."""

    method: str
    metric: str
    set: str
    value: float


@dataclass(frozen=True)
class Diagnostic:
    """A kind of diagnostic, as the page and the claims need it.

    Attributes:
        schema: What its file holds: `method`, `matrix` and `seed` among it.
        summary: What it finds, in a few words.
        title: Its heading.
        section: What stands below the heading, from the files of all seeds.
        pictures: Names of those that stand there, without their ending.
        metrics: Names of the numbers that claims may be of.
        findings: These numbers, of one file.
        method: On which method it is done by default; None where it needs no trained model.
        images: On how many images a set by default.
    """

    schema: "type[Fixed]"
    summary: str
    title: str
    section: Callable[[Sequence[Any]], list[str]]
    pictures: tuple[str, ...]
    metrics: tuple[str, ...]
    findings: Callable[[Any], Iterator[Finding]]
    method: str | None
    images: int


def names() -> tuple[str, ...]:
    """Return the names of all diagnostics; loads none of them."""
    return tuple(sorted(info.name.replace("_", "-") for info in iter_modules(__path__)))


@cache
def find_diagnostic(name: str) -> Diagnostic:
    """Return a diagnostic.

    Raises:
        UnknownName: There is none of that name; the nearest is offered.
    """
    if name not in names():
        raise UnknownName("diagnostic", name, names())
    found: Diagnostic = import_module(f"{__name__}.{name.replace('-', '_')}").DIAGNOSTIC
    return found


def analyse_of(name: str) -> Callable[..., Any]:
    """Return the function that makes a diagnostic; loads torch."""
    find_diagnostic(name)
    found: Callable[..., Any] = import_module(f"oodbench.diagnostics.{name.replace('-', '_')}").analyse
    return found


def metrics() -> tuple[str, ...]:
    """Return the names of all numbers that claims may be of."""
    return tuple(metric for name in names() for metric in find_diagnostic(name).metrics)
