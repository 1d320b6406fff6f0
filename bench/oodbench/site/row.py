"""The page of a row: its ranks and numbers on each kind of failure, its curves, where it comes from, how to cite it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from oodbench import listed
from oodbench.given import method_of
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING
from oodbench.records import ModelRecord, Record, command
from oodbench.report.cite import bibtex
from oodbench.report.entries import Entry
from oodbench.report.families import family_of
from oodbench.report.ids import Id, row_id
from oodbench.report.members import NOTE, shares_members
from oodbench.report.pages import rank_of
from oodbench.report.standings import MatrixResults, Standings
from oodbench.report.tables import further_metrics, passes_text
from oodbench.site import addresses
from oodbench.site.board import Printed
from oodbench.site.cells import Cell, Choice, cells, choices
from oodbench.site.costs import cost_of
from oodbench.site.render import page


class Fact(NamedTuple):
    """Something that is known of where a row comes from; `code` says whether it is a name or a hash."""

    name: str
    value: str
    code: bool = False


class Heat(NamedTuple):
    """The numbers of a row on one kind of failure: a line a set or mean, a column a metric.

    Attributes:
        standings: Of the kind.
        ranks: In words.
        headings: Of the columns.
        lines: What a line is of, and its numbers, each with how good it is in [0, 1].
    """

    standings: Standings
    ranks: str
    headings: Sequence[str]
    lines: Sequence[tuple[Choice, Sequence[tuple[Cell, float | None]]]]


def row(
    matrix: MatrixResults,
    method: str,
    printed: Sequence[tuple[Standings, Sequence[Printed]]],
    earlier: str,
    elsewhere: Sequence[tuple[str, str]],
) -> str:
    """Return the page of a row.

    Args:
        matrix: What it is of.
        method: Its name.
        printed: The papers' numbers of all rows, by kind of failure.
        earlier: What has changed since an earlier version of the method made it; else nothing.
        elsewhere: Other rows of the method, each by matrix and name.
    """
    entries = [entry for entry in matrix.entries if entry.record.method == method]
    records = [entry.record for entry in entries]
    kinds = [one for one in matrix.kinds if method in one.entries]
    first, id_ = records[0], row_id(records)
    line = next((line for line in listed.rows() if line.name == method_of(method)), None)
    papers = [(one, own) for one, of in printed if (own := [number for number in of if number.method == method])]
    return page(
        "row.html",
        addresses.row(matrix.name, method),
        matrix=matrix,
        method=method,
        record=first,
        records=records,
        row_id=str(id_) if id_ else "",
        family=family_of(method),
        about=_about(line),
        heats=[_heat(one, method) for one in kinds],
        facts=list(_facts(entries)),
        parameters=list(_parameters(records)),
        data=_data(records),
        bibtex=bibtex(id_ or Id(matrix.name, method), matrix),
        command=_command(records),
        papers=papers,
        gaps=[one for one in matrix.gaps if method in one.methods],
        note=NOTE if shares_members(records) else "",
        earlier=earlier,
        elsewhere=elsewhere,
        addresses=addresses,
        data_address=addresses.row_data(matrix.name, method) if drawn(entries) else "",
    )


def drawn(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry whose curves are drawn: the one with scores at the lowest seed."""
    scored = [entry for entry in entries if entry.record.scores_sha256 is not None]
    return min(scored, key=lambda entry: entry.record.seed, default=None)


def _heat(standings: Standings, method: str) -> Heat:
    metrics = [*RANKING, *further_metrics(standings)]
    by_metric = {metric: cells(standings, metric, method) for metric in metrics}
    lines = [
        (
            choice,
            [(by_metric[metric][choice.name], _goodness(metric, by_metric[metric][choice.name])) for metric in metrics],
        )
        for choice in choices(standings)
    ]
    return Heat(standings, rank_of(standings, method), [standings.kind.heading(metric) for metric in metrics], lines)


def _goodness(metric: str, cell: Cell) -> float | None:
    """Return how good a number is, 1 for the best that there can be."""
    if cell.value is None:
        return None
    found = METRICS[metric]
    share = (cell.value - found.lowest) / (found.highest - found.lowest)
    return share if found.higher_is_better else 1 - share


def _about(line: listed.Line | None) -> list[str]:
    """Return the paragraphs of a method's docstring; nothing of a method that is not in this repository."""
    return [part for part in listed.docstring(line.module).split("\n\n") if part.strip()] if line else []


def _command(records: Sequence[Record]) -> str:
    """Return the command that makes a row again, all seeds."""
    seeds = " ".join(str(record.seed) for record in records)
    return f"{command(records[0]).rpartition(' ')[0]} {seeds}"


def _facts(entries: Sequence[Entry]) -> Iterator[Fact]:
    """Yield where a row comes from; what differs between seeds is listed."""
    records = [entry.record for entry in entries]
    first = records[0]
    yield Fact("Tuned on", first.tuning_access)
    yield Fact("Its fit reads labels", "yes" if first.fits_on_labels else "no")
    yield Fact("Seeds", _listed(record.seed for record in records))
    yield Fact("Passes an input", passes_text(records))
    yield from _models(entries)
    yield Fact("Versions", _listed(f"{name} {number}" for name, number in sorted(first.versions.items())))
    commits = (f"{(one.git.commit or 'unknown')[:10]}{' (changed)' if one.git.dirty else ''}" for one in records)
    yield Fact("Code at commit", _listed(commits), code=True)
    yield Fact("Source, sha256", _listed(record.source_sha256[:16] for record in records), code=True)
    yield Fact("Scores, sha256", _listed((record.scores_sha256 or "none")[:16] for record in records), code=True)
    yield Fact("Made on", _listed(record.environment.machine or record.environment.device for record in records))
    yield Fact("Forward passes", _listed(record.environment.dtype for record in records))
    yield Fact("Python", _listed(f"{one.environment.python}, {one.environment.platform}" for one in records))
    packages = dict.fromkeys(f"{name} {one}" for record in records for name, one in sorted(record.packages.items()))
    yield Fact("Packages", _listed(packages))
    known = [cost for entry in entries if (cost := cost_of(entry))]
    if known:
        spent = [f"{sum(cost.cpu_seconds.values()) + sum(cost.gpu_seconds.values()):,.0f} s" for cost in known]
        yield Fact("Processor time a seed, with its models", _listed(spent))
        yield Fact("Peak memory", f"{max(cost.peak_memory_mb for cost in known):,.0f} MB")


def _models(entries: Sequence[Entry]) -> Iterator[Fact]:
    models = dict.fromkeys(entry.model.name for entry in entries if entry.model)
    references: list[ModelRecord] = [entry.reference for entry in entries if entry.reference]
    if models:
        yield Fact("Model that is scored", _listed(models), code=True)
    if references:
        yield Fact("Judged on the errors of", _listed(one.name for one in references), code=True)
        known = [one.quality.accuracy for one in references if one.quality.accuracy is not None]
        yield Fact("Its accuracy by seed, percent", _listed([f"{100 * one:.2f}" for one in known]))


def _parameters(records: Sequence[Record]) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and origin of each parameter."""
    first = records[0].parameters
    for origin, of in (("default", first.default), ("given", first.given)):
        yield from ((name, _shown(value), origin) for name, value in of.items())
    tuned = [record for record in records if record.parameters.chosen]
    for name in dict.fromkeys(name for record in tuned for name in record.parameters.chosen):
        values = [
            f"{_shown(one.parameters.chosen.get(name))} (seed {one.seed}{', undecided' * one.parameters.undecided})"
            for one in tuned
        ]
        yield name, ", ".join(values), "tuned"
    yield "recipe", _shown(records[0].recipe), "model"


def _data(records: Sequence[Record]) -> Mapping[str, tuple[int, str, str]]:
    """Return the sets that were used: inputs, and the beginnings of the hashes of card and bytes."""
    return {
        name: (used.n, (used.card_sha256 or "none")[:12], used.data_sha256[:12])
        for record in records
        for name, used in record.data.items()
    }


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(words: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(word) for word in words)) or "none"
