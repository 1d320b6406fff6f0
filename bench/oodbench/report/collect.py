"""From a results folder to entries: every record, verified against its scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import BadRecord
from oodbench.measure.cells import Cell, cells
from oodbench.records import Record, read_record, read_scores, record_paths, verify

REPORTED = "reported"
"""The folder beside the matrices that holds the papers' own numbers."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One (matrix, method, seed): its record and, where it has scores, the cells that they make."""

    record: Record
    cells: tuple[Cell, ...]


def collect(results: Path, matrix: str | None = None) -> list[Entry]:
    """Return the entries below `results`, of one matrix or of all, sorted by matrix, method and seed.

    Raises:
        BadRecord: A record is broken, newer than this program, not the one that its path names, or does not match its
            scores file.
        BadData: A score is NaN or infinite.
    """
    return [_entry(results, record) for record in _records(results, matrix)]


def _records(results: Path, matrix: str | None) -> Iterator[Record]:
    if not results.is_dir():
        raise BadRecord(f"{results}: no such folder of results; make one: oodbench run tiny-v1")
    paths = [path for path in results.glob(f"{matrix or '*'}/*/*.json") if not path.name.endswith(".cost.json")]
    records = [_own(results, path) for path in paths if path.relative_to(results).parts[0] != REPORTED]
    yield from sorted(records, key=lambda record: (record.matrix, record.method, record.seed))


def _own(results: Path, path: Path) -> Record:
    """Return the record at `path`, which must be where its content says it belongs."""
    record = read_record(path)
    home = record_paths(results, record.matrix, record.method, record.seed).record
    if home != path:
        raise BadRecord(f"{path}: holds the record of {record.matrix}, {record.method}, seed {record.seed}: {home}")
    return record


def _entry(results: Path, record: Record) -> Entry:
    if record.scores_sha256 is None:
        return Entry(record, ())
    path = record_paths(results, record.matrix, record.method, record.seed).scores
    verify(record, path)
    return Entry(record, tuple(cells(read_scores(path))))
