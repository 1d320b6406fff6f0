"""What a matrix lacks: skipped, failed and never run, each with its reason."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oodbench.data.matrix import load_matrices
from oodbench.records import Record
from oodbench.report.markdown import NONE, table
from oodbench.report.numbers import Gap


class Missing(NamedTuple):
    """What is missing, and why; no kind of failure and no set: a whole record."""

    failure: str | None
    set: str | None
    status: str
    reason: str


class Hole(NamedTuple):
    """The same thing missing from several methods, at the same seeds."""

    missing: Missing
    seeds: tuple[int, ...]
    methods: tuple[str, ...]


def holes(matrix: str, records: Sequence[Record], gaps: Iterable[Gap]) -> list[Hole]:
    """Return what is missing from a matrix, alike things together."""
    seeds: dict[tuple[str, Missing], list[int]] = {}
    for gap in [*(gap for gap in gaps if gap.matrix == matrix), *_never_run(matrix, records)]:
        missing = Missing(gap.failure, gap.set, gap.status, gap.reason)
        seeds.setdefault((gap.method, missing), []).append(gap.seed)
    methods: dict[tuple[Missing, tuple[int, ...]], list[str]] = {}
    for (method, missing), lacking in sorted(seeds.items(), key=repr):
        methods.setdefault((missing, tuple(sorted(lacking))), []).append(method)
    return [Hole(missing, at, tuple(names)) for (missing, at), names in methods.items()]


def hole_table(found: Iterable[Hole]) -> str:
    """Return holes as a table."""
    headers = ("Methods", "Seeds", "Kind", "Set", "Status", "Reason")
    rows = [
        [
            ", ".join(f"`{method}`" for method in hole.methods),
            ", ".join(map(str, hole.seeds)),
            hole.missing.failure or "all",
            hole.missing.set or "all",
            hole.missing.status,
            hole.missing.reason or NONE,
        ]
        for hole in found
    ]
    return table(headers, rows, headers)


def _never_run(matrix: str, records: Sequence[Record]) -> list[Gap]:
    """Return the matrix's seeds that a method has no record of."""
    card = load_matrices().get(matrix)
    seeds: dict[str, set[int]] = {}
    for record in records:
        seeds.setdefault(record.method, set()).add(record.seed)
    return [
        Gap(matrix, None, None, method, seed, "never run", f"run it: oodbench run {matrix} --methods {method}")
        for method, run in seeds.items()
        for seed in (card.seeds if card else ())
        if seed not in run
    ]
