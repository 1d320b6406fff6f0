"""The generated pages: leaderboard.md, a page a matrix, a page a matrix and kind of failure, a page a method.

    leaderboard.md                              how to read it, and the first rows of everything
    docs/leaderboard/<matrix>/README.md         all kinds in one table, models, bits per dimension, sweeps, what lacks
    docs/leaderboard/<matrix>/<kind>.md         every number of a matrix and kind
    docs/leaderboard/methods/<method>.md        every number of a method, its citation and parameters

All are made from one results folder that lies beside leaderboard.md; the same folder makes the same bytes.
"""

import json
from collections.abc import Sequence

from oodbench.measure.kinds import averaged
from oodbench.records import Record
from oodbench.report.markdown import NONE, link, table
from oodbench.report.models import bits_table, model_table, reported_bits, reported_sweep, sweep_table, sweeps
from oodbench.report.paper_numbers import comparable, reported_table
from oodbench.report.reported import Reported
from oodbench.report.site import COMMAND, MARK, PICTURE, Pages, Site, sweep_picture, to
from oodbench.report.standings import Board, Standings
from oodbench.report.tables import (
    SHOWN,
    attack_table,
    first_table,
    hole_table,
    method_table,
    metric_table,
    overview_table,
    passes_text,
    summary_table,
)

FIRST_ROWS = 10
"""Of each matrix and kind, on the leaderboard."""

HEADER = """# Leaderboard

Detectors of classifier failures, ranked on fixed, versioned matrices of data sets and attacks. Every number is computed
from stored scores. `{command}` writes this file and the pages that it links to, `{command} --check` compares them.

## How to read it

- A score is higher for inputs that are more to be trusted. **Good** inputs should be accepted, **bad** ones flagged.
- **FPR95 ranks**: the share of bad inputs accepted at the threshold that keeps 95 % of the good ones (`fpr95`; not
  `fpr95_ood_positive`, where 95 % of the bad ones are flagged). Detection error is taken at the same threshold.
  AUPR depends on the sizes of the sets, which stand above each table. All numbers are in percent; ↓ lower, ↑ higher
  is better.
- Methods share a **rank** ("2=") where neither the paired difference to the row above nor the one to the first row of
  that rank is significant at 5 %, corrected for the number of rows, by a bootstrap over inputs and seeds.
- **±** is the standard deviation over n training seeds (n - 1 in the denominator). One seed has none; its brackets hold
  the 95 % interval of that run (AUROC: DeLong; FPR95: bootstrap).
- Averages weigh sets equally, and stand only where no set is missing; – is a number that is not there, and the reason
  stands under "Not measured" on the page of the matrix.
- **Model accuracy** is of the classifier that a row judges. ▼ marks one that is more than 2 points less accurate
  than its plain twin, the matrix's own network trained by cross-entropy, on the mean over the seeds that both have.
- **Tuned on** is the most telling held-out data that a row has seen: `none`, `id_val` (in-distribution), `ood_val`
  (out-of-distribution, from sources that no test set uses), `adversarial_val`. **Labels**: whether its fit reads them.
- **Passes** are forward passes through the network that one input costs, and gradient passes (∇).
- The papers' own numbers stand in tables of their own, each with the convention it obeys and its source."""

SCALES = {
    "cpu": "**Scale cpu**: small networks trained for minutes on two cores. These numbers are not the papers'.",
    "tiny": "**Scale tiny**: a demonstration on little data. These numbers are not the papers'.",
}


def pages(site: Site, boards: Sequence[Board], reported: Sequence[Reported]) -> Pages:
    """Return all generated pages of a results folder."""
    made = {site.index: _index(site, boards)}
    for board in boards:
        made[site.of_matrix(board)] = _matrix(site, board, reported)
        made |= {site.of_kind(one): _kind(site, board, one, reported) for one in board.kinds}
    methods = sorted({record.method for board in boards for record in board.records})
    return made | {site.of_method(method): _method(site, boards, method) for method in methods}


def _text(parts: Sequence[str]) -> str:
    return "\n\n".join([MARK, *parts]) + "\n"


def _index(site: Site, boards: Sequence[Board]) -> str:
    here = site.index
    parts = [HEADER.format(command=COMMAND)]
    for board in boards:
        parts += [_title(board), *_facts(board)]
        parts += site.picture(here, board, PICTURE, f"FPR95 of every method on {board.matrix}")
        for one in board.kinds:
            rest = len(one.ranks) - FIRST_ROWS
            all_of_it = link("by set, and all metrics", to(here, site.of_kind(one)))
            more = f"The first {FIRST_ROWS} of {len(one.ranks)}; all rows" if rest > 0 else "More"
            shown = first_table(one, FIRST_ROWS, site.linked(here))
            parts += [f"### {one.kind.title} (`{one.kind.name}`)", shown, f"{more}: {all_of_it}."]
        whole = link(f"the page of {board.matrix}", to(here, site.of_matrix(board)))
        parts.append(f"All kinds of failure in one table, what was judged, and what is not measured: {whole}.")
    return _text(parts)


def _matrix(site: Site, board: Board, reported: Sequence[Reported]) -> str:
    here = site.of_matrix(board)
    linked = site.linked(here)
    kinds = [link(one.kind.title, to(here, site.of_kind(one))) for one in board.kinds]
    parts = [_title(board, "#"), *_facts(board), " · ".join([link("Leaderboard", to(here, site.index)), *kinds])]
    parts += site.picture(here, board, PICTURE, f"FPR95 of every method on {board.matrix}")
    if len(board.kinds) > 1:
        parts += ["## All kinds of failure", overview_table(board, linked)]
    parts += ["## What was judged", model_table(board, linked)]
    ours, theirs = bits_table(board, linked), reported_bits(board, reported)
    parts += ["### Bits per dimension", ours] if ours else []
    parts += ["### Bits per dimension in the papers", theirs] if theirs else []
    for sweep in sweeps(board):
        title = f"{sweep.field} of {sweep.recipe}"
        parts += [f"## What {sweep.field} changes in {sweep.recipe}", sweep_table(sweep, board, linked)]
        parts += site.picture(here, board, sweep_picture(sweep.recipe, sweep.field), title)
        printed = reported_sweep(sweep, reported)
        parts += ["### In the papers", printed] if printed else []
    if board.holes:
        parts += ["## Not measured", hole_table(board.holes, linked)]
    return _text(parts)


def _kind(site: Site, board: Board, standings: Standings, reported: Sequence[Reported]) -> str:
    here = site.of_kind(standings)
    linked, kind = site.linked(here), standings.kind
    above = [link("How to read it", f"{to(here, site.index)}#how-to-read-it"), link(board.matrix, "README.md")]
    parts = [f"# {kind.title} on `{board.matrix}` (`{kind.name}`)", " · ".join(above), _sizes(standings)]
    parts.append(summary_table(standings, linked))
    if any(entry.reference and entry.reference.attacks for entry in board.entries) and kind.name == "adversarial":
        parts += ["## What the attacks achieved", attack_table(standings)]
    if len(standings.columns) > 1:
        for metric in SHOWN:
            parts += [f"## {kind.heading(metric)} by set", metric_table(standings, metric, linked)]
    found = comparable(standings, board.in_set, reported)
    parts += ["## The papers' own numbers", reported_table(standings, board.scale, found)] if found else []
    return _text(parts)


def _method(site: Site, boards: Sequence[Board], method: str) -> str:
    here = site.of_method(method)
    own = [(board, [record for record in board.records if record.method == method]) for board in boards]
    own = [(board, records) for board, records in own if records]
    first = own[0][1][0]
    paper = first.citation
    source = f"{paper.authors}. {link(paper.title, paper.url)}" + (f", {paper.year}." if paper.year else ".")
    parts = [
        f"# `{method}`: {first.title}",
        source,
        f"Tuned on: {first.tuning_access}. Its fit {'reads' if first.fits_on_labels else 'does not read'} labels. "
        f"{link('How to read the tables', f'{to(here, site.index)}#how-to-read-it')}; percent.",
    ]
    for board, records in own:
        parts += [f"## {link(board.matrix, to(here, site.of_matrix(board)))}", _made_with(board, records)]
        for one in board.kinds:
            if method in one.entries:
                title = link(one.kind.title, to(here, site.of_kind(one)))
                rank = one.ranks[method] or NONE
                parts += [f"### {title}: rank {rank}", method_table(one, method)]
        lacking = [hole for hole in board.holes if method in hole.methods]
        parts += ["### Not measured", hole_table(lacking, site.linked(here))] if lacking else []
    return _text(parts)


def _made_with(board: Board, records: Sequence[Record]) -> str:
    """Return parameters, seeds, model and costs of a method on a matrix."""
    parameters = records[0].parameters
    chosen = {str(record.seed): record.parameters.chosen for record in records if record.parameters.chosen}
    rows = [[name, _shown(value), ""] for name, value in parameters.default.items()]
    rows += [[name, _shown(value), "given"] for name, value in parameters.given.items()]
    for name in dict.fromkeys(name for by_seed in chosen.values() for name in by_seed):
        values = ", ".join(f"{_shown(by_seed.get(name))} (seed {seed})" for seed, by_seed in chosen.items())
        rows.append([name, values, "tuned"])
    models = {record.model.name for record in records if record.model}
    references = {record.reference.name for record in records if record.reference} - models
    facts = [
        f"- seeds: {', '.join(str(record.seed) for record in records)}; passes: {passes_text(records)}",
        *([f"- model: {', '.join(f'`{name}`' for name in sorted(models))}"] if models else []),
        *([f"- judged on the errors of `{', '.join(sorted(references))}`"] if references else []),
    ]
    parts = ["\n".join(facts)]
    words = ("Parameter", "Value", "")
    return "\n\n".join([*parts, table(words, rows, words)] if rows else parts)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _title(board: Board, level: str = "##") -> str:
    return f"{level} {board.card.title}: `{board.matrix}`" if board.card else f"{level} `{board.matrix}`"


def _facts(board: Board) -> list[str]:
    """Return what a matrix's numbers were made with."""
    seeds = sorted({record.seed for record in board.records})
    facts = [
        f"- in-set: `{board.in_set}`; scale: {board.scale}; seeds: {', '.join(map(str, seeds))}",
        f"- methods: {len({record.method for record in board.records})}; code: {', '.join(_commits(board.records))}",
    ]
    warning = [f"> {SCALES[board.scale]}"] if board.scale in SCALES else []
    return [*warning, "\n".join(facts)]


def _sizes(standings: Standings) -> str:
    """Return what is good, what is bad, and how many there are of each."""
    sizes = [(name, *pair) for sets in standings.sizes.values() for name, pair in sets.items()]
    bad = {column.name: _range([m for name, _, m in sizes if name == column.name]) for column in standings.columns}
    means = len(averaged(standings.columns))
    over = f" The ranking is by means over {means} sets." if means > 1 else ""
    good = _range([n for _, n, m in sizes if n and m])
    each = ", ".join(f"{name} {size}" for name, size in bad.items())
    return f"{standings.kind.said}{over}\n\nGood: {good}. Bad: {each}."


def _range(sizes: Sequence[int]) -> str:
    """Return a size, or its range over methods and seeds."""
    sizes = [size for size in sizes if size]
    if not sizes:
        return "none"
    return f"{min(sizes):,}" + (f" to {max(sizes):,}" if min(sizes) < max(sizes) else "")


def _commits(records: Sequence[Record]) -> list[str]:
    """Return the commits that made the records, marked where files had been changed since."""
    made = {(record.git.commit or "unknown commit", bool(record.git.dirty)) for record in records}
    return [f"`{commit[:10]}`{' with uncommitted changes' if dirty else ''}" for commit, dirty in sorted(made)]
