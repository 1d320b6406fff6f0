"""Every number of a results folder, as one table: recomputed from the scores, once for each content of them.

`results/metrics.parquet` keeps the table, with what each number was computed from in the column `inputs`: only what is
new is measured. It is a cache: what it says of the scores that lie here is taken as it is, and `oodbench table --check`
and `oodbench verify` measure everything anew and compare. What ranks need besides (the metric on resampled inputs) is
kept in `results/.cache`, which git ignores.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oodbench.data.matrix import known_matrix
from oodbench.measure.cells import Cell, measure
from oodbench.measure.kinds import KINDS, TWINS, not_averaged
from oodbench.measure.resamples import drawn_mean
from oodbench.report.entries import Entry
from oodbench.store import atomically, digest

METRICS_VERSION = 6
"""Of the code that turns scores into numbers and draws: one more wherever a number changes."""

RESAMPLES = 200
"""Behind the interval of fpr95, and behind ranks."""

BASELINE = "msp"
"""The method that others are shown beside: the maximum softmax probability."""

RANKED_BY = "fpr95"
"""The metric that orders tables, and whose ranks stand wherever there is room for one."""

RANKINGS = (RANKED_BY, "auroc")
"""The metrics that have ranks."""

COLUMNS = {
    "matrix": "str",
    "kind": "str",
    "set": "str",
    "method": "str",
    "seed": "int64",
    "metric": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n_good": "int64",
    "n_bad": "int64",
}
"""Of the table: a row a number, in [0, 1] for shares; low and high are a 95 % interval, where there is one."""

FILE = "metrics.parquet"
CACHE = ".cache"

TOLERANCE = 1e-9
"""By how much a number may differ between machines, whose sums round differently."""

Floats = NDArray[np.float64]
Draws = dict[tuple[str, str, str], Floats]
"""A metric on resampled inputs, mean over an entry's sets [resamples], by its inputs, the kind and the metric."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Attributes:
        frame: Columns as in COLUMNS, and `inputs`; a row without a metric is a set with good or bad inputs alone.
        draws: For ranks.
    """

    frame: pd.DataFrame
    draws: Draws


def numbers(results: Path, entries: Sequence[Entry], *, trust: bool = True) -> Numbers:
    """Return the numbers of entries, in their order.

    Args:
        results: Their folder.
        entries: Of it.
        trust: Whether what was measured before is taken where its inputs are the same, byte for byte.

    Raises:
        BadRecord: A file of arrays is broken, or not the one that its record names.
        BadData: A score is NaN or infinite.
    """
    kept = read_metrics(results) if trust else _frame([])
    draws = _read_draws(results) if trust else {}
    verified = _read_verified(results) if trust else {}
    known = set(_names(kept))
    rows: list[tuple[Any, ...]] = []
    made: Draws = {}
    seals: dict[str, str] = {}
    scored = [entry for entry in entries if entry.record.scores_sha256 is not None]
    for entry in sorted(scored, key=_model):  # those of one model one after the other: they share resamples
        inputs, own = inputs_of(entry), _seals(results, entry)
        if any(verified.get(name) != seal for name, seal in own.items()):
            _ = entry.cells  # is read, and verified
        if _name(entry) not in known:
            rows += [row for cell in entry.cells for row in _rows(entry, cell, inputs)]
        made |= _draws(entry, inputs, draws)
        seals |= own
        entry.__dict__.pop("cells", None)  # the scores of all entries need not fit into memory
    _write_verified(results, verified, seals)
    frame = pd.concat([kept, _frame(rows)], ignore_index=True) if len(kept) and rows else _frame(rows) if rows else kept
    return Numbers(_in_order(frame, entries), made)


def measured(entry: Entry) -> tuple[list[tuple[Any, ...]], Draws]:
    """Return the rows and the draws of one entry, measured now.

    Raises:
        BadRecord: As `numbers`.
        BadData: Likewise.
    """
    inputs = inputs_of(entry)
    return [row for cell in entry.cells for row in _rows(entry, cell, inputs)], _draws(entry, inputs, {})


def numbers_of(rows: list[tuple[Any, ...]], draws: Draws, entries: Sequence[Entry]) -> Numbers:
    """Return what was measured of entries, their rows in order."""
    return Numbers(_in_order(_frame(rows), entries), draws)


def keep(results: Path, found: Numbers, matrix: str | None = None) -> None:
    """Write what was measured, for the next time; of one matrix alone, what is kept of the others stays."""
    old = read_metrics(results)
    frame, draws = found.frame, found.draws
    if matrix is not None:
        frame = pd.concat([old[old["matrix"] != matrix], frame]).sort_values("matrix", kind="stable")
        draws = _read_draws(results) | draws
    if not _same(old, frame, 0.0):
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
        with atomically(results / FILE) as temporary:
            pq.write_table(table, temporary, compression="zstd", compression_level=9, store_schema=False)
    if _read_draws(results).keys() != draws.keys():
        # Without a place to keep them they are drawn again the next time.
        with suppress(OSError), atomically(results / CACHE / "draws.npz") as temporary, temporary.open("wb") as file:
            keys = np.array(["\t".join(key) for key in draws], dtype=np.str_)
            np.savez(file, keys=keys, draws=np.array(list(draws.values())).reshape(len(draws), RESAMPLES))


def difference(results: Path, found: Numbers) -> str | None:
    """Return how the table that is kept differs from what was measured; None if it does not."""
    path = results / FILE
    if not path.exists():
        return f"{path} does not exist"
    return None if _same(read_metrics(results), found.frame, TOLERANCE) else f"{path} is not what the scores make"


def read_metrics(results: Path) -> pd.DataFrame:
    """Return the table that is kept; an empty one where there is none, or none that can be read."""
    try:
        frame: pd.DataFrame = pq.read_table(results / FILE).to_pandas()
        return frame[[*COLUMNS, "inputs"]].astype({**COLUMNS, "inputs": "str"})
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return _frame([])


def inputs_of(entry: Entry) -> str:
    """Return the sha256 (hex, its beginning) of all that the numbers of an entry are computed from."""
    outcomes = entry.outcomes.sha256 if entry.outcomes else None
    shifted = [sorted(entry.shifted)] if entry.shifted else []
    return digest(METRICS_VERSION, RESAMPLES, entry.record.scores_sha256, outcomes, entry.record.seed, *shifted)[:16]


def _model(entry: Entry) -> tuple[str, str, int]:
    return entry.record.matrix, entry.reference.name if entry.reference else "", entry.record.seed


def _name(entry: Entry) -> tuple[str, str, int, str]:
    return entry.record.matrix, entry.record.method, entry.record.seed, inputs_of(entry)


def _names(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield what a row belongs to, and what it was computed from."""
    columns = ("matrix", "method", "seed", "inputs")
    return zip(*(frame[column].to_numpy(dtype=object).tolist() for column in columns), strict=True)


def _rows(entry: Entry, cell: Cell, inputs: str) -> Iterable[tuple[Any, ...]]:
    record = entry.record
    where = record.matrix, cell.failure, cell.name, record.method, record.seed
    n = len(cell.good), len(cell.bad)
    if not all(n):
        yield (*where, "", None, None, None, *n, inputs)
        return
    metrics, intervals = measure(cell, RESAMPLES, record.seed)
    for metric, value in metrics.items():
        yield (*where, metric, value, *intervals.get(metric, (None, None)), *n, inputs)


def _draws(entry: Entry, inputs: str, known: Draws) -> Draws:
    """Return the draws of each kind of failure that an entry can be ranked in."""
    if found := {key: known[key] for key in _keys(inputs) if key in known}:
        return found
    by_kind: dict[str, list[Cell]] = {}
    apart = not_averaged(known_matrix(entry.record.matrix))
    for cell in entry.cells:
        if not cell.name.endswith(TWINS) and cell.name not in apart:
            by_kind.setdefault(cell.failure, []).append(cell)
    whole = {kind: own for kind, own in by_kind.items() if all(len(one.good) and len(one.bad) for one in own)}
    ranked = product(whole.items(), RANKINGS)
    return {(inputs, kind, metric): drawn_mean(own, metric, RESAMPLES) for (kind, own), metric in ranked}


def _keys(inputs: str) -> list[tuple[str, str, str]]:
    return [(inputs, kind, metric) for kind, metric in product(KINDS, RANKINGS)]


def _in_order(frame: pd.DataFrame, entries: Sequence[Entry]) -> pd.DataFrame:
    """Return the rows of entries in their order, each entry's in the order in which they were measured."""
    place = {_name(entry): at for at, entry in enumerate(entries) if entry.record.scores_sha256 is not None}
    places = np.array([place.get(name, -1) for name in _names(frame)], dtype=np.int64)
    order = np.argsort(places, kind="stable")
    return frame.iloc[order[(places >= 0)[order]]].reset_index(drop=True)


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*COLUMNS, "inputs"]).astype({**COLUMNS, "inputs": "str"})


def _same(a: pd.DataFrame, b: pd.DataFrame, tolerance: float) -> bool:
    """Whether two tables have the same rows, their numbers within a tolerance."""
    numeric = ["value", "low", "high"]
    if len(a) != len(b) or not a.drop(columns=numeric).reset_index(drop=True).equals(
        b.drop(columns=numeric).reset_index(drop=True)
    ):
        return False
    return bool(np.allclose(a[numeric].to_numpy(), b[numeric].to_numpy(), rtol=0, atol=tolerance, equal_nan=True))


def _read_draws(results: Path) -> Draws:
    try:
        with (results / CACHE / "draws.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            keys, draws = arrays["keys"].tolist(), arrays["draws"]
        split = (key.split("\t") for key in keys)
        return {(inputs, kind, metric): row for (inputs, kind, metric), row in zip(split, draws, strict=True)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _seals(results: Path, entry: Entry) -> dict[str, str]:
    """Return the sha256 of the bytes of an entry's files and of the content that its records name, by path."""
    said = {entry.scores: entry.record.scores_sha256}
    if entry.outcomes:
        said[entry.outcomes.path] = entry.outcomes.sha256
    return {path.relative_to(results).as_posix(): f"{_bytes_sha256(path)} {sha}" for path, sha in said.items()}


def _write_verified(results: Path, known: Mapping[str, str], seals: dict[str, str]) -> None:
    """Keep which bytes were found to have which content: they need not be decoded again."""
    if any(known.get(name) != seal for name, seal in seals.items()):
        with suppress(OSError), atomically(results / CACHE / "verified.json") as temporary:
            temporary.write_text(json.dumps({**known, **seals}, indent=0, sort_keys=True))


def _bytes_sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "absent"


def _read_verified(results: Path) -> Mapping[str, str]:
    try:
        content = json.loads((results / CACHE / "verified.json").read_text())
        return {str(name): str(seal) for name, seal in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}
