"""What a run prints when it is done: its ranking in plain text, and where everything lies."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from oodbench.report.board import boards
from oodbench.report.header import SCALES, failure_title
from oodbench.report.layout import averaged
from oodbench.report.leaderboard import write
from oodbench.report.markdown import NONE, mean_and_std, metric_title
from oodbench.report.section import Section
from oodbench.report.tables import BEHIND, accuracy_text

SHOWN = ("fpr95", "auroc")


def summary(results: Path, matrix: str, leaderboard: Path | None = None) -> str:
    """Return the ranking of one matrix by kind of failure; write the leaderboard of `results` too, if a path is given.

    Raises:
        BadRecord: As `oodbench.report.leaderboard.leaderboard`.
    """
    parts = []
    for board in boards(results, matrix):
        parts += [_ranking(section) for section in board.sections]
        if any(section.falls_behind(method) for section in board.sections for method in section.entries):
            parts.append(f"{BEHIND} more than 2 points less accurate than the plain classifier at the same seeds.")
        parts += [SCALES[board.scale].replace("*", "")] if board.scale in SCALES else []
        parts += [f"Not measured: {len(board.holes)} (leaderboard.md gives the reasons)."] if board.holes else []
    where = [f"records and scores: {results / matrix}"]
    if leaderboard:
        write(results, leaderboard)
        where.append(f"leaderboard:        {leaderboard}")
    return "\n\n".join([*parts, "\n".join(where)])


def _ranking(section: Section) -> str:
    headers = ["rank", "method", *(metric_title(metric, section.failure) for metric in SHOWN), "accuracy"]
    sets = averaged(section.columns)
    rows = [
        [rank or NONE, method, *_means(section, method, sets), accuracy_text(section, method)]
        for method, rank in section.ranks.items()
    ]
    title = f"{failure_title(section.failure)}, mean over {len(sets)} set{'s' * (len(sets) > 1)}, percent"
    aligned = ("right", "left", *["right"] * (len(SHOWN) + 1))
    return f"{title}\n{tabulate(rows, headers, 'simple', colalign=aligned, disable_numparse=True)}"


def _means(section: Section, method: str, sets: Sequence[str]) -> list[str]:
    return [mean_and_std(section.over_sets(metric, method, sets)) for metric in SHOWN]
