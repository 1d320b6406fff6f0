"""Functions by name that a package may add to, through an entry point. Listing names imports nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from oodbench.errors import BadMethod, UnknownName


@dataclass(frozen=True, eq=False)
class Table:
    """Functions by name.

    Attributes:
        kind: What each is, for people; the entry-point group is `oodbench.<kind>s`.
        built_in: Ours: "module:function" by name.
    """

    kind: str
    built_in: Mapping[str, str]

    @property
    def group(self) -> str:
        """The entry-point group that adds to it."""
        return f"oodbench.{self.kind}s"

    def names(self) -> list[str]:
        """Return every name, ours first."""
        return list(self._entries)

    def find(self, name: str) -> Any:
        """Return a function, importing its module.

        Raises:
            UnknownName: nothing is called that; the nearest is offered.
            BadMethod: a package's entry point does not load.
        """
        if name not in self._entries:
            raise UnknownName(self.kind, name, self._entries)
        entry = self._entries[name]
        try:
            return entry.load()
        except Exception as error:  # importing a package runs whatever is in it
            where = f"entry point {entry.name!r} ({entry.value}) of {self.group}"
            raise BadMethod(f"{where} does not load: {type(error).__name__}: {error}; mend or uninstall it") from error

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        ours = {name: EntryPoint(name, value, self.group) for name, value in self.built_in.items()}
        return {entry.name: entry for entry in entry_points(group=self.group)} | ours
