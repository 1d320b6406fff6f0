"""The table in README.md: a few rows of the matrix that its mark names, written by `oodbench table`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from oodbench.errors import UnknownName
from oodbench.measure.kinds import averaged
from oodbench.measure.ranks import Ranked
from oodbench.report.markdown import NONE, link, mean_and_std, table
from oodbench.report.numbers import BASELINE, RANKED_BY
from oodbench.report.site import COMMAND, Pages, Site
from oodbench.report.standings import MAY_BE_BEST, MatrixResults, Standings
from oodbench.report.superseded import MARK

FILE = "README.md"
BEGIN = re.compile(rf"<!-- {COMMAND} writes what stands from here: (\S+) -->\n")
"""Names the matrix."""

END = "<!-- to here -->"

ROWS = 8


def with_block(folder: Path, site: Site, matrices: Sequence[MatrixResults]) -> Pages:
    """Return README.md with its table made anew, if it lies in `folder` and has the marks; else nothing.

    Raises:
        UnknownName: The mark names a matrix that has no results.
    """
    path = folder / FILE
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    marks = BEGIN.search(old)
    if not marks or END not in old[marks.end() :]:
        return {}
    by_name = {matrix.name: matrix for matrix in matrices}
    if marks[1] not in by_name:
        raise UnknownName(f"matrix of the table in {path}", marks[1], by_name)
    after = old[marks.end() :].split(END, 1)[1]
    return {FILE: f"{old[: marks.end()]}\n{block(site, by_name[marks[1]])}\n\n{END}{after}"}


def block(site: Site, matrix: MatrixResults) -> str:
    """Return the best methods of each kind of failure, and the baseline: FPR95 on every kind."""
    headers = ["Method", *(one.kind.short for one in matrix.kinds)]
    linked = site.linked(FILE, matrix.name)
    rows = [[linked(method), *(_cell(one, method) for one in matrix.kinds)] for method in chosen(matrix)]
    seeds = len({record.seed for record in matrix.records})
    whole = link(f"the page of {matrix.name}", site.of_matrix(matrix))
    said = (
        f"FPR95 ↓, the share of bad inputs accepted where 95 % of the good ones are, in percent on "
        f"`{matrix.name}`, mean ± standard deviation over {seeds} seeds · rank by it, and a "
        f"95 % interval of the true rank; {MAY_BE_BEST} may be the best: with 95 % confidence the best of a column is "
        "one of all that have this mark there. Shown are the first of each kind of failure, one a paper, and the "
        f"baseline `{BASELINE}`; all methods, sets and metrics, and what exactly is tested: {whole}; "
        f"all matrices: {link('leaderboard.md', site.index)}."
    )
    earlier = any(MARK in row[0] for row in rows)
    note = f" {MARK} made by an earlier version of the method, to be made again." if earlier else ""
    return f"{table(headers, rows, ('Method',))}\n\n{said}{note}"


def chosen(matrix: MatrixResults) -> list[str]:
    """Return the best methods of each kind in turn, one a paper, and the baseline, in the order of the first kind."""
    papers = {record.method: (record.citation.title, record.citation.url) for record in matrix.records}
    taken: dict[str, None] = {}
    for method in _in_turn([one.ranked for one in matrix.kinds]):
        if len(taken) < ROWS - 1 and method != BASELINE and papers[method] not in {papers[other] for other in taken}:
            taken[method] = None
    order = list(dict.fromkeys(method for one in matrix.kinds for method in one.ranks))
    return sorted({*taken, *({BASELINE} & papers.keys())}, key=order.index)


def _in_turn(ranked: Sequence[Sequence[Ranked]]) -> Iterator[str]:
    """Yield the first method of each kind, then the second of each, and so on; those without a rank are left out."""
    for place in range(max(map(len, ranked), default=0)):
        yield from (rows[place].method for rows in ranked if place < len(rows))


def _cell(standings: Standings, method: str) -> str:
    if method not in standings.ranks:
        return NONE
    mean = mean_and_std(standings.over_sets(RANKED_BY, method, averaged(standings.columns)))
    return f"{mean} · {standings.ranks[method]}"
