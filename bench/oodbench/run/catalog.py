"""What `oodbench list` says of methods: read from `methods/rows.csv`, so that names are there before torch is.

`make gallery` writes that file. Where a file of methods has come or gone since, or a package announces methods, all are
imported instead.
"""

import pkgutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from oodbench import listed
from oodbench.listed import Line

if TYPE_CHECKING:
    from oodbench.run.registry import Registered

GROUP = "oodbench.methods"
"""Entry-point group of methods outside this repository."""


def lines() -> list[Line]:
    """Return a line a method, torch imported only where the file of rows is not of these files."""
    ours = list(listed.rows())
    if {line.module for line in ours} == _modules() and not entry_points(group=GROUP):
        return ours
    from oodbench.run.registry import registry

    return list(map(line_of, registry().values()))


def line_of(entry: "Registered") -> Line:
    """Return what is said of a method."""
    from oodbench.recipes import Plain

    method = entry.method
    needs = sorted(method.materials - {"labels"})
    given = {"validation", "ood_validation"}
    return Line(
        name=method.name,
        title=method.title,
        tuned_on=method.tuning_access,
        judges_mine=isinstance(method.recipe, Plain) and given.issuperset(needs),
        needs=tuple(needs),
        reads=tuple(sorted(map(str, method.detector.reads))),
        paper=method.paper.url or "",
        module=entry.module,
        family=method.family,
    )


def _modules() -> set[str]:
    return {f"{listed.PACKAGE}.{info.name}" for info in pkgutil.iter_modules([str(listed.folder())])}
