"""Records of older schemas, as those of today: one function a step, from each schema to the next.

Schema 1 (oodbench 0.1) held every number and all that belongs to the model in each method's record, and scores as .npz.
Its records stay readable; `python -m oodbench.migrate` moves a folder of them to the layout of today.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Content = dict[str, Any]


def upgraded(content: Content) -> Content:
    """Return the content of a record of an older schema as one of the newest.

    Args:
        content: What its file holds, `schema_version` among it.
    """
    while step := STEPS.get(content["schema_version"]):
        content = step(content)
    return content


def _from_1(content: Content) -> Content:
    """Take the field's words, and leave out what belongs to the model and what follows from the scores."""
    kept = {RENAMED.get(key, key): value for key, value in content.items() if key not in OF_THE_MODEL}
    return kept | {"schema_version": 2, "cells": list(_unscored(content.get("cells", [])))}


def _unscored(cells: list[Content]) -> Iterator[Content]:
    """Yield the cells that had no inputs at all, without their empty numbers."""
    for cell in cells:
        if cell.get("status", "ok") != "ok" and not cell.get("n_good") and not cell.get("n_bad"):
            yield {key: _named(cell[key]) for key in ("failure", "name", "status", "reason")}


class OldCell(NamedTuple):
    """What a record of schema 1 says of one cell, under the names of today."""

    failure: str
    name: str
    n_good: int
    n_bad: int
    metrics: dict[str, float]


def cells_of_1(content: Content) -> list[OldCell]:
    """Return the numbers that a record of schema 1 holds."""
    return [
        OldCell(
            _named(cell["failure"]),
            _named(cell["name"]),
            cell["n_good"],
            cell["n_bad"],
            {_named(name): value for name, value in cell["metrics"].items()},
        )
        for cell in content.get("cells", [])
        if cell.get("status", "ok") == "ok"
    ]


def _named(word: str) -> str:
    return RENAMED.get(word, word)


RENAMED = {
    "reference": "citation",
    "mistake": "misclassification",
    "mistakes": "misclassified",
    "fpr95_bad": "fpr95_ood_positive",
}
"""Words of schema 1 by those of today."""

OF_THE_MODEL = frozenset({"subject", "bits_per_dimension", "attacks"})
"""Fields of a record of schema 1 that stand in the record of its model today."""

STEPS: dict[int, Callable[[Content], Content]] = {1: _from_1}
"""By the schema that they start from."""


def covers(today: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Return whether all that was said then holds today; fields that are newer have their defaults.

    Example:
        >>> covers({"lr": 0.1, "new": 0}, {"lr": 0.1})
        True
    """
    return all(
        covers(today.get(name, {}), value) if isinstance(value, Mapping) else today.get(name) == value
        for name, value in then.items()
    )
