"""What methods declare, as `methods/declared.json` has it: versions, parameters, recipes, tuning. Read without torch.

`make gallery` writes the file from the registry. Records are held against it, so that what a record says of its method
is what the method says of itself.
"""

import importlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from oodbench.forward_precision import told
from oodbench.store import digest

FILE = "declared.json"


class Of(TypedDict, total=False):
    """What one method declares; `recipes` is a name in the table of them."""

    title: str
    module: str
    citation: dict[str, Any]
    tuning: str
    fits_on_labels: bool
    versions: dict[str, int]
    parameters: dict[str, dict[str, Any]]
    parameters_at_paper_scale: dict[str, dict[str, Any]]
    search: dict[str, list[Any]]
    scores_log_density: bool
    asks_no_model: bool
    recipes: str


class Row(TypedDict):
    """A method in a matrix, or on one of the models that a matrix is given.

    `recipe` is the fingerprint of the recipe as this matrix trains it, None where the method cannot run there;
    `members` are the seeds of the models that an ensemble is made of, by the ensemble's own.
    """

    recipe: str | None
    members: dict[str, list[int]]


class Declared(TypedDict):
    """The whole file.

    `groups` has the group of each matrix, of those that train alike; `recipes` the rows by name of the table, by group
    and by model (nothing, or "@resnet-20").
    """

    groups: dict[str, str]
    recipes: dict[str, dict[str, dict[str, Row]]]
    methods: dict[str, Of]


class Facts(NamedTuple):
    """What is declared of one row of a matrix: of its method, and of its recipe."""

    of: Of
    row: Row


def facts(matrix: str, name: str) -> Facts | None:
    """Return what is declared of a row of a matrix; None where no method of this repository has it."""
    said = declared()
    base, at, model = name.partition("@")
    of = said["methods"].get(base)
    group = said["groups"].get(told(matrix)[0], "")
    row = said["recipes"][of["recipes"]].get(group, {}).get(at + model) if of else None
    return Facts(of, row) if of and row else None


def path() -> Path:
    """Return the file."""
    return Path(str(importlib.import_module("oodbench.methods").__file__)).with_name(FILE)


@cache
def declared() -> Declared:
    """Return what the file says; nothing where there is none."""
    if not path().is_file():
        return {"groups": {}, "recipes": {}, "methods": {}}
    content: Declared = json.loads(path().read_text(encoding="utf-8"))
    return content


def written(said: Declared) -> str:
    """Return the text of the file: a line a method, so that an edit of one is a change of one line."""
    parts = (f"{json.dumps(part)}: {{\n{_lines(of)}\n}}" for part, of in said.items() if isinstance(of, dict))
    return f"{{{', '.join(parts)}}}\n"


def _lines(of: Mapping[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(name)}: {_line(value)}" for name, value in sorted(of.items()))


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """Return the beginning of the sha256 of a recipe as records hold it."""
    return digest(recipe)[:16]
