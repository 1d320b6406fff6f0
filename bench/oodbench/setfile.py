"""A Parquet file of one value an input: columns kind, set, index and that value, rows sorted by the first three.

pandas, DuckDB and `datasets.load_dataset("parquet", ...)` read it as it is. What is in it has a sha256 of its own (see
`content_sha256`): the bytes of the file depend on the release of pyarrow that wrote it, its content does not.

Three things find damage. Every page has a checksum, which finds flipped bits. The file's metadata hold the sha256 of
its content, the seal, which finds values that another program changed and wrote again; `read_sets` checks
both. What a record says, finds another file in its place: whoever has the record compares (`scorefile`, `outcomes`).
Files that oodbench wrote before it sealed them have no seal, and are read without that check.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oodbench.errors import BadRecord
from oodbench.store import atomically

SetKey = tuple[str, str]
"""A kind of input ("test", "ood", "adversarial", "corruption", ...) and the name of a set of that kind."""

TYPES = {"float": np.dtype(np.float32), "double": np.dtype(np.float64), "bool": np.dtype(np.bool_)}
"""What a value may be, by Arrow's name."""

_SEAL = b"oodbench.sha256"
"""Under this name the file's metadata hold the sha256 of its content: a change is noticed without any record."""


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one set, and which inputs of it they belong to [n], ascending."""

    index: NDArray[np.int32]
    values: NDArray[Any]


Sets = Mapping[SetKey, Values]


def content_sha256(sets: Sets) -> str:
    """Return the sha256 (hex) of the content: the sets and their sizes, then every index, then every value, in order.

    Indices are hashed as little-endian int32; values as bool, float32, or float64 if any set has float64.
    """
    ordered = _in_order(sets)
    dtype = _common(ordered)
    sizes = [[*key, len(part.index)] for key, part in ordered]
    hashed = hashlib.sha256(json.dumps([str(dtype), sizes]).encode())
    for _, part in ordered:
        hashed.update(np.ascontiguousarray(part.index, "<i4").tobytes())
    for _, part in ordered:
        hashed.update(np.ascontiguousarray(part.values, dtype.newbyteorder("<")).tobytes())
    return hashed.hexdigest()


def write_sets(path: Path, column: str, sets: Sets) -> str:
    """Write sets to `path`, sealed, whole or not at all; return the sha256 of their content, which is the seal.

    Args:
        path: The file.
        column: Name of the column of values.
        sets: Values by kind and set, each in the order of its index; at least one set.
    """
    ordered = _in_order(sets)
    sha256 = content_sha256(sets)
    values = np.concatenate([part.values.astype(_common(ordered)) for _, part in ordered])
    index = np.concatenate([part.index for _, part in ordered])
    sizes = [len(part.index) for _, part in ordered]
    table = pa.table(
        {
            "kind": _repeated([kind for (kind, _), _ in ordered], sizes),
            "set": _repeated([name for (_, name), _ in ordered], sizes),
            "index": pa.array(index, pa.int32()),
            column: pa.array(values),
        }
    )
    floats = {column: "BYTE_STREAM_SPLIT"} if values.dtype.kind == "f" else {}
    with (
        atomically(path) as temporary,
        pq.ParquetWriter(
            temporary,
            table.schema,
            compression="zstd",
            compression_level=9,
            use_dictionary=["kind", "set"],
            column_encoding={"index": "DELTA_BINARY_PACKED", **floats},
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        writer.write_table(table, row_group_size=len(values) or 1)
        writer.add_key_value_metadata({_SEAL: sha256})
    return sha256


def read_sets(path: Path, column: str, what: str) -> tuple[dict[SetKey, Values], str]:
    """Return what `write_sets` wrote, and the sha256 of it.

    Args:
        path: The file.
        column: Name of the column of values.
        what: What the file is, for messages: "scores file".

    Raises:
        BadRecord: The file is absent, empty, truncated, damaged, changed after it was sealed, or not such a file.
    """
    table, sealed = _table(path, column, what)
    runs = list(_sets(table, column))
    sets = dict(runs)
    if [key for key, _ in runs] != sorted(sets) or any((np.diff(part.index) <= 0).any() for part in sets.values()):
        raise BadRecord(f"{path}: rows are not sorted by kind, set and index, or one stands there twice")
    sha256 = content_sha256(sets)
    if sealed not in (None, sha256):
        raise BadRecord(f"{path}: is damaged or was changed: its content has sha256 {sha256}, it says {sealed}")
    return sets, sha256


def _in_order(sets: Sets) -> list[tuple[SetKey, Values]]:
    return sorted(sets.items(), key=lambda one: one[0])


def _common(ordered: list[tuple[SetKey, Values]]) -> np.dtype[Any]:
    return np.result_type(*(part.values.dtype for _, part in ordered))


def _repeated(names: list[str], sizes: list[int]) -> pa.Array:
    return pa.array(np.repeat(np.array(names, dtype=object), sizes), pa.string())


def _table(path: Path, column: str, what: str) -> tuple[pa.Table, str | None]:
    """Return the columns of a file, of the right names and types and without gaps, and the seal."""
    try:
        with pq.ParquetFile(path, read_dictionary=["kind", "set"], page_checksum_verification=True) as file:
            table, seal = file.read(), (file.metadata.metadata or {}).get(_SEAL)
    except FileNotFoundError as error:
        raise BadRecord(f"{path}: no such {what}") from error
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        size = path.stat().st_size
        fault = "is empty" if size == 0 else f"is truncated, damaged or no {what} ({size} bytes: {error})"
        raise BadRecord(f"{path}: {fault}") from error
    types = {field.name: str(field.type) for field in table.schema}
    text = "dictionary<values=string, indices=int32, ordered=0>"
    right = {"kind": text, "set": text, "index": "int32"}
    if {name: types.get(name) for name in right} != right or [*types] != [*right, column] or types[column] not in TYPES:
        raise BadRecord(f"{path}: no {what}: its columns are {types}, expected kind, set, index (int32) and {column}")
    if any(one.null_count for one in table.columns):
        raise BadRecord(f"{path}: no {what}: it has empty cells")
    return table, seal.decode(errors="replace") if seal else None


def _sets(table: pa.Table, column: str) -> Iterator[tuple[SetKey, Values]]:
    """Yield the runs of rows that are of one set."""
    kinds, names = (table.column(name).unify_dictionaries().combine_chunks() for name in ("kind", "set"))
    codes = np.stack([_codes(kinds), _codes(names)])
    index, values = table.column("index").to_numpy(), table.column(column).to_numpy()
    changes = (np.diff(codes, axis=1) != 0).any(axis=0)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist()] if len(index) else []
    words = kinds.dictionary.to_pylist(), names.dictionary.to_pylist()
    for start, end in zip(starts, [*starts[1:], len(index)], strict=True):
        kind, name = (known[code] for known, code in zip(words, codes[:, start], strict=True))
        yield (kind, name), Values(index[start:end], values[start:end])


def _codes(array: Any) -> NDArray[np.int64]:
    return np.asarray(array.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
