"""leaderboard.md: every table of every matrix, from records and scores alone. The same folder makes the same bytes."""

from collections.abc import Iterable, Sequence
from difflib import unified_diff
from pathlib import Path

import pandas as pd

from bench.data.matrix import load_matrices
from bench.report.beside import beside, papers, reported_table
from bench.report.collect import Entry, collect
from bench.report.header import HEADER, failure_facts, failure_title, matrix_facts
from bench.report.holes import hole_table, holes
from bench.report.markdown import metric_title
from bench.report.numbers import Gap, Number, long_frame, measured
from bench.report.reported import Reported
from bench.report.section import Section, sections
from bench.report.tables import SHOWN, attack_table, metric_table, summary_table
from bench.store import atomically

COMMAND = "oodbench table"


def table(results: Path, matrix: str | None = None) -> pd.DataFrame:
    """Return every number below `results`, recomputed from the scores, a row each.

    Columns: matrix, failure, set, method, seed, metric, value (in [0, 1]), low and high (95 % interval, where there is
    one), n_good, n_bad.

    Raises:
        BadRecord: As `bench.report.collect.collect`.
    """
    numbers, _ = measured(collect(results, matrix))
    return long_frame(numbers)


def leaderboard(results: Path) -> str:
    """Return the text of leaderboard.md.

    Raises:
        BadRecord: A record or scores file is broken, foreign, newer than this program, or the two do not match.
        BadCard: A file of the papers' own numbers breaks its schema.
    """
    entries, reported = collect(results), papers(results)
    numbers, gaps = measured(entries)
    names = dict.fromkeys(entry.record.matrix for entry in entries)
    parts = [HEADER.format(command=COMMAND)]
    for name in sorted(names, key=_paper_scale_first):
        parts += _matrix(name, [e for e in entries if e.record.matrix == name], numbers, gaps, reported)
    return "\n\n".join(parts) + "\n"


def check(results: Path, path: Path) -> str | None:
    """Return how the file at `path` differs from what its scores make, and the command that mends it; None if equal.

    Raises:
        BadRecord: As `leaderboard`.
    """
    return _difference(results, path, leaderboard(results))


def write(results: Path, path: Path) -> None:
    """Write the leaderboard to `path`, whole or not at all; raises as `leaderboard` does."""
    text = leaderboard(results)
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
        difference = _difference(results, path, leaderboard(results))
        return difference or f"{path} is what the scores in {results} make.", difference is None
    write(results, path)
    return f"wrote {path}" + (f" and {csv}" if csv else ""), True


def _difference(results: Path, path: Path, new: str) -> str | None:
    command = f"{COMMAND} --results {results} --leaderboard {path}"
    if not path.exists():
        return f"{path} does not exist; write it: {command}"
    old = path.read_bytes().decode("utf-8", errors="replace")
    if old == new:
        return None
    lines = unified_diff(old.splitlines(), new.splitlines(), str(path), f"{path} (rebuilt)", lineterm="", n=0)
    return f"{path} is not what the scores in {results} make; rebuild it: {command}\n" + "\n".join(lines)


def _paper_scale_first(name: str) -> tuple[int, str]:
    card = load_matrices().get(name)
    return (("paper", "cpu", "tiny").index(card.scale) if card else 3, name)


def _matrix(
    name: str, entries: Sequence[Entry], numbers: Sequence[Number], gaps: Iterable[Gap], reported: Iterable[Reported]
) -> list[str]:
    records = [entry.record for entry in entries]
    parts = [matrix_facts(name, records)]
    for section in sections(name, entries, numbers):
        parts += _section(section, records[0].in_set, records[0].scale, reported)
    missing = holes(name, records, gaps)
    return parts + (["### Not measured", hole_table(missing)] if missing else [])


def _section(section: Section, in_set: str, scale: str, reported: Iterable[Reported]) -> list[str]:
    parts = [f"### {failure_title(section.failure)}", failure_facts(section), summary_table(section)]
    if section.failure == "adversarial":
        parts += ["#### What the attacks achieved", attack_table(section)]
    if len(section.columns) > 1:
        for metric in SHOWN:
            parts += [f"#### {metric_title(metric, section.failure)} by set", metric_table(section, metric)]
    found = beside(section, in_set, reported)
    return parts + (["#### The papers' own numbers", reported_table(section, scale, found)] if found else [])
