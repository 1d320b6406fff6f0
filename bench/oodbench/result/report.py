"""A result as a page for people: accuracy on top, then a table a kind of failure, the doubts, and the pictures."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from oodbench.errors import BadData
from oodbench.measure.kinds import KINDS, TWINS, Kind
from oodbench.measure.metrics import METRICS
from oodbench.shown import Page, Table
from oodbench.store import atomically

if TYPE_CHECKING:
    from oodbench.result.result import Result

SHOWN = ("fpr95", "auroc")
"""Metrics that have a table a kind of failure."""

PICTURES = {
    "roc": "Good inputs accepted against bad ones accepted, at every threshold",
    "histograms": "Scores of good and of bad inputs; beyond the ends in the outermost bars",
    "risk-coverage": "Errors among the accepted test images, lowest scores out first",
}


def report(result: "Result", pictures: Sequence[Path]) -> str:
    """Return the page, in Markdown.

    Args:
        result: What it is of.
        pictures: Files, as seen from the page.
    """
    n, right = len(result.correct), result.accuracy
    parts = [
        "# How well a classifier's failures are told",
        f"The model gets **{right['test']:.2%}** of {n} test images right"
        + (f", {right['train']:.2%} of training images." if "train" in right else "; no training images were given."),
        *(f"**Doubtful:** {doubt}." for doubt in result.doubts),
        *(part for name in KINDS for part in _kind(result, name)),
        *_notes(result),
        *(f"## {PICTURES[path.stem]}\n\n![{PICTURES[path.stem]}]({path.as_posix()})" for path in pictures),
        *(
            []
            if find_spec("matplotlib")
            else ["No pictures: matplotlib is not installed (`pip install 'oodbench[data]'`)."]
        ),
        "Every metric with its interval is in `metrics.csv`, every score in `scores.parquet`; "
        '`oodbench.load("...")` with the name of this folder has both in Python.',
    ]
    return "\n\n".join(parts) + "\n"


def summary(result: "Result") -> Page:
    """Return what a terminal shows of a result: accuracy, and a table a kind of failure, best first."""
    blocks: list[str | Table] = [f"accuracy on {len(result.correct)} test images: {result.accuracy['test']:.2%}"]
    blocks += [f"doubtful: {doubt}" for doubt in result.doubts]
    for name, of_kind in result.ranks().groupby("failure", sort=False):
        auroc = result.ranks("auroc").query("failure == @name").set_index("method")["mean"]
        rows = [
            (_rank(of_kind.set_index("method"), method), method, f"{100 * mean:.2f}", f"{100 * auroc[method]:.2f}")
            for method, mean in zip(of_kind["method"], of_kind["mean"], strict=True)
        ]
        measured = result.table.query("failure == @name and auroc.notna()")["set"].unique()
        sets = [one for one in measured if not one.endswith(TWINS)]
        blocks.append(f"{KINDS[str(name)].title}: mean of {', '.join(sets)}")
        blocks.append(Table(("rank", "method", "FPR95 %", "AUROC %"), rows, ("left",) * 4, name=1))
    absent = result.table[result.table["auroc"].isna()]
    blocks += dict.fromkeys(
        f"no number: {method}{f' on {name}' if isinstance(name, str) else ''}: {note}"
        for method, name, note in zip(absent["method"], absent["set"], absent["note"], strict=True)
    )
    parts = [part for block in blocks for part in (block, "")][:-1]
    data = {
        "accuracy": result.accuracy,
        "test_images": len(result.correct),
        "doubts": result.doubts,
        "numbers": result.table.to_dict("records"),
    }
    return Page(*parts, data=data)


def write_pictures(result: "Result", folder: Path) -> list[Path]:
    """Write those pictures that hold something, as SVG, where matplotlib is installed; return their files."""
    if find_spec("matplotlib") is None:
        return []
    written = []
    drawings = {
        "roc": result.plot.roc,
        "histograms": result.plot.histograms,
        "risk-coverage": result.plot.risk_coverage,
    }
    for name, drawing in drawings.items():
        try:
            figure = drawing()
        except BadData:  # no method ran, or no set has good and bad inputs
            continue
        _write(figure, folder / f"{name}.svg")
        written.append(folder / f"{name}.svg")
    return written


def _write(figure: Any, path: Path) -> None:
    import matplotlib as mpl

    from oodbench.result.pictures import STYLE

    with mpl.rc_context(STYLE), atomically(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": "oodbench"})


def _kind(result: "Result", name: str) -> Iterator[str]:
    """Yield the tables of a kind of failure: a row a method, best first, a column a set."""
    table = result.table
    rows = table[(table["failure"] == name) & table["auroc"].notna()]
    if rows.empty:
        return
    kind = KINDS[name]
    yield f"## {kind.title}\n\n{kind.said}"
    sizes = rows.drop_duplicates("set")
    yield "; ".join(
        f"`{one}`: {good:.0f} good, {bad:.0f} bad"
        for one, good, bad in zip(sizes["set"], sizes["n_good"], sizes["n_bad"], strict=True)
    )
    for metric in SHOWN:
        ranked = result.ranks(metric).query("failure == @name").set_index("method")
        shown = rows.assign(
            number=[
                f"{100 * value:.2f} ({100 * low:.1f} to {100 * high:.1f})"
                for value, low, high in zip(rows[metric], rows[f"{metric}_low"], rows[f"{metric}_high"], strict=True)
            ]
        )
        wide = shown.pivot(index="method", columns="set", values="number").fillna("–")
        order = [*ranked.index, *(one for one in dict.fromkeys(rows["method"]) if one not in ranked.index)]
        wide = wide.loc[order, list(sizes["set"])].reset_index()
        wide.columns.name = None
        wide.insert(0, "rank", [_rank(ranked, one) for one in order])
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        yield (
            f"{METRICS[metric].title} {arrow} in percent, with 95 % intervals over test inputs; the rank is the place "
            f"by the mean over sets, and in brackets the 95 % interval of the true rank for this model:"
        )
        yield str(wide.to_markdown(index=False, disable_numparse=True))
    yield from _further(result, kind)


def _further(result: "Result", kind: Kind) -> Iterator[str]:
    """Yield what a kind measures besides the ranking metrics: a column a metric; of several sets, a table a metric."""
    found = result.metrics.query("failure == @kind.name and metric in @kind.further")
    if found.empty:
        return
    shown = found.assign(
        number=[f"{100 * value:.2f}" for value in found["value"]], title=found["metric"].map(kind.heading)
    )
    told = [f"**{kind.heading(one)}**: {METRICS[one].definition}" for one in kind.further]
    yield f"Selective prediction, in percent: abstaining on the inputs that score lowest. {' '.join(told)}"
    across = "title" if found["set"].nunique() == 1 else "set"
    for _, rows in [("", shown)] if across == "title" else shown.groupby("metric", sort=False):
        wide = rows.pivot(index="method", columns=across, values="number").fillna("–")
        wide = wide.loc[list(rows["method"].unique()), list(rows[across].unique())].reset_index()
        wide.columns.name = None
        yield str(wide.to_markdown(index=False, disable_numparse=True))


def _rank(ranked: pd.DataFrame, method: str) -> str:
    if method not in ranked.index:
        return "–"
    place, low, high = (int(ranked.loc[method, column]) for column in ("place", "low", "high"))  # type: ignore[arg-type]
    return f"{place} ({low})" if low == high else f"{place} ({low}–{high})"


def _notes(result: "Result") -> Iterator[str]:
    """Yield what makes numbers doubtful, or why there are none."""
    table = result.table[result.table["note"] != ""]
    noted = [
        f"- {' on '.join(f'`{part}`' for part in (method, name) if isinstance(part, str))}: {note}"
        for method, name, note in zip(table["method"], table["set"], table["note"], strict=True)
    ]
    if noted:
        yield "## Notes\n\n" + "\n".join(dict.fromkeys(noted))
