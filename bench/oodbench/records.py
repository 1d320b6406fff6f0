"""The files of a results folder: records, scores, costs, and what belongs to a model.

    results/<matrix>/<method>/<seed>.json          Record: where the scores come from
    results/<matrix>/<method>/<seed>.parquet       Scores: what every number is computed from
    results/<matrix>/<method>/<seed>.cost.json     Cost: the only file whose bytes differ between two equal runs
    results/<matrix>/<method>/<seed>.failed.txt    the traceback of a run that failed
    results/<matrix>/models/<name>/<seed>.json     ModelRecord: how good the model is, its bits, what attacks achieved
    results/<matrix>/models/<name>/<seed>.parquet  Outcomes: which of its inputs a classifier gets wrong

Old schemas stay readable: `tests/fixtures/records` holds one record of each.
"""

import hashlib
import json
import re
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from oodbench.errors import BadRecord, NewerRecord
from oodbench.outcomes import Fooled, Outcomes, read_outcomes
from oodbench.schema import (
    SCHEMA_VERSION,
    AdaptiveAttack,
    Attack,
    Calibration,
    CellRecord,
    Citation,
    Corrupted,
    Cost,
    DataUsed,
    Environment,
    Git,
    ModelRecord,
    ModelUsed,
    Parameters,
    Passes,
    Quality,
    Record,
    Scaled,
)
from oodbench.scorefile import Adapted, Changed, Scores, read_scores, write_scores
from oodbench.store import atomically
from oodbench.upgrade import upgraded

__all__ = [
    "Adapted",
    "AdaptiveAttack",
    "Attack",
    "Calibration",
    "CellRecord",
    "Changed",
    "Citation",
    "Corrupted",
    "Cost",
    "DataUsed",
    "Environment",
    "Fooled",
    "Git",
    "ModelPaths",
    "ModelRecord",
    "ModelUsed",
    "Outcomes",
    "Parameters",
    "Passes",
    "Quality",
    "Record",
    "RecordPaths",
    "Scaled",
    "Scores",
    "model_paths",
    "model_sha256",
    "read_cost",
    "read_model",
    "read_outcomes",
    "read_record",
    "read_scores",
    "record_paths",
    "verify",
    "write_cost",
    "write_model",
    "write_record",
    "write_scores",
]

M = TypeVar("M", bound=BaseModel)


MODELS = "models"
"""The folder of a matrix that holds its models; no method may have this name."""


NO_MATRIX = frozenset({"diagnostics", "methods", "reported"})
"""Folders beside those of the matrices, in results or among the generated pages; no matrix may have these names."""


class RecordPaths(NamedTuple):
    """The files of one (matrix, method, seed); `failure` holds the traceback of a run that failed."""

    record: Path
    scores: Path
    cost: Path
    failure: Path


class ModelPaths(NamedTuple):
    """The two files of one (matrix, model, seed)."""

    record: Path
    outcomes: Path


def record_paths(results: Path, matrix: str, method: str, seed: int) -> RecordPaths:
    """Return where the files of one (matrix, method, seed) stand below the folder `results`.

    Raises:
        BadRecord: A name would leave the folder, or is the one of the models' folder.
    """
    if method == MODELS:
        raise BadRecord(
            f"no method may be named {MODELS!r}: {results / matrix / MODELS} holds the models of the matrix"
        )
    if matrix in NO_MATRIX:
        raise BadRecord(f"no matrix may be named {matrix!r}: {results / matrix} holds something else")
    folder = results / _folder(matrix) / _folder(method)
    endings = ("json", "parquet", "cost.json", "failed.txt")
    return RecordPaths(*(folder / f"{seed}.{ending}" for ending in endings))


def model_paths(results: Path, matrix: str, model: str, seed: int) -> ModelPaths:
    """Return where the files of one (matrix, model, seed) stand below the folder `results`.

    Raises:
        BadRecord: A name would leave the folder.
    """
    folder = results / _folder(matrix) / MODELS / _folder(model)
    return ModelPaths(folder / f"{seed}.json", folder / f"{seed}.parquet")


def _folder(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@._+-]*", name):
        raise BadRecord(f"{name!r} cannot name a folder of results (expected letters, digits and any of @ . _ + -)")
    return name


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
    return _parse(Record, json.dumps(upgraded(_unsealed(read_content(_read(path), path), path))), path)


def write_model(path: Path, model: ModelRecord) -> None:
    """Write the record of a model to `path`, whole or not at all; equal records make equal bytes."""
    _write(path, model)


def read_model(path: Path) -> ModelRecord:
    """Read the record of a model.

    Raises:
        BadRecord: The file is absent, broken, foreign, or written by a newer oodbench.
    """
    return _parse(ModelRecord, json.dumps(_unsealed(read_content(_read(path), path), path)), path)


NOT_CONTENT = {"schema_version", "recipe", "key", "source_sha256", "machine", "calibration"}
"""Fields of the record of a model that say where it comes from, not what it is and does.

Calibration is one: it came later, and follows from the same logits as all else.
"""


def model_sha256(model: ModelRecord) -> str:
    """Return the sha256 (hex) of what a model is and does: its numbers and outcomes, not where it comes from."""
    younger = {"attacks": {"__all__": {"unmoved"}}}  # than records whose sha256 others have: it follows from the images
    content = model.model_dump(mode="json", exclude={**dict.fromkeys(NOT_CONTENT, True), **younger}, exclude_none=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_cost(path: Path, cost: Cost) -> None:
    """Write `cost` to `path`, whole or not at all."""
    _write(path, cost, sealed=False)


def read_cost(path: Path) -> Cost:
    """Read what `write_cost` wrote.

    Raises:
        BadRecord: The file is absent, broken or foreign.
    """
    return _parse(Cost, _read(path), path)


def verify(record: Record, path: Path) -> Scores:
    """Return the scores at `path`, which must be those that `record` names.

    Raises:
        BadRecord: The file is absent or broken, or its content has not the record's sha256.
        BadData: A score is NaN or infinite.
    """
    remake = f"remake both: {command(record)}"
    if record.scores_sha256 is None:
        raise BadRecord(f"{path}: the record of {record.method} is {record.status} and names no scores file; {remake}")
    try:
        return read_scores(path, record.scores_sha256)
    except BadRecord as error:
        raise BadRecord(f"{error}; {remake}") from error


def command(record: Record) -> str:
    """Return the command that makes a record."""
    return f"oodbench run {record.matrix} --methods {record.method} --seeds {record.seed}"


def promise(record: Record) -> tuple[str | None, int, str, str | None]:
    """Return between what records equal bytes are promised: class of machine, threads, dtype, release of torch."""
    where = record.environment
    return where.machine, where.threads, where.dtype, record.packages.get("torch")


SEAL = "seal"
"""Under this name a record holds the sha256 of all else in it: a bit that flipped is noticed."""


YOUNGER = frozenset({"adaptive", "attacks_failed"})
"""Fields that stand in files only where they are not empty: a record without them has the bytes that it always had."""


def _write(path: Path, model: BaseModel, *, sealed: bool = True) -> None:
    content = {name: value for name, value in model.model_dump(mode="json").items() if value or name not in YOUNGER}
    try:
        said = content | ({SEAL: _sha256(content)} if sealed else {})
        text = json.dumps(said, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise BadRecord(f"{path}: a record holds finite numbers only: {error}") from error
    with atomically(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadRecord(f"{path}: no such record") from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"{path}: not a record: not a text file") from error
    except OSError as error:
        raise BadRecord(f"{path}: cannot be read: {error.strerror}") from error


def read_content(text: str, path: Path) -> dict[str, Any]:
    """Return what a file of this or an older schema holds; `path` stands in messages."""
    try:
        content = json.loads(text, parse_float=_finite)
    except RecursionError as error:
        raise BadRecord(f"{path}: not an oodbench record: nested too deeply") from error
    except ValueError as error:
        raise BadRecord(f"{path}: {'empty' if not text.strip() else f'truncated or not JSON: {error}'}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1:
        raise BadRecord(
            f"{path}: not an oodbench record: schema_version is {version!r}, expected 1 to {SCHEMA_VERSION}"
        )
    if version > SCHEMA_VERSION:
        raise NewerRecord(
            f"{path}: written by a newer oodbench; upgrade "
            f"(schema {version}, this program reads up to {SCHEMA_VERSION}): pip install --upgrade oodbench"
        )
    return dict(content)


def _finite(text: str) -> float:
    """Return a number of a file; one that is too large for a float would be read as infinite."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _unsealed(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a record's content without its seal, which must fit; a record without one is taken as it is."""
    seal = content.pop(SEAL, None)
    if seal is not None and seal != _sha256(content):
        raise BadRecord(f"{path}: is damaged, or was changed by hand: its seal does not fit its content")
    return content


def _parse(model: type[M], text: str, path: Path) -> M:
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}" for fault in error.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise BadRecord(f"{path}: {'; '.join(faults[:3])}{more}") from error
