"""What `oodbench list` says of methods: read from `methods/rows.csv`, so that names are there before torch is.

`make gallery` writes that file. Where a file of methods has come or gone since, or a package announces methods, all are
imported instead.
"""

import csv
import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oodbench.run.registry import Registered

GROUP = "oodbench.methods"
"""Entry-point group of methods outside this repository."""


@dataclass(frozen=True)
class Line:
    """What is said of one method.

    Attributes:
        name: Of the method.
        title: For people.
        tuned_on: The most telling held-out data that it sees.
        judges_mine: Whether it judges a given classifier (`oodbench.evaluate`), or trains its own.
        needs: What it fits or tunes on beside training images, as arguments of `oodbench.evaluate`.
        reads: Outputs of the model.
        paper: Address.
        module: That defines it.
    """

    name: str
    title: str
    tuned_on: str
    judges_mine: bool
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    paper: str
    module: str


def lines() -> list[Line]:
    """Return a line a method, torch imported only where the file of rows is not of these files."""
    ours = _ours()
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
    )


def path() -> Path:
    """Return the file of rows."""
    return _folder() / "rows.csv"


def written(made: Iterable[Line]) -> str:
    """Return lines as CSV; what is a tuple is separated by blanks."""
    file = StringIO()
    writer = csv.DictWriter(file, [field.name for field in fields(Line)], lineterminator="\n")
    writer.writeheader()
    for line in made:
        cells = asdict(line)
        writer.writerow({key: " ".join(cell) if isinstance(cell, tuple) else cell for key, cell in cells.items()})
    return file.getvalue()


def read(text: str) -> list[Line]:
    """Return the lines of a CSV."""
    return [
        Line(
            name=row["name"],
            title=row["title"],
            tuned_on=row["tuned_on"],
            judges_mine=row["judges_mine"] == "True",
            needs=tuple(row["needs"].split()),
            reads=tuple(row["reads"].split()),
            paper=row["paper"],
            module=row["module"],
        )
        for row in csv.DictReader(StringIO(text))
    ]


@cache
def _ours() -> list[Line]:
    return read(path().read_text("utf-8")) if path().exists() else []


def _modules() -> set[str]:
    return {f"oodbench.methods.{info.name}" for info in pkgutil.iter_modules([str(_folder())])}


def _folder() -> Path:
    return Path(str(importlib.import_module("oodbench.methods").__file__)).parent
