"""`oodbench export`: the numbers of the leaderboard as CSV, Parquet, LaTeX tables, or a Hugging Face data set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oodbench.errors import BadSetting, UnknownName
from oodbench.measure.kinds import KINDS
from oodbench.measure.metrics import METRICS
from oodbench.report.bibtex import escaped
from oodbench.report.dataset_folder import write_dataset
from oodbench.report.entries import matrices_in
from oodbench.report.ids import GROUP, MEAN
from oodbench.report.standings import read_matrices
from oodbench.report.values import MODEL, values
from oodbench.shown import Page
from oodbench.store import atomically


@dataclass(frozen=True)
class Chosen:
    """Which numbers are exported; all where nothing is named.

    Attributes:
        matrices: Names.
        kinds: Of failure, or "model".
        metrics: Names.
        methods: Names of rows.
    """

    matrices: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


def chosen(results: Path, what: Chosen) -> pd.DataFrame:
    """Return the numbers that are asked for; ranks are those among all rows of their matrix.

    Raises:
        UnknownName: A name is of nothing in these results; the nearest is offered.
        BadSetting: Nothing is left.
        BadRecord: A record or scores file is broken.
    """
    here = matrices_in(results)
    for name in what.matrices:
        if name not in here:
            raise UnknownName(f"matrix with results in {results}", name, here)
    matrices = [one for name in what.matrices or (None,) for one in read_matrices(results, name)]
    table = values(matrices)
    known: dict[str, tuple[Sequence[str], Collection[str]]] = {
        "matrix": (what.matrices, here),
        "kind": (what.kinds, {*KINDS, MODEL}),
        "metric": (what.metrics, METRICS),
        "method": (what.methods, set(table["method"])),
    }
    for column, (names, all_names) in known.items():
        for name in names:
            if name not in all_names:
                raise UnknownName(column, name, all_names)
        if names:
            table = table[table[column].isin(names)]
    if table.empty:
        raise BadSetting(f"{results} has no number that is all of {what}")
    return table.reset_index(drop=True)


def export(results: Path, out: Path, what: Chosen) -> Page:
    """Write numbers in the format of a name's ending; return what to say.

    Args:
        results: Folder of results.
        out: A .csv, .parquet or .tex file; any name without an ending is a folder: a Hugging Face data set.
        what: Which numbers.

    Raises:
        BadSetting: The ending is of no format, or as `chosen`.
    """
    writers = {".csv": _csv, ".parquet": _parquet, ".tex": _latex, "": write_dataset}
    if out.suffix not in writers:
        known = "expected a name that ends in .csv, .parquet or .tex, or in nothing: the folder of a data set"
        raise BadSetting(f"{out}: {known}")
    table = chosen(results, what)
    writers[out.suffix](table, out)
    count, rows = len(table), table["method"].nunique()
    return Page(f"wrote {count} numbers of {rows} rows to {out}", data={"file": out, "numbers": count, "rows": rows})


def _csv(table: pd.DataFrame, out: Path) -> None:
    with atomically(out) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def _parquet(table: pd.DataFrame, out: Path) -> None:
    with atomically(out) as temporary:
        whole = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata()
        pq.write_table(whole, temporary, compression="zstd", store_schema=False)


def _latex(table: pd.DataFrame, out: Path) -> None:
    with atomically(out) as temporary:
        temporary.write_text(latex(table), encoding="utf-8")


BEST = r"\textbf{%s}"
TIED = r"$^{=}$"
"""Stands at the best numbers of a column where several are printed alike."""

MAY_BE_BEST = r"$^{\star}$"
"""Stands at the ranks of those of which one is the best, with 95 % confidence."""

ABOVE = (
    "% Numbers of oodbench. Needs \\usepackage{booktabs}. Shares in percent, mean and standard deviation over seeds.\n"
    "% Bold: the best of its column; = where several are printed alike; a star at the rank where it may be the best.\n"
    "% The id of a number is the comment of its row, with #KIND/SET/METRIC.\n"
)


def latex(table: pd.DataFrame) -> str:
    """Return a LaTeX table for each matrix, kind and metric: a row a method, a column a set, means and rank last."""
    groups = table.groupby(["matrix", "kind", "metric"], sort=False, observed=True)
    return ABOVE + "".join(f"\n{_table(str(m), str(k), str(metric), own)}" for (m, k, metric), own in groups)


def _table(matrix: str, kind: str, metric: str, own: pd.DataFrame) -> str:
    sets = [name for name in dict.fromkeys(own["set"]) if name != MEAN and not name.startswith(f"{MEAN}{GROUP}")]
    columns = [*sets, *(name for name in dict.fromkeys(own["set"]) if name not in sets)]
    lines = [{str(key): value for key, value in line.items()} for line in own.to_dict("records")]
    cells = {(line["method"], line["set"]): line for line in lines}
    printed = {column: _printed(metric, {m: cells[m, column] for m, at in cells if at == column}) for column in columns}
    ranked = sorted((line for line in lines if not pd.isna(line["rank"])), key=lambda one: (one["rank"], one["method"]))
    ranks = {line["method"]: _rank(line) for line in ranked}
    methods = list(dict.fromkeys([*ranks, *own["method"]]))
    ids = {line["method"]: f"{matrix}/{line['method']}@{line['version']}" for line in lines if line["version"]}
    rows = [
        " & ".join(
            [
                rf"\texttt{{{escaped(method)}}}",
                *(printed[column].get(method, "--") for column in columns),
                *([ranks.get(method, "--")] if ranks else []),
            ]
        )
        + rf" \\ % {ids.get(method, 'seeds of several versions')}"
        for method in methods
    ]
    heads = ["Method", *(_head(column) for column in columns), *(["Rank"] if ranks else [])]
    title = METRICS[metric].title.translate({ord("₁"): "1", ord("₀"): "0"})
    arrow = r" $\uparrow$" if METRICS[metric].higher_is_better else r" $\downarrow$"
    arrow = arrow if METRICS[metric].tells_better else ""
    what = KINDS[kind].title if kind in KINDS else "Model"
    text = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(title)}{arrow}: {escaped(what).lower()} on \texttt{{{escaped(matrix)}}}.}}",
        rf"\label{{tab:{matrix}-{kind}-{metric.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(text) + "\n"


def _head(column: str) -> str:
    _, _, group = column.partition(GROUP)
    return f"mean ({escaped(group)})" if group else escaped(column)


def _printed(metric: str, lines: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return a column's cells by method: the best in bold, marked where several are printed alike.

    One over fewer seeds than others says over how many, and is not the best of them.
    """
    sign = 1 if METRICS[metric].higher_is_better else -1
    share = METRICS[metric].lowest >= 0 and METRICS[metric].highest <= 1
    scale = 100 if share else 1
    means = {method: round(scale * float(line["mean"]), 2) for method, line in lines.items()}
    most = max(line["n"] for line in lines.values())
    whole = {method: sign * mean for method, mean in means.items() if lines[method]["n"] == most}
    best = max(whole.values()) if METRICS[metric].tells_better else None
    winners = [method for method, mean in whole.items() if mean == best]
    made = {}
    for method, line in lines.items():
        std = line["std"]
        number = f"{means[method]:.2f}"
        if method in winners:
            number = BEST % number + (TIED if len(winners) > 1 else "")
        few = "" if line["n"] == most else f" ($n = {line['n']:.0f}$)"
        made[method] = number + ("" if pd.isna(std) else rf" $\pm$ {scale * std:.2f}") + few
    return made


def _rank(line: Mapping[str, Any]) -> str:
    place, low, high, best = (line[name] for name in ("rank", "rank_low", "rank_high", "may_be_best"))
    return f"{place} ({low}--{high})" + (MAY_BE_BEST if best else "")
