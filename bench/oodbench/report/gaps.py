"""What a matrix lacks: skipped, failed, never run, or with nothing to measure, each with its reason."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from oodbench.data.matrix import Matrix
from oodbench.report.entries import Entry


class Missing(NamedTuple):
    """What is missing, and why; no kind of failure and no set: a whole record."""

    kind: str | None
    set: str | None
    status: str
    reason: str


class Hole(NamedTuple):
    """The same thing missing from several methods, at the same seeds."""

    missing: Missing
    seeds: tuple[int, ...]
    methods: tuple[str, ...]


Gap = tuple[str, int, Missing]
"""A method, a seed, and what they lack."""


def holes(matrix: str, card: Matrix | None, entries: Sequence[Entry], frame: pd.DataFrame) -> list[Hole]:
    """Return what is missing from a matrix, alike things together.

    Args:
        matrix: Its name.
        card: The matrix itself, if it is known here.
        entries: Its entries.
        frame: Numbers, of any matrices.
    """
    gaps: dict[tuple[object, ...], Gap] = {}
    for gap in (*_recorded(entries), *_one_class(frame[frame["matrix"] == matrix]), *_never_run(matrix, card, entries)):
        method, seed, missing = gap
        gaps.setdefault((method, seed, missing.kind, missing.set), gap)
    seeds: dict[tuple[str, Missing], list[int]] = {}
    for method, seed, missing in gaps.values():
        seeds.setdefault((method, missing), []).append(seed)
    methods: dict[tuple[Missing, tuple[int, ...]], list[str]] = {}
    for (method, missing), lacking in sorted(seeds.items(), key=repr):
        methods.setdefault((missing, tuple(sorted(lacking))), []).append(method)
    return [Hole(missing, at, tuple(names)) for (missing, at), names in methods.items()]


def _recorded(entries: Iterable[Entry]) -> Iterator[Gap]:
    for entry in entries:
        record = entry.record
        if record.status != "ok":
            yield record.method, record.seed, Missing(None, None, record.status, record.reason or "")
        for cell in record.cells:
            yield record.method, record.seed, Missing(cell.failure, cell.name, cell.status, cell.reason or "")


def _one_class(frame: pd.DataFrame) -> Iterator[Gap]:
    """Yield the sets that were scored and have nothing to measure: an attack that never worked, say."""
    for row in frame[frame["metric"] == ""].itertuples():
        side = "good" if not row.n_good else "bad"
        reason = f"{row.kind}/{row.set}: {side}: no scores, a one-class set: every metric needs good and bad inputs"
        yield str(row.method), int(str(row.seed)), Missing(str(row.kind), str(row.set), "skipped", reason)


def _never_run(matrix: str, card: Matrix | None, entries: Iterable[Entry]) -> Iterator[Gap]:
    """Yield the matrix's seeds that a method has no record of."""
    seeds: dict[str, set[int]] = {}
    for entry in entries:
        seeds.setdefault(entry.record.method, set()).add(entry.record.seed)
    for method, run in seeds.items():
        how = f"run it: oodbench run {matrix} --methods {method}"
        yield from (
            (method, seed, Missing(None, None, "never run", how))
            for seed in (card.seeds if card else ())
            if seed not in run
        )
