"""What was judged: how good each classifier is, what each density spends on every set, what one setting changes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from oodbench.data.matrix import Matrix
from oodbench.given import Weights
from oodbench.measure.kinds import Column, averaged
from oodbench.measure.summary import Spread, spread
from oodbench.records import ModelRecord
from oodbench.report.entries import Entry
from oodbench.report.markdown import NONE, link, mean_and_std, plainly, table
from oodbench.report.numbers import BASELINE
from oodbench.report.reported import MEAN, NUMBERS, Reported, known_as
from oodbench.report.sets import joined, split
from oodbench.report.standings import MatrixResults
from oodbench.report.tables import Linked

SURE = "p ≥ 0.997"
"""Header of the share of predictions that OCE is about, in percent: a dash where a record does not know it."""

COLUMNS: Mapping[str, tuple[str, Callable[[Spread | None], str]]] = {
    "accuracy": ("Accuracy ↑", mean_and_std),
    "ece_15": ("ECE ↓", mean_and_std),
    "oce": ("OCE ↓", partial(plainly, places=3)),
    "oce_share": (SURE, mean_and_std),
    "nll": ("NLL ↓", partial(plainly, places=3)),
}
"""What is printed of a classifier: shares in percent; overconfidence error and nats as they are."""

IN_SET = ("train", "validation", "test")
"""The parts of the in-set, in the order that they are shown."""

LEAST = 4
"""Fewest values that make a sweep rather than a pair of variants; where they are words, the plain recipe is one."""

PRINTED = ("bits_per_dim", "accuracy", "oce", "auroc")
"""What papers print of a sweep; of AUROC the mean over sets."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A model at its seeds, and the methods that stand on it."""

    name: str
    by_seed: Mapping[int, ModelRecord]
    methods: Sequence[str]

    def spread(self, name: str) -> Spread | None:
        """Return the spread of one of its numbers over its seeds."""
        values = [getattr(one.quality, name) for one in self.by_seed.values()]
        return spread([value for value in values if value is not None])


def classifiers(matrix: MatrixResults) -> list[Judged]:
    """Return the classifiers whose errors methods are judged on, in the order of the methods."""
    return _judged((entry.record.method, entry.reference) for entry in matrix.entries)


def densities(matrix: MatrixResults) -> list[Judged]:
    """Return the models that have bits per dimension, in the order of the methods."""
    known = ((entry.record.method, entry.model) for entry in matrix.entries)
    return _judged((method, model) for method, model in known if model and model.bits_per_dimension)


def _judged(used: Iterable[tuple[str, ModelRecord | None]]) -> list[Judged]:
    models: dict[str, dict[int, ModelRecord]] = {}
    methods: dict[str, dict[str, None]] = {}
    for method, model in used:
        if model is not None:
            models.setdefault(model.name, {})[model.seed] = model
            methods.setdefault(model.name, {})[method] = None
    return [Judged(name, by_seed, list(methods[name])) for name, by_seed in models.items()]


def model_table(matrix: MatrixResults, linked: Linked) -> str:
    """Return accuracy and calibration of every classifier, and the methods that judge it.

    A density that does not classify stands with the plain classifier, whose misclassifications it is asked about.
    """
    headers = ["Classifier", "Parameters", *(header for header, _ in COLUMNS.values()), "Judged by"]
    rows = []
    for one in classifiers(matrix):
        first = next(iter(one.by_seed.values())).quality
        size = f"{first.parameters:,}" if first.parameters else NONE
        cells = [printed(one.spread(name)) for name, (_, printed) in COLUMNS.items()]
        rows.append([f"`{one.name}`", size, *cells, ", ".join(map(linked, one.methods))])
    return table(headers, rows, ("Classifier", "Judged by"))


def given_said(card: Matrix | None) -> list[str]:
    """Return who made the classifiers that a matrix is given, and which weights these are; nothing if it trains."""
    words = ("Given classifier", "Network", "Weights", "sha256", "Licence", "Made by")
    rows = [
        [f"`{one.name}`", f"`{one.network}`", _weights(weights), _which(weights), one.licence, one.citation]
        for one in (card.model if card else ())
        for weights in one.weights
    ]
    return [table(words, rows, words)] if rows else []


def _weights(weights: Weights) -> str:
    return link(weights.name, weights.url) if weights.url else weights.name


def _which(weights: Weights) -> str:
    """Return how a file's sha256 begins; where nobody has published it, each record has its own file's."""
    return weights.sha256[:16] if weights.sha256 else "not published; in the records"


def bits_table(matrix: MatrixResults, linked: Linked) -> str | None:
    """Return the mean bits per dimension of every set under each density; None where there is no density."""
    dense = densities(matrix)
    known = {name for one in dense for model in one.by_seed.values() for name in model.bits_per_dimension}
    groups = {column.name: column.group for standings in matrix.kinds for column in standings.columns}
    ordered = [name for name in dict.fromkeys((*IN_SET, *groups, *sorted(known))) if name in known]
    tables = split([Column(name, "in-set" if name in IN_SET else groups.get(name, "others")) for name in ordered])
    return (
        joined(((group, _bits(dense, [one.name for one in sets], linked)) for group, sets in tables.items()), "####")
        or None
    )


def _bits(dense: Sequence[Judged], sets: Sequence[str], linked: Linked) -> str:
    """Return a row a density, a column a set; the methods that judge it stand beside the in-set."""
    judged = IN_SET[-1] in sets
    rows = []
    for one in dense:
        bits = [model.bits_per_dimension for model in one.by_seed.values()]
        cells = [spread([each[name] for each in bits if name in each]) for name in sets]
        methods = [", ".join(map(linked, one.methods))] if judged else []
        rows.append([f"`{one.name}`", *(plainly(cell, 3) for cell in cells), *methods])
    return table(["Density", *sets, *(["Judged by"] if judged else [])], rows, ("Density", "Judged by")) if rows else ""


def reported_bits(matrix: MatrixResults, reported: Iterable[Reported]) -> str | None:
    """Return the bits per dimension that papers print for densities of the same in-set; None if none does."""
    methods = {method for one in densities(matrix) for method in one.methods}
    rows = [
        [f"`{one.method}`", _of_which(one), f"{one.value:.{one.places}f}", one.network, _source(one)]
        for one in reported
        if one.metric == "bits_per_dim"
        and one.in_set in known_as(matrix.in_set)
        and one.method in methods
        and one.value is not None
    ]
    words = ("Density", "Set", "Bits per dimension", "Network", "Source")
    return table(words, rows, words) if rows else None


def _of_which(one: Reported) -> str:
    """Return the set whose bits are printed; of the in-set the part, too."""
    name = one.out_set or one.in_set
    return f"{name}, {one.split}" if name == one.in_set else name


def _source(one: Reported) -> str:
    return link(one.short, one.paper.url) + (f" (doubtful: {one.doubt})" if one.doubt else "")


@dataclass(frozen=True, eq=False)
class Sweep:
    """A field of a recipe, and what stands on each of its values.

    Attributes:
        recipe: The recipe's name.
        field: What differs.
        values: Each value, the method that stands for it and its entries, from the smallest value up. Words follow on
            none, which is the plain recipe.
    """

    recipe: str
    field: str
    values: Sequence[tuple[Any, str, Sequence[Entry]]]

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, so that a curve can be drawn over them."""
        return not any(isinstance(value, list) for value, _, _ in self.values)

    @property
    def title(self) -> str:
        """What the sweep shows."""
        if self.ordered:
            return f"What {self.field} changes in {self.recipe}"
        return f"What {', '.join(_said(value) for value, _, _ in self.values if value)} change"


@dataclass(frozen=True, eq=False)
class Point:
    """What was measured at one value, a number a seed: bits per dimension; accuracy and OCE; mean AUROC by kind."""

    value: Any
    method: str
    bits: Sequence[float]
    accuracy: Sequence[float]
    oce: Sequence[float]
    oce_share: Sequence[float]
    auroc: Mapping[str, Sequence[float]]


def sweeps(matrix: MatrixResults) -> list[Sweep]:
    """Return the sweeps of a matrix: recipes of one name whose parameters differ in a single field.

    How they are trained does not count: it is the matrix's, and differs where the field says so.
    """
    by_recipe: dict[str, dict[str, list[Entry]]] = {}
    for entry in matrix.entries:
        if entry.record.status == "ok":
            recipe, method = str(entry.record.recipe["name"]), entry.record.method
            by_recipe.setdefault(recipe, {}).setdefault(method, []).append(entry)
    plain = by_recipe.get("plain", {}).get(BASELINE, [])
    return [sweep for name, by_method in by_recipe.items() for sweep in _sweep(name, by_method, plain)]


def _sweep(name: str, by_method: Mapping[str, list[Entry]], plain: Sequence[Entry]) -> Iterator[Sweep]:
    first = {method: entries[0].record.recipe for method, entries in by_method.items()}
    fields = dict.fromkeys(field for recipe in first.values() for field in recipe if field != "training")
    differing = [field for field in fields if len({_text(recipe.get(field)) for recipe in first.values()}) > 1]
    if len(differing) != 1 or any(isinstance(recipe.get(differing[0]), dict) for recipe in first.values()):
        return  # a parameter is a number, a word or several
    (field,) = differing
    standing: dict[str, tuple[Any, str, Sequence[Entry]]] = {}
    if plain and all(isinstance(recipe.get(field), list) for recipe in first.values()):
        standing[_text([])] = ([], BASELINE, plain)
    for method in sorted(by_method, key=len):  # of several detectors on one model, that with the plainest name
        value = first[method].get(field)
        standing.setdefault(_text(value), (value, method, by_method[method]))
    if len(standing) >= LEAST:
        yield Sweep(name, field, sorted(standing.values(), key=lambda one: _size(one[0])))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _size(value: Any) -> tuple[float, str]:
    if isinstance(value, list):
        return float(len(value)), ", ".join(value)
    try:
        return float(value), ""  # "inf" too
    except (TypeError, ValueError):
        return float("inf"), str(value)


def points(sweep: Sweep, matrix: MatrixResults) -> list[Point]:
    """Return the numbers of a sweep; accuracy and OCE of models that classify alone."""
    return [_point(value, method, entries, matrix) for value, method, entries in sweep.values]


def _point(value: Any, method: str, entries: Sequence[Entry], matrix: MatrixResults) -> Point:
    models = [entry.model for entry in entries if entry.model]
    own = [entry.model.quality for entry in entries if entry.model and entry.record.model == entry.record.reference]
    aurocs: dict[str, Sequence[float]] = {
        one.kind.name: one.by_seed("auroc", method, averaged(one.columns))
        for one in matrix.kinds
        if method in one.entries
    }
    bits = [model.bits_per_dimension["test"] for model in models if "test" in model.bits_per_dimension]
    accuracy, oce, oce_share = (
        [number for one in own if (number := getattr(one, name)) is not None]
        for name in ("accuracy", "oce", "oce_share")
    )
    return Point(value, method, bits, accuracy, oce, oce_share, aurocs)


def sweep_table(sweep: Sweep, matrix: MatrixResults, linked: Linked) -> str:
    """Return a row a value: bits per dimension of the test images, accuracy, OCE, its share, mean AUROC by kind.

    A column that is empty in every row is left out.
    """
    headers = [f"`{sweep.field}`", "Method", "Bits per dimension ↓", "Accuracy ↑", "OCE ↓", SURE]
    headers += [f"{one.kind.short} AUROC ↑" for one in matrix.kinds]
    rows = []
    for one in points(sweep, matrix):
        aurocs = [mean_and_std(spread(one.auroc.get(standings.kind.name, ()))) for standings in matrix.kinds]
        own = [plainly(spread(one.bits), 2), mean_and_std(spread(one.accuracy)), plainly(spread(one.oce), 2)]
        own.append(mean_and_std(spread(one.oce_share)))
        rows.append([_said(one.value), linked(one.method), *own, *aurocs])
    kept = [place for place in range(len(headers)) if any(row[place] != NONE for row in rows)]
    return table([headers[place] for place in kept], [[row[place] for place in kept] for row in rows], ("Method",))


def _said(value: Any) -> str:
    """Return a value for people; several words as a list, none as such."""
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


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
