"""The table of contents in `methods/__init__.py`, and `rows.csv` and `declared.json` beside it.

python -m oodbench.run.gallery
"""

import importlib
import pkgutil
import textwrap
from pathlib import Path

from oodbench import declarations, listed
from oodbench.contract import Method
from oodbench.run import catalog, declare
from oodbench.run.registry import registry
from oodbench.store import atomically

BEGIN, END = "What is here (written by `make gallery`):\n\n", "\n\nTo add one"


def gallery() -> str:
    """Return a line a file: its name, what its docstring's first line calls it, and the papers of its rows."""
    methods = importlib.import_module("oodbench.methods")
    names = sorted(info.name for info in pkgutil.iter_modules(methods.__path__))
    modules = {name: importlib.import_module(f"oodbench.methods.{name}") for name in names}
    width = max(map(len, names))
    return "\n".join(_line(name.ljust(width), module.__doc__, module.METHODS) for name, module in modules.items())


def _line(name: str, docstring: str | None, rows: tuple[Method, ...]) -> str:
    what = (docstring or "").split("\n\n")[0].replace("\n", " ").rstrip(".")
    papers = dict.fromkeys(f"{row.paper.authors.split(',')[0]} {row.paper.year or 'undated'}" for row in rows)
    line = f"{name}  {what} ({'; '.join(papers)})"
    return textwrap.fill(line, 120, subsequent_indent=" " * (len(name) + 2), drop_whitespace=True)


def renewed(text: str) -> str:
    """Return the text of `methods/__init__.py` with the table as it is now.

    Raises:
        ValueError: the places where the table begins and ends are not there.
    """
    begin = text.index(BEGIN) + len(BEGIN)
    return text[:begin] + gallery() + text[text.index(END, begin) :]


def in_tree() -> list[listed.Line]:
    """Return a line a method of this repository, in order of their names."""
    entries = sorted(registry().values(), key=lambda entry: entry.method.name)
    return [catalog.line_of(entry) for entry in entries if entry.in_tree]


def path() -> Path:
    """Return the file."""
    return Path(str(importlib.import_module("oodbench.methods").__file__))


if __name__ == "__main__":
    with atomically(path()) as file:
        file.write_text(renewed(path().read_text()))
    with atomically(listed.path()) as file:
        file.write_text(listed.written(in_tree()))
    with atomically(declarations.path()) as file:
        file.write_text(declarations.written(declare.made()))
