"""Files of an unknown origin, read within bounds that are known before: sizes, nesting, pages.

A Parquet file says itself how large its pages are once they are unpacked, and a reader believes it: these headers are
read first, and no file is unpacked that would come to more than its matrix allows.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oodbench.errors import BadRecord

DEEPEST_JSON = 24
"""Brackets within brackets; records have five."""

FOOTER = 64 << 10
"""Bytes of a Parquet footer; those of scores have 600."""

ROW = 64
"""Bytes that a row may have, unpacked: two words of a dictionary, an index, a score, and what surrounds them."""

SPARE = 256 << 10
"""Bytes beside the rows."""


def content(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file, at most `most` of them; a link is not followed, a pipe is not waited for.

    Raises:
        BadRecord: It is no plain file, is larger, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BadRecord(f"cannot be read: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise BadRecord("is no plain file")
        if about.st_size > most:
            raise BadRecord(f"has {about.st_size} bytes, expected at most {most}; it is not read")
        return file.read(most + 1)[:most]


def json_of(raw: bytes) -> dict[str, Any]:
    """Return the object that JSON text holds.

    Raises:
        BadRecord: It is no JSON object, is nested too deeply, has a key twice, or a number that is not finite.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRecord("is not a text file") from error
    _check_nesting(text)
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"{'is empty' if not text.strip() else f'is truncated or not JSON: {error}'}") from error
    if not isinstance(found, dict):
        raise BadRecord(f"holds a {type(found).__name__}, expected an object")
    return found


def _check_nesting(text: str) -> None:
    """Refuse what is nested more deeply than any record, before a parser goes down there."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST_JSON:
            raise BadRecord(f"is nested more than {DEEPEST_JSON} deep")


_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadRecord(f"has the key {twice!r} more than once: what it says depends on who reads it")
    return found


def _finite(word: str) -> Any:
    raise BadRecord(f"holds the number {word}; every number must be finite")


def check_parquet(path: Path, rows: int, columns: int, row: int = ROW) -> int:
    """Check, without unpacking anything, that a Parquet file comes to no more than it may; return its rows.

    Args:
        path: The file.
        rows: It may have.
        columns: It must have.
        row: Bytes that a row may have, unpacked.

    Raises:
        BadRecord: It is no plain file, no Parquet file, or holds more.
    """
    most = row * rows + SPARE
    raw = content(path, most)
    if len(raw) < 12 or raw[:4] != b"PAR1" or raw[-4:] != b"PAR1":
        raise BadRecord(f"is truncated or no Parquet file ({len(raw)} bytes)")
    footer = int.from_bytes(raw[-8:-4], "little")
    if footer > min(FOOTER, len(raw) - 12):
        raise BadRecord(f"says that its footer has {footer} bytes, expected at most {min(FOOTER, len(raw) - 12)}")
    try:
        meta = pq.read_metadata(pa.BufferReader(raw))
        found, chunks = int(meta.num_rows), list(_chunks(meta))
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError, IndexError) as error:
        raise BadRecord(f"has a footer that cannot be read: {error}") from error
    if meta.num_columns != columns:
        raise BadRecord(f"has {meta.num_columns} columns, expected {columns}")
    if not 0 <= found <= rows or any(one.num_values > rows for one in chunks):
        raise BadRecord(f"says that it has {found} rows, expected at most {rows}")
    unpacked = sum(_unpacked(raw, one, rows, most) for one in chunks)
    if unpacked > most:
        raise BadRecord(f"unpacks to {unpacked} bytes, expected at most {most} for {rows} rows; it is not unpacked")
    return found


def _chunks(meta: Any) -> Iterator[Any]:
    if meta.num_row_groups > 64:
        raise ValueError(f"{meta.num_row_groups} groups of rows")
    for group in range(meta.num_row_groups):
        for column in range(meta.num_columns):
            yield meta.row_group(group).column(column)


def _unpacked(raw: bytes, chunk: Any, rows: int, most: int) -> int:
    """Return how many bytes a column chunk's pages say that they unpack to; refuse pages that lie outside the file."""
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset if chunk.has_dictionary_page else None]
    at = min(start for start in starts if start is not None)
    end = at + chunk.total_compressed_size
    if not 4 <= at <= end <= len(raw):
        raise BadRecord(f"has a column from byte {at} to {end}, expected within its {len(raw)} bytes")
    total = 0
    while at < end:
        header = Header(raw, at, end)
        if not 0 <= header.unpacked <= most or not 0 <= header.packed <= end - header.end or header.values > rows:
            raise BadRecord(
                f"has a page of {header.packed} bytes at {at} that unpacks to {header.unpacked} bytes and "
                f"{header.values} values, expected at most {most} and {rows}; it is not unpacked"
            )
        total += header.unpacked
        at = header.end + header.packed
    return total


class Header:
    """The header of a Parquet page at a place: Thrift's compact protocol, as parquet.thrift has PageHeader.

    Attributes:
        unpacked: Field 2, uncompressed_page_size.
        packed: Field 3, compressed_page_size.
        values: The largest number of values that any of the headers within (fields 5, 7, 8) says.
        end: Where the header ends.
    """

    def __init__(self, raw: bytes, at: int, end: int) -> None:
        self._raw, self._at, self._last = raw, at, end
        self.values = 0
        sizes: dict[int, int] = {}
        for number, kind in self._fields():
            if kind in _INTEGERS:
                sizes[number] = self._zigzag()
            elif kind == _STRUCT and number in (5, 7, 8):
                self._values_of()
            else:
                self._skip(kind, 0)
        self.unpacked, self.packed, self.end = sizes.get(2, -1), sizes.get(3, -1), self._at

    def _values_of(self) -> None:
        """Read a header within: num_values is field 1 of each, and must not be larger than what may be."""
        for number, kind in self._fields():
            if number == 1 and kind in _INTEGERS:
                self.values = max(self.values, self._zigzag())
            else:
                self._skip(kind, 1)

    def _fields(self) -> Iterator[tuple[int, int]]:
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            yield number, kind

    def _skip(self, kind: int, depth: int) -> None:
        if depth > 8:
            raise BadRecord("has a page whose header is nested too deeply")
        if kind in (1, 2):  # a truth: it is in the field's head
            return
        if kind == 3:
            self._byte()
        elif kind in _INTEGERS:
            self._zigzag()
        elif kind == 7:
            self._advance(8)
        elif kind == 8:
            self._advance(self._varint())
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        elif kind in (9, 10):
            head = self._byte()
            for _ in range(head >> 4 if head >> 4 != 15 else self._varint()):
                self._skip(head & 15, depth + 1)
                if head & 15 in (1, 2):
                    self._byte()
        else:
            raise BadRecord(f"has a page whose header holds the unknown type {kind}")

    def _byte(self) -> int:
        self._advance(1)
        return self._raw[self._at - 1]

    def _advance(self, by: int) -> None:
        self._at += by
        if not 0 <= self._at <= self._last:
            raise BadRecord("has a page whose header leaves its column")

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise BadRecord("has a page whose header holds a number without end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


_INTEGERS = (4, 5, 6)
_STRUCT = 12
