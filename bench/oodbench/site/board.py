"""The page of a matrix and kind of failure: its rows, what they may be filtered by, and the data it loads on demand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from oodbench.measure.metrics import METRICS
from oodbench.report.families import FAMILIES, family_of
from oodbench.report.ids import MEAN, row_version
from oodbench.report.members import shares_members
from oodbench.report.numbers import RANKED_BY, RANKINGS
from oodbench.report.pages import scale_said
from oodbench.report.paper_numbers import as_printed, comparable, ours
from oodbench.report.rank_table import ranks_said
from oodbench.report.reported import Reported
from oodbench.report.standings import MatrixResults, Standings
from oodbench.report.tables import SEVERAL, accuracy_text, passes_text, rank_and_mean, rank_heading
from oodbench.site import addresses
from oodbench.site.cells import Cell, bars, cells, choices, metrics_shown
from oodbench.site.costs import AXES, Costs, fronts
from oodbench.site.pairs import paired
from oodbench.site.render import page
from oodbench.site.script import script, short, shown


class Rank(NamedTuple):
    """A rank: as tables have it, its place and interval as shares of the table, and whether it may be the best."""

    text: str
    place: int | None = None
    low: int | None = None
    high: int | None = None
    may_be_best: bool = False


class Line(NamedTuple):
    """A row of a board.

    Attributes:
        method: Its name.
        title: For people.
        ranks: By metric.
        numbers: Means over all sets, by metric.
        seeds: How many it has.
        accuracy: Of the classifier that it judges.
        family: What it is built on.
        tuned: The most telling held-out data that it saw.
        labels: Whether its fit reads labels.
        passes: That one input costs.
        version: In its id.
        costs: In numbers.
        earlier: What has changed since an earlier version of the method made the row; else nothing.
    """

    method: str
    title: str
    ranks: Mapping[str, Rank]
    numbers: Mapping[str, Cell]
    seeds: int
    accuracy: str
    family: str
    tuned: str
    labels: str
    passes: str
    version: str
    costs: Costs
    earlier: str


class Printed(NamedTuple):
    """A paper's number beside ours."""

    method: str
    set: str
    metric: str
    here: str
    paper: str
    network: str
    tuned: str
    convention: str
    source: str
    url: str | None


def lines(standings: Standings, of: Mapping[str, Costs], earlier: Mapping[str, str]) -> list[Line]:
    """Return the rows of a board, in the order of its ranks."""
    places = {metric: {one.method: one for one in standings.ranked_by[metric]} for metric in RANKINGS}
    made = []
    for method in standings.ranks:
        records = standings.records(method)
        ranks = {}
        for metric in RANKINGS:
            text, _ = rank_and_mean(standings, metric, method)
            one = places[metric].get(method)
            ranks[metric] = Rank(text, one.place, one.low, one.high, one.may_be_best) if one else Rank(text)
        numbers = {metric: cells(standings, metric, method)[MEAN] for metric in RANKINGS}
        made.append(
            Line(
                method,
                records[0].title,
                ranks,
                numbers,
                len(records),
                accuracy_text(standings, method),
                family_of(method),
                records[0].tuning_access,
                "yes" if records[0].fits_on_labels else "no",
                passes_text(records),
                row_version(records) or SEVERAL,
                of[method],
                earlier.get(method, ""),
            )
        )
    return made


def board(
    matrix: MatrixResults,
    standings: Standings,
    found: Sequence[Line],
    of: Mapping[str, Costs],
    papers: Sequence[Printed],
) -> str:
    """Return the page.

    Args:
        matrix: What it is of.
        standings: On one kind of failure.
        found: Its rows.
        of: Their costs.
        papers: The papers' numbers beside them.
    """
    address = addresses.board(matrix.name, standings.kind.name)
    seen = {family: what for family, what in FAMILIES.items() if any(line.family == family for line in found)}
    return page(
        "board.html",
        address,
        matrix=matrix,
        standings=standings,
        kind=standings.kind,
        kinds=matrix.kinds,
        lines=found,
        ranked=len(standings.ranked),
        best=[one.method for one in standings.ranked if one.may_be_best],
        ranks_said=ranks_said(standings),
        scale_said=scale_said(matrix.card, matrix.scale),
        metrics=[(metric, standings.kind.heading(metric), METRICS[metric]) for metric in metrics_shown(standings)],
        choices=choices(standings),
        ranked_by=RANKED_BY,
        others=[metric for metric in RANKINGS if metric != RANKED_BY],
        rank_heading=rank_heading,
        families=seen,
        tuned=list(dict.fromkeys(line.tuned for line in found)),
        bars_said=bars([{MEAN: line.numbers[RANKED_BY]} for line in found], MEAN),
        axes=AXES,
        fronts=fronts(standings, of),
        printed=papers,
        how=_how(matrix),
        addresses=addresses,
        shared={line.method for line in found if shares_members(standings.records(line.method))},
        groups=_groups(standings),
    )


def printed(matrix: MatrixResults, standings: Standings, reported: Sequence[Reported]) -> list[Printed]:
    """Return the papers' numbers of a board's rows, sets and metrics, each with what was measured here."""
    return [_printed(standings, one) for one in comparable(standings, matrix.in_set, reported)]


def _printed(standings: Standings, one: Reported) -> Printed:
    name, measured = ours(standings, one)
    what = one.method, name, standings.kind.heading(one.metric), measured, as_printed(one)
    return Printed(*what, one.network, one.tuning, one.convention, one.short, one.paper.url)


def _how(matrix: MatrixResults) -> str:
    return "as given" if matrix.card and matrix.card.model else f"scale {matrix.scale}"


def _groups(standings: Standings) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for column in standings.columns:
        found.setdefault(column.group, []).append(column.name)
    return found


def data(standings: Standings) -> Iterator[tuple[str, str]]:
    """Yield address and text of each file that a board loads on demand: metrics by set, and rows against others."""
    matrix, kind = standings.matrix, standings.kind.name
    for metric in metrics_shown(standings):
        rows = {method: cells(standings, metric, method) for method in standings.ranks}
        content = {
            "heading": standings.kind.heading(metric),
            "higher": METRICS[metric].higher_is_better,
            "bars": {one.name: bars(list(rows.values()), one.name) for one in choices(standings)},
            "rows": {
                method: {name: _packed(cell) for name, cell in of.items() if cell.value is not None}
                for method, of in rows.items()
            },
        }
        address = addresses.metric_data(matrix, kind, metric)
        yield address, script(address, content)
    differences = {metric: paired(standings, metric) for metric in RANKINGS}
    for method in dict.fromkeys(method for of in differences.values() for method in of):
        content = {
            metric: {other: [*map(_shown, pair[:3]), *map(short, pair[3:])] for other, pair in of[method].items()}
            for metric, of in differences.items()
        }
        address = addresses.pairs_data(matrix, kind, method)
        yield address, script(address, content)


def _shown(share: float | None) -> float | None:
    return None if share is None else shown(share)


def _packed(cell: Cell) -> list[Any]:
    numbers = [short(one) for one in (cell.value, cell.low, cell.high) if one is not None]
    return [cell.text, *numbers]
