"""The text of the pull request that hands a method in: what it is, what it scored, and what a reviewer does."""

from collections.abc import Sequence
from pathlib import Path

from oodbench.manifest import SOURCE
from oodbench.measure.kinds import averaged
from oodbench.measure.metrics import METRICS
from oodbench.records import Record
from oodbench.report.markdown import mean_and_std, table
from oodbench.report.numbers import RANKINGS
from oodbench.report.standings import Standings, read_matrices
from oodbench.submission.origin import Origin

WORDS = ("matrix", "kind", "method")


def pull_request(origin: Origin, records: Sequence[Record], results: Path) -> str:
    """Return the text.

    Args:
        origin: Where the methods come from.
        records: What is handed in.
        results: Their folder: ranks are among all that is there.
    """
    rows = {record.method: record for record in records}
    parts = [f"# {', '.join(f'`{name}`' for name in rows)}"]
    parts += [_about(record) for record in rows.values()]
    parts += ["## Numbers", _numbers(records, results), RANKED]
    parts += ["## Made by", _made(records), f"Source: `{origin.module}`, {origin.package or 'a file of this clone'}:"]
    parts += ["\n".join(f"- `{SOURCE}/{name}`" for name in origin.source)]
    return "\n\n".join([*parts, REVIEW.format(matrices=_again(records))])


def _about(record: Record) -> str:
    paper = record.citation
    year = f", {paper.year}" if paper.year else ""
    link = f" <{paper.url}>" if paper.url else ""
    return (
        f"**{_plain(record.title)}** (`{record.method}`, version {record.versions.get('detector', '?')}): "
        f'{_plain(paper.authors)}, "{_plain(paper.title)}"{year}.{link} '
        f"Tuned on: {record.tuning_access}. Its fit {'reads' if record.fits_on_labels else 'does not read'} labels."
    )


def _plain(text: str) -> str:
    """Return text in one line, with nothing in it that Markdown would obey."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#@" else letter for letter in line)


def _numbers(records: Sequence[Record], results: Path) -> str:
    headers = [*WORDS, *(f"{METRICS[metric].title}, mean over sets, %" for metric in RANKINGS), "rank", "of"]
    rows: list[list[str]] = []
    for name in dict.fromkeys(record.matrix for record in records):
        own = dict.fromkeys(record.method for record in records if record.matrix == name)
        for matrix in read_matrices(results, name):
            for standings in matrix.kinds:
                rows += [_row(standings, method) for method in own if method in standings.entries]
    return table(headers, rows, WORDS)


def _row(standings: Standings, method: str) -> list[str]:
    sets = averaged(standings.columns)
    means = [mean_and_std(standings.over_sets(metric, method, sets)) for metric in RANKINGS]
    return [
        standings.matrix,
        standings.kind.name,
        f"`{method}`",
        *means,
        standings.ranks[method],
        str(len(standings.ranked)),
    ]


def _made(records: Sequence[Record]) -> str:
    machines = sorted({record.environment.machine or record.environment.device for record in records})
    releases = sorted({record.packages.get("oodbench", "unknown") for record in records})
    commits = sorted({record.git.commit or "an installed release" for record in records})
    return f"oodbench {', '.join(releases)}, {', '.join(commits)}; on {', '.join(map(_plain, machines))}."


def _again(records: Sequence[Record]) -> str:
    matrices = dict.fromkeys(record.matrix for record in records)
    methods = " ".join(dict.fromkeys(record.method.partition("@")[0] for record in records))
    return "\n".join(f"oodbench run {matrix} --methods {methods} --results again" for matrix in matrices)


RANKED = "A rank is among the rows that lay beside it when this was written."

REVIEW = """\
## For the author

- [ ] the docstring has the paper's formula in its symbols, and a paragraph that begins with "Fails where"
- [ ] the test compares the score with a plain loop over the formula
- [ ] nothing of the test sets was looked at to choose a field's value

## For the reviewer

- [ ] the source is read: nothing of it has run yet
- [ ] `oodbench verify` of the submission, with `--against results`, finds nothing
- [ ] `oodbench check` passes
- [ ] re-run by a maintainer, at a draw made after this was handed in, and compared:

```console
{matrices}
```
"""
