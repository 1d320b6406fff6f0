"""`oodbench changes A B`: what happened to the leaderboard between two releases, row by row, with reasons.

Nothing is measured: reasons are what the records of both sides say of themselves (versions, parameters, data, models,
code, machine), and what `results/superseded.toml` says of a method. A field of a record that nobody has sorted into
reasons, or into what is no reason, fails a test.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from oodbench.compare.operands import RECORDS, Side, opened
from oodbench.errors import BadSetting
from oodbench.records import Record
from oodbench.report.entries import Entry
from oodbench.report.ids import row_version
from oodbench.report.rank_table import FILE as RANKS
from oodbench.report.superseded import superseded
from oodbench.shown import Markdown, Page

CAUSES: Mapping[str, str] = {
    "versions": "version",
    "parameters": "parameters",
    "recipe": "recipe",
    "tuning_access": "tuned on",
    "fits_on_labels": "labels",
    "scale": "scale",
    "in_set": "in-set",
    "data": "data",
    "members": "members",
    "passes": "passes",
    "facts": "facts of the fit",
    "status": "status",
    "reason": "status",
    "checked": "laws that were not tried",
    "cells": "sets without scores",
    "model": "model",
    "reference": "model",
    "environment": "machine",
    "packages": "packages",
    "source_sha256": "code",
    "behaviour": "code",
    "git": "code",
    "title": "title",
    "citation": "citation",
}
"""Fields of a record that are a reason for other numbers, or news by themselves, by what a reader is told."""

NO_CAUSES = frozenset({"schema_version", "matrix", "method", "seed", "key", "scores_sha256", "adaptive"})
"""Fields that say which record it is, what follows from the others, or what is to be explained."""

FIRST = ("version", "recipe", "parameters", "tuned on", "scale", "in-set", "data", "members", "model")
"""Causes that explain other scores; those after them are told where none of these is there."""


Ranks = Mapping[tuple[str, str], Mapping[tuple[str, str], int]]
"""Places by matrix and row, by kind and metric."""


@dataclass(frozen=True)
class Change:
    """What happened to a row, or to a matrix.

    Attributes:
        matrix: The matrix.
        row: The row; "" for the matrix itself.
        what: "added", "removed", "new version", "made again", "seeds", or "described anew".
        why: Reasons.
        ranks: What became of its ranks, by kind and metric.
    """

    matrix: str
    row: str
    what: str
    why: str
    ranks: tuple[str, ...] = ()


def changes(before: str, after: str, results: Path = Path("results"), folder: Path | None = None) -> Page:
    """Return the changelog of the leaderboard between two folders of results or two commits, in Markdown.

    Raises:
        BadSetting: A side is neither a folder nor a commit.
        BadRecord: A record is broken.
    """
    with ExitStack() as sides:
        a, b = (sides.enter_context(opened(said, results, folder=folder, read=RECORDS)) for said in (before, after))
        if "row" in (a.what, b.what):
            raise BadSetting(f"{before}, {after}: a changelog is of two folders of results, or of two commits")
        changed = list(found(a, b))
        data = {"before": before, "after": after, "changes": changed}
        return Page(Markdown(as_markdown(before, after, changed)), data=data)


def found(a: Side, b: Side) -> Iterator[Change]:
    """Yield what happened from one side to the other, by matrix."""
    old, new = ({matrix for matrix, _ in side.rows} for side in (a, b))
    for matrix in sorted(new - old):
        rows = sum(one == matrix for one, _ in b.rows)
        yield Change(matrix, "", "added", f"{rows} rows")
    for matrix in sorted(old - new):
        rows = sum(one == matrix for one, _ in a.rows)
        yield Change(matrix, "", "removed", f"it had {rows} rows")
    old_ranks, new_ranks = _ranks(a.results), _ranks(b.results)
    ranks = ({}, {}) if old_ranks is None or new_ranks is None else (old_ranks, new_ranks)
    said = superseded(a.results), superseded(b.results)
    for matrix, row in sorted(key for key in a.rows.keys() | b.rows.keys() if key[0] in old & new):
        before, after = (side.rows.get((matrix, row), {}) for side in (a, b))
        moved = _moved(*(one.get((matrix, row), {}) for one in ranks))
        if not before or not after:
            yield Change(matrix, row, "added" if after else "removed", _whole(after or before), moved)
            continue
        explained = [one[matrix][row] for one in said if row in one.get(matrix, {})]
        if (change := _of_row(matrix, row, before, after, explained, moved)) is not None:
            yield change


def _whole(entries: Mapping[int, Entry]) -> str:
    records = [entry.record for entry in entries.values()]
    lacking = sorted({f"{one.status}: {one.reason}" for one in records if one.status != "ok"})
    version = row_version(records)
    return "; ".join([f"version {version or 'mixed'}, seeds {_numbers(sorted(entries))}", *lacking])


def _of_row(
    matrix: str,
    row: str,
    before: Mapping[int, Entry],
    after: Mapping[int, Entry],
    explained: Sequence[str],
    moved: tuple[str, ...],
) -> Change | None:
    """Return what happened to a row that both sides have; None of one that is the same."""
    reasons: list[str] = []
    if gone := sorted(before.keys() - after.keys()):
        reasons.append(f"without seeds {_numbers(gone)}")
    if new := sorted(after.keys() - before.keys()):
        reasons.append(f"with seeds {_numbers(new)}")
    both = [(before[seed].record, after[seed].record) for seed in sorted(before.keys() & after.keys())]
    causes = _causes(both)
    versions = [row_version([entry.record for entry in side.values()]) or "mixed" for side in (before, after)]
    scores = any(old.scores_sha256 != new.scores_sha256 for old, new in both)
    outcomes = any(_sha(before[seed]) != _sha(after[seed]) for seed in before.keys() & after.keys())
    told = [f"{cause}: {what}" for cause, what in causes.items() if cause in FIRST] or [
        f"{cause}: {what}" for cause, what in causes.items()
    ]
    if versions[0] != versions[1]:
        return Change(matrix, row, f"version {versions[0]} → {versions[1]}", _because(told, explained, reasons), moved)
    if scores or outcomes:
        why = _because(told or ["nothing that records say"], explained, reasons)
        return Change(matrix, row, "other scores", why, moved)
    if reasons:
        return Change(matrix, row, "seeds", "; ".join(reasons), moved)
    shown = [f"{cause}: {causes[cause]}" for cause in ("title", "citation", "status", "tuned on") if cause in causes]
    return Change(matrix, row, "described anew", "; ".join(shown), moved) if shown else None


def _because(told: Sequence[str], explained: Sequence[str], reasons: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys([*told, *explained, *reasons]))


def _causes(both: Sequence[tuple[Record, Record]]) -> dict[str, str]:
    """Return what differs between records of the same seeds, by cause, in the order of `CAUSES`."""
    causes: dict[str, str] = {}
    for field, cause in CAUSES.items():
        for old, new in both:
            here, there = getattr(old, field), getattr(new, field)
            if here != there:
                causes.setdefault(cause, _difference(field, here, there))
    return causes


def _difference(field: str, here: object, there: object) -> str:
    """Return how a field differs: what of a mapping, or both values where they are short."""
    if field == "git":
        return "commits differ"
    old, new = (one.model_dump() if isinstance(one, BaseModel) else one for one in (here, there))
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        return ", ".join(_named(name, old.get(name), new.get(name)) for name in names)
    return _named("", old, new)


def _named(name: str, here: object, there: object) -> str:
    values = [str(one) for one in (here, there)]
    label = f"{name} " if name else ""
    short = all(len(value) <= LONGEST for value in values)
    return f"{label}{values[0]} → {values[1]}" if short else (name or "differs")


LONGEST = 40
"""Of a value that is shown."""


def _sha(entry: Entry) -> str | None:
    return entry.outcomes.sha256 if entry.outcomes else None


def _ranks(results: Path) -> Ranks | None:
    """Return the places that `ranks.csv` has; None without such a file."""
    path = results / RANKS
    if not path.is_file():
        return None
    places: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["place"]:
                key = line["matrix"], line["method"]
                places.setdefault(key, {})[line["kind"], line["metric"]] = int(line["place"])
    return places


def _moved(old: Mapping[tuple[str, str], int], new: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    keys = dict.fromkeys([*old, *new])
    shown = [(key, old.get(key, "none"), new.get(key, "none")) for key in keys if old.get(key) != new.get(key)]
    return tuple(f"{kind} by {metric}: {before} → {after}" for (kind, metric), before, after in shown)


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def as_markdown(before: str, after: str, happened: Sequence[Change]) -> str:
    """Return the changelog: a section a matrix, matrices that came and went first."""
    parts = [f"# Leaderboard, `{before}` → `{after}`"]
    whole = [one for one in happened if not one.row]
    parts += [f"- Matrix `{one.matrix}` {one.what}: {one.why}." for one in whole]
    rows = [one for one in happened if one.row]
    if not happened:
        parts.append("Nothing has changed.")
    for matrix in dict.fromkeys(one.matrix for one in rows):
        lines = [
            f"- `{one.row}` {one.what}: {one.why}." + (f" Ranks: {'; '.join(one.ranks)}." if one.ranks else "")
            for one in rows
            if one.matrix == matrix
        ]
        parts.append(f"## {matrix}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"
