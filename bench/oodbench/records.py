"""The record: the frozen, self-describing JSON of one (matrix, method, seed), beside its scores file and its cost.

    results/<matrix>/<method>/<seed>.json        Record: numbers and where they come from
    results/<matrix>/<method>/<seed>.npz         Scores: what the numbers are computed from
    results/<matrix>/<method>/<seed>.cost.json   Cost: the only file whose bytes differ between two equal runs

Old schemas stay readable: `tests/fixtures/records` holds one record of each.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from oodbench.errors import BadRecord, NewerRecord
from oodbench.schema import (
    SCHEMA_VERSION,
    Attack,
    CellRecord,
    Citation,
    Cost,
    DataUsed,
    Environment,
    Failure,
    Git,
    ModelRecord,
    Parameters,
    Passes,
    Record,
)
from oodbench.scorefile import Attacked, Scores, read_scores, write_scores
from oodbench.store import atomically
from oodbench.upgrade import upgraded

__all__ = [
    "Attack",
    "Attacked",
    "CellRecord",
    "Citation",
    "Cost",
    "DataUsed",
    "Environment",
    "Failure",
    "Git",
    "ModelRecord",
    "Parameters",
    "Passes",
    "Record",
    "RecordPaths",
    "Scores",
    "read_cost",
    "read_record",
    "read_scores",
    "record_paths",
    "verify",
    "write_cost",
    "write_record",
    "write_scores",
]

M = TypeVar("M", bound=BaseModel)


class RecordPaths(NamedTuple):
    """The files of one (matrix, method, seed); `failure` holds the traceback of a run that failed."""

    record: Path
    scores: Path
    cost: Path
    failure: Path


def record_paths(results: Path, matrix: str, method: str, seed: int) -> RecordPaths:
    """Return where the files of one (matrix, method, seed) stand below the folder `results`.

    Raises:
        BadRecord: A name would leave the folder.
    """
    for name in (matrix, method):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@._+-]*", name):
            raise BadRecord(f"{name!r} cannot name a folder of results (expected letters, digits and any of @ . _ + -)")
    folder = results / matrix / method
    return RecordPaths(
        folder / f"{seed}.json", folder / f"{seed}.npz", folder / f"{seed}.cost.json", folder / f"{seed}.failed.txt"
    )


def write_record(path: Path, record: Record) -> None:
    """Write `record` to `path`, whole or not at all; equal records make equal bytes.

    Raises:
        BadRecord: A parameter or the recipe holds a NaN or an infinity.
    """
    _write(path, record)


def read_record(path: Path) -> Record:
    """Read a record of this or any older schema.

    Raises:
        BadRecord: The file is absent, broken, foreign, or written by a newer oodbench.
    """
    text = _read(path)
    content = _content(text, path)
    version = content["schema_version"]
    if version > SCHEMA_VERSION:
        raise NewerRecord(
            f"{path}: written by a newer oodbench; upgrade "
            f"(schema {version}, this program reads up to {SCHEMA_VERSION}): pip install --upgrade oodbench"
        )
    return _parse(Record, text if version == SCHEMA_VERSION else json.dumps(upgraded(content)), path)


def write_cost(path: Path, cost: Cost) -> None:
    """Write `cost` to `path`, whole or not at all."""
    _write(path, cost)


def read_cost(path: Path) -> Cost:
    """Read what `write_cost` wrote.

    Raises:
        BadRecord: The file is absent, broken or foreign.
    """
    return _parse(Cost, _read(path), path)


def verify(record: Record, path: Path) -> None:
    """Check that the scores file at `path` is the one that `record` was computed from.

    Raises:
        BadRecord: The file is absent, or its sha256 is not the record's.
    """
    remake = f"remake both: oodbench run {record.matrix} --methods {record.method} --seeds {record.seed}"
    if record.scores_sha256 is None:
        raise BadRecord(f"{path}: the record of {record.method} is {record.status} and names no scores file; {remake}")
    if not path.exists():
        raise BadRecord(f"{path}: no such scores file; the record names sha256 {record.scores_sha256}; {remake}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != record.scores_sha256:
        raise BadRecord(
            f"{path}: the scores file does not match its record: sha256 is {found}, "
            f"the record says {record.scores_sha256}; {remake}"
        )


def _write(path: Path, model: BaseModel) -> None:
    try:
        text = json.dumps(model.model_dump(mode="json"), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise BadRecord(f"{path}: a record holds finite numbers only: {error}") from error
    with atomically(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadRecord(f"{path}: no such record") from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"{path}: not a record: not a text file") from error


def _content(text: str, path: Path) -> dict[str, Any]:
    """Return what the file holds, with a schema number; the rest of a newer record may mean anything."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise BadRecord(f"{path}: {'empty' if not text.strip() else f'truncated or not JSON: {error}'}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1:
        raise BadRecord(
            f"{path}: not an oodbench record: schema_version is {version!r}, expected 1 to {SCHEMA_VERSION}"
        )
    return dict(content)


def _parse(model: type[M], text: str, path: Path) -> M:
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}" for fault in error.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise BadRecord(f"{path}: {'; '.join(faults[:3])}{more}") from error
