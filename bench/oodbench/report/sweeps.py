"""What one setting of a recipe changes: methods whose recipes are alike but for that field, side by side."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodbench.measure.summary import spread
from oodbench.records import ModelRecord, Record
from oodbench.report.board import Board
from oodbench.report.layout import averaged
from oodbench.report.markdown import NONE, link, mean_and_std, plainly, table
from oodbench.report.reported import MEAN, NUMBERS, Reported
from oodbench.report.section import PLAIN

LEAST = 4
"""Fewest values that make a sweep rather than a pair of variants."""

KINDS = {"ood": "OOD", "adversarial": "Attacks", "misclassification": "Misclassifications", "corruption": "Corruptions"}

PRINTED = ("bits_per_dim", "accuracy", "oce", "auroc")
"""What papers print of a sweep; of AUROC the mean over sets."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A field of a recipe, and the records of each of its values.

    Attributes:
        recipe: The recipe's name.
        field: What differs.
        values: Each value, the method that stands for it and its records, from the smallest value up.
    """

    recipe: str
    field: str
    values: Sequence[tuple[Any, str, Sequence[Record]]]


def sweeps(board: Board) -> list[Sweep]:
    """Return the sweeps of a matrix: recipes of one name whose parameters differ in a single field."""
    by_recipe: dict[str, dict[str, list[Record]]] = {}
    for record in board.records:
        if record.status == "ok":
            by_recipe.setdefault(str(record.recipe["name"]), {}).setdefault(record.method, []).append(record)
    found = (_sweep(name, by_method) for name, by_method in by_recipe.items())
    return [one for one in found if one is not None]


def _sweep(name: str, by_method: dict[str, list[Record]]) -> Sweep | None:
    first = {method: records[0].recipe for method, records in by_method.items()}
    fields = dict.fromkeys(field for recipe in first.values() for field in recipe)
    differing = [field for field in fields if len({_text(recipe.get(field)) for recipe in first.values()}) > 1]
    if len(differing) != 1:
        return None
    (field,) = differing
    standing: dict[str, tuple[Any, str, Sequence[Record]]] = {}
    for method in sorted(by_method, key=len):  # of several detectors on one model, that with the plainest name
        value = first[method].get(field)
        standing.setdefault(_text(value), (value, method, by_method[method]))
    if len(standing) < LEAST:
        return None
    return Sweep(name, field, sorted(standing.values(), key=lambda one: _size(one[0])))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _size(value: Any) -> tuple[float, str]:
    try:
        return float(value), ""  # "inf" too
    except (TypeError, ValueError):
        return float("inf"), str(value)


@dataclass(frozen=True, eq=False)
class Point:
    """What was measured at one value, a number a seed: bits per dimension, accuracy, OCE; mean AUROC by failure."""

    value: Any
    method: str
    bits: Sequence[float]
    accuracy: Sequence[float]
    oce: Sequence[float]
    auroc: Mapping[str, Sequence[float]]


def points(sweep: Sweep, board: Board) -> list[Point]:
    """Return the numbers of a sweep; accuracy and OCE of models that classify alone."""
    plain = {record.seed: record.model for record in board.records if record.recipe["name"] == PLAIN}
    return [_point(value, method, records, plain, board) for value, method, records in sweep.values]


def _point(value: Any, method: str, records: Sequence[Record], plain: Mapping[int, ModelRecord], board: Board) -> Point:
    own = [record.model for record in records if record.model != plain.get(record.seed)]
    aurocs: dict[str, Sequence[float]] = {
        section.failure: section.by_seed("auroc", method, averaged(section.columns))
        for section in board.sections
        if method in section.entries
    }
    bits = [record.bits_per_dimension["test"] for record in records if "test" in record.bits_per_dimension]
    accuracy = [one.accuracy for one in own if one.accuracy is not None]
    return Point(value, method, bits, accuracy, [one.oce for one in own if one.oce is not None], aurocs)


def sweep_table(sweep: Sweep, board: Board) -> str:
    """Return a row a value: bits per dimension of the test images, accuracy, OCE, and mean AUROC by failure."""
    headers = [f"`{sweep.field}`", "Method", "Bits per dimension ↓", "Accuracy ↑", "OCE ↓"]
    headers += [f"{KINDS[section.failure]} AUROC ↑" for section in board.sections]
    rows = []
    for one in points(sweep, board):
        aurocs = [mean_and_std(spread(one.auroc.get(section.failure, ()))) for section in board.sections]
        own = [plainly(spread(one.bits), 2), mean_and_std(spread(one.accuracy)), plainly(spread(one.oce), 2)]
        rows.append([str(one.value), f"`{one.method}`", *own, *aurocs])
    return table(headers, rows, ("Method",))


def reported_sweep(sweep: Sweep, reported: Iterable[Reported]) -> str | None:
    """Return what papers print of the same methods, whatever their in-set; None if nothing."""
    methods = [method for _, method, _ in sweep.values]
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in reported:
        whole = one.out_set is None or one.out_set == MEAN
        if one.method in methods and one.metric in PRINTED and whole and one.value is not None:
            key = one.method, one.in_set, link(one.short.split(",")[0], one.paper.url)
            value = one.value if one.metric in NUMBERS else 100 * one.value
            cells.setdefault(key, {})[one.metric] = f"{value:.{one.places}f}" + (" (doubtful)" if one.doubt else "")
    headers = ["Method", "In-set", "Bits per dimension", "Accuracy", "OCE", "Mean AUROC", "Source"]
    ordered = sorted(cells, key=lambda key: (methods.index(key[0]), key))
    rows = [[f"`{m}`", s, *(cells[m, s, at].get(metric, NONE) for metric in PRINTED), at] for m, s, at in ordered]
    return table(headers, rows, ("Method", "In-set", "Source")) if rows else None
