"""leaderboard.md: every table of every matrix, from records and scores alone. The same folder makes the same bytes."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from oodbench.report.beside import beside, papers, reported_table
from oodbench.report.board import Board, boards
from oodbench.report.collect import collect
from oodbench.report.generated import difference
from oodbench.report.header import HEADER, failure_facts, failure_title, matrix_facts
from oodbench.report.holes import hole_table
from oodbench.report.markdown import metric_title
from oodbench.report.models import bits_table, model_table, reported_bits
from oodbench.report.numbers import long_frame, measured
from oodbench.report.overview import overview_table
from oodbench.report.reported import Reported
from oodbench.report.section import Section
from oodbench.report.sweeps import Sweep, reported_sweep, sweep_table, sweeps
from oodbench.report.tables import SHOWN, attack_table, metric_table, summary_table
from oodbench.store import atomically

COMMAND = "oodbench table"

PICTURE = "figures/fpr95.svg"
"""Below the folder of a matrix."""


def table(results: Path, matrix: str | None = None) -> pd.DataFrame:
    """Return every number below `results`, recomputed from the scores, a row each.

    Columns: matrix, failure, set, method, seed, metric, value (in [0, 1]), low and high (95 % interval, where there is
    one), n_good, n_bad.

    Raises:
        BadRecord: As `oodbench.report.collect.collect`.
    """
    numbers, _ = measured(collect(results, matrix))
    return long_frame(numbers)


def leaderboard(results: Path) -> str:
    """Return the text of leaderboard.md.

    Raises:
        BadRecord: A record or scores file is broken, foreign, newer than this program, or the two do not match.
        BadCard: A file of the papers' own numbers breaks its schema.
    """
    return _page(results, boards(results))


def check(results: Path, path: Path) -> str | None:
    """Return how the file at `path` differs from what its scores make, and the command that mends it; None if equal.

    Raises:
        BadRecord: As `leaderboard`.
    """
    return _difference(results, path, leaderboard(results))


def write(results: Path, path: Path) -> None:
    """Write the leaderboard to `path`, and, where matplotlib is installed, the pictures that it shows below `results`.

    Raises:
        BadRecord: As `leaderboard`.
    """
    made = boards(results)
    if find_spec("matplotlib"):
        from oodbench.report.picture import draw, draw_sweep

        for board in made:
            draw(board, results / board.matrix / PICTURE)
            for sweep in sweeps(board):
                draw_sweep(sweep, board, results / board.matrix / _picture(sweep))
    text = _page(results, made)
    with atomically(path) as temporary:
        temporary.write_bytes(text.encode())


def rebuild(results: Path, path: Path, *, check: bool = False, csv: Path | None = None) -> tuple[str, bool]:
    """Write the leaderboard, or only compare it, and all numbers to `csv`; return what to say, and whether all is well.

    Raises:
        BadRecord: As `leaderboard`.
    """
    if csv:
        with atomically(csv) as temporary:
            table(results).to_csv(temporary, index=False)
    if check:
        differs = _difference(results, path, leaderboard(results))
        return differs or f"{path} is what the scores in {results} make.", differs is None
    write(results, path)
    return f"wrote {path}" + (f" and {csv}" if csv else ""), True


def _difference(results: Path, path: Path, new: str) -> str | None:
    return difference(results, path, new, f"{COMMAND} --results {results} --leaderboard {path}")


def _page(results: Path, made: Iterable[Board]) -> str:
    reported = papers(results)
    parts = [HEADER.format(command=COMMAND)]
    for board in made:
        parts.append(matrix_facts(board))
        if (results / board.matrix / PICTURE).is_file():
            parts.append(f"![FPR95 of every method on {board.matrix}]({results.name}/{board.matrix}/{PICTURE})")
        if len(board.sections) > 1:
            parts += ["### All kinds of failure", overview_table(board)]
        for section in board.sections:
            parts += _section(section, board, reported)
        parts += ["### What was judged", model_table(board), *_bits(board, reported)]
        for sweep in sweeps(board):
            parts += [f"### What {sweep.field} changes in {sweep.recipe}", sweep_table(sweep, board)]
            if (results / board.matrix / _picture(sweep)).is_file():
                parts.append(f"![{sweep.field} of {sweep.recipe}]({results.name}/{board.matrix}/{_picture(sweep)})")
            theirs = reported_sweep(sweep, reported)
            parts += ["#### In the papers", theirs] if theirs else []
        if board.holes:
            parts += ["### Not measured", hole_table(board.holes)]
    return "\n\n".join(parts) + "\n"


def _picture(sweep: Sweep) -> str:
    """Return where its picture lies below the folder of a matrix."""
    return f"figures/{sweep.recipe}-{sweep.field}.svg"


def _bits(board: Board, reported: Iterable[Reported]) -> list[str]:
    ours, theirs = bits_table(board), reported_bits(board, reported)
    parts = [f"#### Bits per dimension\n\n{ours}"] if ours else []
    return parts + ([f"#### Bits per dimension in the papers\n\n{theirs}"] if theirs else [])


def _section(section: Section, board: Board, reported: Iterable[Reported]) -> list[str]:
    parts = [f"### {failure_title(section.failure)}", failure_facts(section), summary_table(section)]
    if section.failure == "adversarial":
        parts += ["#### What the attacks achieved", attack_table(section)]
    if len(section.columns) > 1:
        for metric in SHOWN:
            parts += [f"#### {metric_title(metric, section.failure)} by set", metric_table(section, metric)]
    found = beside(section, board.in_set, reported)
    return parts + (["#### The papers' own numbers", reported_table(section, board.scale, found)] if found else [])
