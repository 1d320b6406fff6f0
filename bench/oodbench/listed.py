"""What `methods/rows.csv` says of the methods of this repository, and their docstrings: read without importing them."""

import ast
import csv
import importlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from io import StringIO
from pathlib import Path

PACKAGE = "oodbench.methods"


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
        family: What it is built on: one of `oodbench.contract.Family`.
    """

    name: str
    title: str
    tuned_on: str
    judges_mine: bool
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    paper: str
    module: str
    family: str


def path() -> Path:
    """Return the file of rows."""
    return folder() / "rows.csv"


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
            family=row["family"],
        )
        for row in csv.DictReader(StringIO(text))
    ]


@cache
def rows() -> tuple[Line, ...]:
    """Return what the file says; nothing where there is none."""
    return tuple(read(path().read_text("utf-8"))) if path().exists() else ()


@cache
def docstring(module: str) -> str:
    """Return the docstring of a file of methods; nothing of one that is not in this repository."""
    file = folder() / f"{module.removeprefix(f'{PACKAGE}.')}.py"
    return (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "") if file.is_file() else ""


def folder() -> Path:
    """Return the folder of the files of methods."""
    return Path(str(importlib.import_module(PACKAGE).__file__)).parent
