"""What was judged: how good each classifier is, and how many bits each density spends on every set."""

import json
from collections.abc import Callable, Iterable

from oodbench.measure.summary import Spread, spread
from oodbench.records import Record
from oodbench.report.beside import known_as
from oodbench.report.board import Board
from oodbench.report.markdown import NONE, link, mean_and_std, plainly, table
from oodbench.report.reported import Reported

SHARES = {"accuracy": "Accuracy ↑", "ece_15": "ECE ↓"}
"""Printed in percent."""

RATIOS = {"oce": "OCE ↓", "nll": "NLL ↓"}
"""Printed as they are: overconfidence error, and nats."""

IN_SET = ("train", "validation", "test")
"""The parts of the in-set, in the order that they are shown."""


def model_table(board: Board) -> str:
    """Return accuracy and calibration of every classifier, and the methods that judge it.

    A density that does not classify stands with the plain classifier, whose misclassifications it is asked about.
    """
    headers = ["Classifier", "Parameters", *SHARES.values(), *RATIOS.values(), "Judged by"]
    rows = []
    for records in _alike(board.records, lambda record: record.model.model_dump_json()):
        first = min(records, key=lambda record: bool(record.bits_per_dimension))
        own = _one_a_seed(records)
        size = f"{first.model.parameters:,}" if first.model.parameters else NONE
        shares = [mean_and_std(_spread(own, name)) for name in SHARES]
        ratios = [plainly(_spread(own, name), 3) for name in RATIOS]
        rows.append([str(first.recipe["name"]), size, *shares, *ratios, _methods(records)])
    return table(headers, rows, ("Classifier", "Judged by"))


def bits_table(board: Board) -> str | None:
    """Return the mean bits per dimension of every set under each density; None where there is no density."""
    dense = [record for record in board.records if record.bits_per_dimension]
    known = sorted({name for record in dense for name in record.bits_per_dimension})
    sets = [*(name for name in IN_SET if name in known), *(name for name in known if name not in IN_SET)]
    rows = []
    for records in _alike(dense, lambda record: json.dumps(record.bits_per_dimension)):
        bits = [record.bits_per_dimension for record in _one_a_seed(records)]
        cells = [spread([each[name] for each in bits if name in each]) for name in sets]
        rows.append([_methods(records), *(plainly(cell, 3) for cell in cells)])
    return table(["Density", *sets], rows, ("Density",)) if rows else None


def reported_bits(board: Board, reported: Iterable[Reported]) -> str | None:
    """Return the bits per dimension that papers print for densities of the same in-set; None if none does."""
    methods = {record.method for record in board.records if record.bits_per_dimension}
    rows = [
        [f"`{one.method}`", one.out_set or one.split, f"{one.value:.{one.places}f}", one.network, _source(one)]
        for one in reported
        if one.metric == "bits_per_dim"
        and one.in_set in known_as(board.in_set)
        and one.method in methods
        and one.value is not None
    ]
    words = ("Density", "Set", "Bits per dimension", "Network", "Source")
    return table(words, rows, words) if rows else None


def _alike(records: Iterable[Record], key: Callable[[Record], str]) -> list[list[Record]]:
    """Return records in groups of methods: those whose first seeds have one key stand on one model."""
    by_method: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "ok":
            by_method.setdefault(record.method, []).append(record)
    groups: dict[str, list[Record]] = {}
    for own in by_method.values():
        groups.setdefault(key(own[0]), []).extend(own)
    return list(groups.values())


def _one_a_seed(records: Iterable[Record]) -> list[Record]:
    return list({record.seed: record for record in records}.values())


def _methods(records: Iterable[Record]) -> str:
    return ", ".join(f"`{method}`" for method in dict.fromkeys(record.method for record in records))


def _spread(records: Iterable[Record], name: str) -> Spread | None:
    values = [getattr(record.model, name) for record in records]
    return spread([value for value in values if value is not None])


def _source(one: Reported) -> str:
    return link(one.short, one.paper.url) + (f" (doubtful: {one.doubt})" if one.doubt else "")
