"""What a run prints when it is done: its ranking in plain text, and where everything lies."""

from collections.abc import Sequence
from pathlib import Path

from oodbench.measure.kinds import averaged
from oodbench.report.entries import collect
from oodbench.report.leaderboard import write
from oodbench.report.markdown import mean_and_std
from oodbench.report.numbers import RANKED_BY, RANKINGS, keep, numbers
from oodbench.report.pages import scale_said
from oodbench.report.rank_table import ranks_said
from oodbench.report.standings import Standings, matrices_of
from oodbench.report.tables import BEHIND, accuracy_text
from oodbench.shown import Page, Prose, Table


def summary(results: Path, matrix: str, leaderboard: Path | None = None) -> Page:
    """Return the ranking of one matrix by kind of failure; write the leaderboard of `results` too, if a path is given.

    Raises:
        BadRecord: As `oodbench.report.leaderboard.leaderboard`.
    """
    parts: list[str | Table] = []
    ranked: list[dict[str, object]] = []
    entries = collect(results, matrix)
    found = numbers(results, entries)
    keep(results, found, matrix)
    for one in matrices_of(entries, found):
        for standings in one.kinds:
            parts += [*_ranking(standings), ""]
            ranked.append({"kind": standings.kind.name, "rows": _rows(standings)})
        if any(standings.falls_behind(method) for standings in one.kinds for method in standings.entries):
            parts += [f"{BEHIND} more than 2 points less accurate than the plain classifier at the same seeds.", ""]
        said = scale_said(one.card, one.scale)
        parts += [said.replace("*", ""), ""] if said else []
        if one.gaps:
            parts += [f"Not measured: {len(one.gaps)} (the page of the matrix gives the reasons).", ""]
    where = [f"records and scores: {results / matrix}"]
    if leaderboard:
        write(results, leaderboard)
        where.append(f"leaderboard:        {leaderboard}")
    data = {"matrix": matrix, "folder": results / matrix, "leaderboard": leaderboard, "ranked": ranked}
    return Page(*parts, *where, data=data)


def _ranking(standings: Standings) -> tuple[str | Table, ...]:
    headers = ["rank", "method", *(standings.kind.heading(metric) for metric in RANKINGS), "accuracy"]
    sets = averaged(standings.columns)
    rows = [
        [rank, method, *_means(standings, method, sets), accuracy_text(standings, method)]
        for method, rank in standings.ranks.items()
    ]
    title = (
        f"{standings.kind.title} (`{standings.kind.name}`), mean over {len(sets)} set{'s' * (len(sets) > 1)}, percent"
    )
    aligned = ("right", "left", *["right"] * (len(RANKINGS) + 1))
    said = Prose(ranks_said(standings, (RANKED_BY,)).replace("**", ""))
    return title, said, Table(headers, rows, aligned, name=1)


def _rows(standings: Standings) -> list[dict[str, object]]:
    """Return the ranking as numbers: metrics are means over sets, a seed each."""
    sets = averaged(standings.columns)
    return [
        {
            "rank": rank,
            "method": method,
            **{metric: standings.over_sets(metric, method, sets) for metric in RANKINGS},
            "accuracy": standings.accuracy(method),
        }
        for method, rank in standings.ranks.items()
    ]


def _means(standings: Standings, method: str, sets: Sequence[str]) -> list[str]:
    return [mean_and_std(standings.over_sets(metric, method, sets)) for metric in RANKINGS]
