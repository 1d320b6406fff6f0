"""The tables that follow from scores, `metrics.parquet` and `ranks.csv`: made anew, and compared."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from oodbench.errors import BadRecord, OodbenchError
from oodbench.report.entries import Entry, StoredOutcomes
from oodbench.report.numbers import COLUMNS, FILE, TOLERANCE, Numbers, numbers_of
from oodbench.report.rank_table import FILE as RANKS
from oodbench.report.rank_table import ranks_csv
from oodbench.report.standings import matrices_of
from oodbench.verify.bounded import check_parquet, content
from oodbench.verify.entries import Folder
from oodbench.verify.examine import UNREADABLE
from oodbench.verify.faults import Fault
from oodbench.verify.walk import LARGEST

WHERE = ("matrix", "kind", "set", "method", "seed", "metric")
"""Columns that say what a number is the number of."""

SPARE_ROWS = 1000
"""By how many a table may be longer than what the scores make and still be read, to say what is too much in it."""

ROW = 160
"""Bytes of a row of metrics, unpacked."""


def tables(folder: Folder) -> Iterator[Fault]:
    """Yield how the tables of a whole folder differ from what its scores make."""
    found = _numbers(folder)
    entries = _entries(folder)
    if folder.tree.of("metrics"):
        yield from (Fault(FILE, said) for said in _metrics(folder, found))
    elif found.frame.size:
        yield Fault(FILE, "is not there; write it: oodbench table")
    try:
        made = ranks_csv(matrices_of(entries, found))
    except OodbenchError as error:
        yield Fault(RANKS, f"cannot be made: {error}")
        return
    if folder.tree.of("ranks"):
        yield from (Fault(RANKS, said) for said in _ranks(folder, made))
    elif found.frame.size:
        yield Fault(RANKS, "is not there; write it: oodbench table")


def _entries(folder: Folder) -> list[Entry]:
    """Return the entries as reports take them, in their order; only those that can be read."""
    made = []
    for one in folder.looked:
        record = one.record
        if record is None:
            continue
        path = folder.tree.root / one.name.replace(".json", ".parquet")
        model, reference = (
            folder.models.get((record.matrix, used.name, record.seed)) if used else None
            for used in (record.model, record.reference)
        )
        stored = None
        if reference is not None and reference.outcomes_sha256:
            stored = StoredOutcomes(path.parents[1] / "models" / reference.name, reference.outcomes_sha256)
        made.append(Entry(record, path, model, reference, stored))
    return sorted(made, key=lambda entry: (entry.record.matrix, entry.record.method, entry.record.seed))


def _numbers(folder: Folder) -> Numbers:
    rows = [tuple(row) for one in folder.looked for row in one.examined.rows]
    draws = {key: drawn for one in folder.looked for key, drawn in one.examined.by_key.items()}
    return numbers_of(rows, draws, _entries(folder))


def _metrics(folder: Folder, found: Numbers) -> Iterator[str]:
    path, columns = folder.tree.root / FILE, [*COLUMNS, "inputs"]
    try:
        check_parquet(path, len(found.frame) + SPARE_ROWS, len(columns), ROW)
        kept = pq.read_table(path).to_pandas()
        kept = kept[columns].astype({**COLUMNS, "inputs": "str"})
    except UNREADABLE as error:
        yield f"cannot be read as the table of numbers: {error}".removesuffix("\n")
        return
    yield from differences(kept, found.frame)


def differences(kept: pd.DataFrame, made: pd.DataFrame) -> Iterator[str]:
    """Yield how a table of numbers differs from what the scores make: its first difference of each sort."""
    names = list(WHERE)
    if kept[names].equals(made[names]):
        both = kept.join(made.drop(columns=names).add_suffix("_made"))
    else:
        yield from _other_rows(kept[names], made[names])
        both = kept.merge(made, on=names, suffixes=("", "_made"))
    for column in ("value", "low", "high"):
        off = ~np.isclose(both[column], both[f"{column}_made"], rtol=0, atol=TOLERANCE, equal_nan=True)
        yield from _first(both, column, off)
    for column in ("n_good", "n_bad", "inputs"):
        yield from _first(both, column, (both[column] != both[f"{column}_made"]).to_numpy())


def _other_rows(kept: pd.DataFrame, made: pd.DataFrame) -> Iterator[str]:
    """Yield which numbers are twice, too many, too few or elsewhere in a table that has not the rows of the other."""
    own, other = ([tuple(row) for row in frame.itertuples(index=False)] for frame in (kept, made))
    if len(set(own)) < len(own):
        yield f"has {len(own) - len(set(own))} numbers twice"
    for what, names in (("that no scores make", set(own) - set(other)), ("too few", set(other) - set(own))):
        if names:
            yield f"has {len(names)} numbers {what}, the first {_place(min(names))}"
    if set(own) == set(other) and len(own) == len(other):
        yield "has its rows in another order than the scores make"


def _first(both: pd.DataFrame, column: str, off: Any) -> Iterator[str]:
    if off.any():
        row = both[off].iloc[0]
        where = _place(tuple(row[name] for name in WHERE))
        made = row[f"{column}_made"]
        yield f"{column} of {where} is {row[column]}, and the scores make {made} ({off.sum()} such rows)"


def _place(names: Sequence[Any]) -> str:
    matrix, kind, name, method, seed, metric = names
    return f"{matrix}, {method}, seed {seed}, {kind}/{name}, {metric or 'no number'}"


def _ranks(folder: Folder, made: str) -> Iterator[str]:
    try:
        kept = content(folder.tree.root / RANKS, LARGEST["ranks"]).decode("utf-8")
    except (BadRecord, UnicodeDecodeError) as error:
        yield f"cannot be read: {error}"
        return
    if kept == made:
        return
    lines, expected = kept.split("\n"), made.split("\n")
    at = next(
        (at for at, (a, b) in enumerate(zip(lines, expected, strict=False)) if a != b), min(len(lines), len(expected))
    )
    got, wanted = (found[at] if at < len(found) else "nothing" for found in (lines, expected))
    yield f"line {at + 1} is {got!r}, and the scores make {wanted!r}"
