"""A result in a folder: `scores.parquet` holds all of it, the rest is made of that for people.

    report/scores.parquet   columns method, kind ("test", "ood", "adversarial"), set, index, score: a row a score;
                            what is not a score stands in the schema's metadata, as JSON
    report/metrics.csv      every metric with its interval
    report/report.md        for people, with the pictures in report/figures/

One file is written whole or not at all, so a result is never half of one and half of another. Nothing is unpickled.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oodbench.errors import BadRecord, NewerRecord
from oodbench.records import Changed, Fooled, Outcomes, Scores
from oodbench.result.rows import Judged
from oodbench.store import atomically

if TYPE_CHECKING:
    from oodbench.result.result import Result

FILE, REPORT, METRICS, FIGURES = "scores.parquet", "report.md", "metrics.csv", "figures"

VERSION = 1
"""Of the layout."""

_KEY = b"oodbench.result"

TYPES = {"method": "string", "kind": "string", "set": "string", "index": "int32", "score": "double"}

Found = dict[str, dict[tuple[str, str], tuple[NDArray[Any], NDArray[Any]]]]
"""Index and score by method, kind and set."""


def save(result: "Result", folder: Path) -> Path:
    """Write a result; see `Result.save`."""
    from oodbench.result.report import report, write_pictures

    file = folder / FILE
    if file.exists():
        _read(file)  # what no result wrote is not replaced
    parts = list(_parts(result))
    table = pa.table(
        {
            **{
                name: pa.array(
                    np.repeat(np.array([part[place] for part in parts], dtype=object), [len(p[3]) for p in parts]),
                    pa.string(),
                )
                for place, name in enumerate(("method", "kind", "set"))
            },
            "index": pa.array(np.concatenate([np.empty(0, np.int32), *(part[3] for part in parts)]), pa.int32()),
            "score": pa.array(np.concatenate([np.empty(0), *(part[4] for part in parts)]), pa.float64()),
        }
    )
    described = _described(result)
    described["sha256"] = _sha256(table, described)
    table = table.replace_schema_metadata({_KEY: json.dumps(described, sort_keys=True).encode()})
    with atomically(file) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    with atomically(folder / METRICS) as temporary:
        result.metrics.to_csv(temporary, index=False)
    pictures = write_pictures(result, folder / FIGURES)
    with atomically(folder / REPORT) as temporary:
        temporary.write_text(report(result, [path.relative_to(folder) for path in pictures]), encoding="utf-8")
    return folder


def load(folder: str | Path) -> "Result":
    """Return the result that `Result.save` wrote into a folder.

    Args:
        folder: The same.

    Raises:
        BadRecord: There is no result in it, or it is truncated, damaged, or what another program wrote.
        NewerRecord: A newer oodbench wrote it.

    Example:
        >>> folder = result.save("kept")
        >>> oodbench.load("kept").accuracy == result.accuracy
        True
    """
    from oodbench.result.result import Result

    file = Path(folder) / FILE
    table, said = _read(file)
    found = _grouped(table)
    try:
        n = int(said["test_images"])
        correct = np.ones(n, dtype=bool)
        correct[np.array(said["wrong"], dtype=np.int64)] = False
        attacks = {
            name: Fooled(np.array(one["index"], dtype=np.int32), np.array(one["fooled"], dtype=bool))
            for name, one in said["attacks"].items()
        }
        judged = [_judged(one, found.pop(one["method"], {}), n, file) for one in said["judged"]]
        result = Result(said["accuracy"], Outcomes(correct, attacks), judged, said["doubts"], said["seed"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadRecord(f"{file}: is damaged: its description lacks or misstates {error}; save it again") from error
    if found:
        raise BadRecord(f"{file}: is damaged: it has scores of {', '.join(found)}, which it does not describe")
    return result


def _parts(result: "Result") -> Iterator[tuple[str, str, str, NDArray[Any], NDArray[Any]]]:
    for one in result.judged:
        if one.scores is None:
            continue
        whole = {("test", "test"): one.scores.test} | {("ood", name): s for name, s in one.scores.ood.items()}
        for (kind, name), scores in whole.items():
            yield one.method, kind, name, np.arange(len(scores), dtype=np.int32), scores.astype(np.float64)
        for name, attacked in one.scores.adversarial.items():
            yield one.method, "adversarial", name, attacked.index, attacked.scores.astype(np.float64)


def _described(result: "Result") -> dict[str, Any]:
    return {
        "version": VERSION,
        "accuracy": dict(result.accuracy),
        "doubts": list(result.doubts),
        "seed": result.seed,
        "test_images": len(result.correct),
        "wrong": np.flatnonzero(~result.correct).tolist(),
        "attacks": {
            name: {"index": one.index.tolist(), "fooled": one.fooled.tolist()} for name, one in result.attacks.items()
        },
        "judged": [_facts(one) for one in result.judged],
    }


def _facts(one: Judged) -> dict[str, Any]:
    return {
        "method": one.method,
        "ran": one.scores is not None,
        "forward": one.forward,
        "gradient": one.gradient,
        "why": one.why,
        "doubts": list(one.doubts),
        "of_sets": {name: list(notes) for name, notes in one.of_sets.items()},
        "failed": [[*key, why] for key, why in one.failed.items()],
    }


def _judged(said: Mapping[str, Any], found: Mapping[tuple[str, str], Any], n: int, file: Path) -> Judged:
    scores = None
    if said["ran"]:
        test = found["test", "test"][1]
        if len(test) != n:
            raise BadRecord(
                f"{file}: {said['method']} has {len(test)} scores of {n} test images; save the result again"
            )
        scores = Scores(
            test,
            {name: values for (kind, name), (_, values) in found.items() if kind == "ood"},
            {name: Changed(values, index) for (kind, name), (index, values) in found.items() if kind == "adversarial"},
        )
    return Judged(
        method=said["method"],
        scores=scores,
        forward=said["forward"],
        gradient=said["gradient"],
        why=said["why"],
        doubts=said["doubts"],
        of_sets=said["of_sets"],
        failed={(failure, name): why for failure, name, why in said["failed"]},
    )


def _read(file: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return the table of a result and its description, both whole."""
    if not file.parent.is_dir():
        raise BadRecord(f"{file.parent}: no such folder; expected one that result.save(...) wrote")
    if not file.is_file():
        inside = ", ".join(sorted(path.name for path in file.parent.iterdir())[:5]) or "nothing"
        raise BadRecord(f"{file.parent}: holds no {FILE}, but {inside}; expected a folder that result.save(...) wrote")
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            table = opened.read()
    except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
        raise BadRecord(f"{file}: is truncated or damaged ({file.stat().st_size} bytes: {error})") from error
    try:
        said = json.loads((table.schema.metadata or {})[_KEY])
        version = int(said["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecord(f"{file}: no result of oodbench.evaluate wrote it: columns {table.column_names}") from error
    if version > VERSION:
        raise NewerRecord(f"{file}: of layout {version}, and this oodbench reads up to {VERSION}; install a newer one")
    types = {field.name: str(field.type) for field in table.schema}
    if types != TYPES:
        raise BadRecord(f"{file}: is damaged: its columns are {types}, expected {TYPES}")
    if (sha256 := _sha256(table, said)) != said.get("sha256"):
        raise BadRecord(f"{file}: is damaged: its content has sha256 {sha256}, it says {said.get('sha256')}")
    return table, said


def _sha256(table: pa.Table, said: Mapping[str, Any]) -> str:
    """Return the sha256 of all scores, of whose and which they are, and of what is said of them."""
    rest = {key: value for key, value in said.items() if key != "sha256"}
    hashed = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in ("method", "kind", "set"):
        hashed.update(json.dumps(_runs(_words(table, name))).encode())
    hashed.update(table.column("index").to_numpy().astype("<i4").tobytes())
    hashed.update(table.column("score").to_numpy().astype("<f8").tobytes())
    return hashed.hexdigest()


def _words(table: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(table.column(name).to_pylist(), dtype=object)


def _runs(words: NDArray[Any]) -> list[tuple[Any, int]]:
    """Return the runs of equal words, and where each begins."""
    starts = [0, *(np.flatnonzero(words[1:] != words[:-1]) + 1).tolist()] if len(words) else []
    return [(words[start], start) for start in starts]


def _grouped(table: pa.Table) -> Found:
    index, score = table.column("index").to_numpy(), table.column("score").to_numpy()
    keys = [_words(table, name) for name in ("method", "kind", "set")]
    starts = sorted({start for words in keys for _, start in _runs(words)})
    found: Found = {}
    for start, end in pairwise([*starts, len(index)]):
        method, kind, name = (words[start] for words in keys)
        found.setdefault(method, {})[kind, name] = (index[start:end], score[start:end])
    return found
