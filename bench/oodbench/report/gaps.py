"""What a matrix lacks: skipped, failed, never run, or with nothing to measure, each with its reason."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from oodbench.data.matrix import Matrix
from oodbench.report.entries import Entry


class Gap(NamedTuple):
    """What is missing, and why; no kind of failure and no set: a whole record."""

    kind: str | None
    set: str | None
    status: str
    reason: str


class SharedGap(NamedTuple):
    """The same thing missing from several methods, at the same seeds."""

    gap: Gap
    seeds: tuple[int, ...]
    methods: tuple[str, ...]


class Has(NamedTuple):
    """How much of a matrix a method was measured on.

    Attributes:
        seeds: Seeds with scores.
        all_seeds: Of the matrix.
        sets: Sets of one kind of failure that each of these seeds has a number of.
        all_sets: Of the matrix.
    """

    seeds: int
    all_seeds: int
    sets: int
    all_sets: int

    @property
    def all(self) -> bool:
        """Whether there is nothing missing, as a rank needs it."""
        return self.all_sets > 0 and not self.lacking

    @property
    def lacking(self) -> str:
        """Seeds and sets where some are missing, "4 of 5 seeds, 7 of 8 sets"; else nothing."""
        counts = (self.seeds, self.all_seeds, "seeds"), (self.sets, self.all_sets, "sets")
        return ", ".join(f"{have} of {whole} {what}" for have, whole, what in counts if have < whole)


Lacking = tuple[str, int, Gap]
"""A method, a seed, and what they lack."""


def gaps(matrix: str, card: Matrix | None, entries: Sequence[Entry], frame: pd.DataFrame) -> list[SharedGap]:
    """Return what is missing from a matrix, alike things together.

    Args:
        matrix: Its name.
        card: The matrix itself, if it is known here.
        entries: Its entries.
        frame: Numbers, of any matrices.
    """
    found: dict[tuple[object, ...], Lacking] = {}
    for lacking in (
        *_recorded(entries),
        *_one_class(frame[frame["matrix"] == matrix]),
        *_never_run(matrix, card, entries),
    ):
        method, seed, gap = lacking
        found.setdefault((method, seed, gap.kind, gap.set), lacking)
    seeds: dict[tuple[str, Gap], list[int]] = {}
    for method, seed, gap in found.values():
        seeds.setdefault((method, gap), []).append(seed)
    methods: dict[tuple[Gap, tuple[int, ...]], list[str]] = {}
    for (method, gap), own in sorted(seeds.items(), key=repr):
        methods.setdefault((gap, tuple(sorted(own))), []).append(method)
    return [SharedGap(gap, at, tuple(names)) for (gap, at), names in methods.items()]


def _recorded(entries: Iterable[Entry]) -> Iterator[Lacking]:
    for entry in entries:
        record = entry.record
        if record.status != "ok":
            yield record.method, record.seed, Gap(None, None, record.status, record.reason or "")
        for cell in record.cells:
            yield record.method, record.seed, Gap(cell.failure, cell.name, cell.status, cell.reason or "")


def _one_class(frame: pd.DataFrame) -> Iterator[Lacking]:
    """Yield the sets that were scored and have nothing to measure: an attack that never worked, say."""
    for row in frame[frame["metric"] == ""].itertuples():
        side = "good" if not row.n_good else "bad"
        reason = f"{row.kind}/{row.set}: {side}: no scores, a one-class set: every metric needs good and bad inputs"
        yield str(row.method), int(str(row.seed)), Gap(str(row.kind), str(row.set), "skipped", reason)


def _never_run(matrix: str, card: Matrix | None, entries: Iterable[Entry]) -> Iterator[Lacking]:
    """Yield the matrix's seeds that a method has no record of."""
    seeds: dict[str, set[int]] = {}
    for entry in entries:
        seeds.setdefault(entry.record.method, set()).add(entry.record.seed)
    for method, run in seeds.items():
        how = f"run it: oodbench run {matrix} --methods {method}"
        yield from (
            (method, seed, Gap(None, None, "never run", how))
            for seed in (card.seeds if card else ())
            if seed not in run
        )
