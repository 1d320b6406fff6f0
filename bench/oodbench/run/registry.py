"""All methods by name: those in `methods/`, and those that installed packages announce under `oodbench.methods`."""

import importlib
import logging
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from oodbench.contract import Method
from oodbench.errors import BadMethod, UnknownName
from oodbench.run.catalog import GROUP

log = logging.getLogger(__name__)

IN_TREE = "oodbench.methods."
"""What the names of the modules of this repository's methods begin with."""


@dataclass(frozen=True)
class Registered:
    """A method and the module that defines it.

    Attributes:
        checked: Whether it has passed the cheap laws here, before it runs; None where nobody asked, as of a method of
            this repository, whose laws are tested at every change.
    """

    method: Method
    module: str
    checked: bool | None = None

    @property
    def in_tree(self) -> bool:
        """Whether it is one of this repository."""
        return self.module.startswith(IN_TREE)


@cache
def registry() -> dict[str, Registered]:
    """Return every method by name; where a package has the name of a method of this repository, ours, with a warning.

    Raises:
        BadMethod: two files, or two packages, have a method of one name, or a file or entry point holds none.
    """
    ours, theirs = _distinct(_in_tree()), _distinct(_plugins())
    for name in ours.keys() & theirs.keys():
        log.warning(
            "two methods are named %r: that of oodbench (%s) is taken, and the one in %s is not to be had; rename it",
            *(name, ours[name].module, theirs[name].module),
        )
    return ours | {name: entry for name, entry in theirs.items() if name not in ours}


def _distinct(entries: Iterable[Registered]) -> dict[str, Registered]:
    found: dict[str, Registered] = {}
    for entry in entries:
        name = entry.method.name
        if name in found:
            raise BadMethod(
                f"two methods are named {name!r}: in {found[name].module} and in {entry.module}; rename one"
            )
        found[name] = entry
    return found


def find(names: Iterable[str]) -> list[Registered]:
    """Return methods by name, in the order asked.

    Raises:
        UnknownName: no such method; the nearest is offered.
    """
    known = registry()
    for name in (names := list(names)):
        if name not in known:
            raise UnknownName("method", name, known)
    return [known[name] for name in dict.fromkeys(names)]


def _in_tree() -> Iterator[Registered]:
    methods = importlib.import_module("oodbench.methods")
    for info in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"oodbench.methods.{info.name}")
        yield from _of(getattr(module, "METHODS", ()), module.__name__, f"methods/{info.name}.py")


def _plugins() -> Iterator[Registered]:
    for entry in entry_points(group=GROUP):
        where = f"entry point {entry.name!r} ({entry.value})"
        try:
            value = entry.load()
        except Exception as error:  # importing a package runs whatever is in it
            raise BadMethod(f"{where} does not load: {type(error).__name__}: {error}; mend or uninstall it") from error
        yield from _of(value, entry.module, where)


def _of(value: object, module: str, where: str) -> Iterator[Registered]:
    methods = value if isinstance(value, tuple) else (value,)
    if not methods or not all(isinstance(method, Method) for method in methods):
        raise BadMethod(f"{where}: expected `METHODS = (Method(...), ...)`, got {value!r}")
    for method in methods:
        yield Registered(method, module)
