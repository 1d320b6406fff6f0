"""What a run prints when it is done: its ranking in plain text, and where everything lies."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from tabulate import tabulate

from oodbench.measure.kinds import averaged
from oodbench.report.entries import collect
from oodbench.report.leaderboard import write
from oodbench.report.markdown import mean_and_std
from oodbench.report.numbers import RANKED_BY, RANKINGS, keep, numbers
from oodbench.report.pages import scale_said
from oodbench.report.rank_table import ranks_said
from oodbench.report.standings import Standings, matrices_of
from oodbench.report.tables import BEHIND, accuracy_text


def summary(results: Path, matrix: str, leaderboard: Path | None = None) -> str:
    """Return the ranking of one matrix by kind of failure; write the leaderboard of `results` too, if a path is given.

    Raises:
        BadRecord: As `oodbench.report.leaderboard.leaderboard`.
    """
    parts = []
    entries = collect(results, matrix)
    found = numbers(results, entries)
    keep(results, found, matrix)
    for one in matrices_of(entries, found):
        parts += [_ranking(standings) for standings in one.kinds]
        if any(standings.falls_behind(method) for standings in one.kinds for method in standings.entries):
            parts.append(f"{BEHIND} more than 2 points less accurate than the plain classifier at the same seeds.")
        said = scale_said(one.card, one.scale)
        parts += [said.replace("*", "")] if said else []
        parts += [f"Not measured: {len(one.gaps)} (the page of the matrix gives the reasons)."] if one.gaps else []
    where = [f"records and scores: {results / matrix}"]
    if leaderboard:
        write(results, leaderboard)
        where.append(f"leaderboard:        {leaderboard}")
    return "\n\n".join([*parts, "\n".join(where)])


def _ranking(standings: Standings) -> str:
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
    said = fill(ranks_said(standings, (RANKED_BY,)).replace("**", ""), 100)
    return f"{title}\n{said}\n{tabulate(rows, headers, 'simple', colalign=aligned, disable_numparse=True)}"


def _means(standings: Standings, method: str, sets: Sequence[str]) -> list[str]:
    return [mean_and_std(standings.over_sets(metric, method, sets)) for metric in RANKINGS]
