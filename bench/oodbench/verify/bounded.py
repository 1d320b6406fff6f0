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
    meta = Thrift(raw, len(raw) - 8 - footer, len(raw) - 8).struct()
    found = _number(meta, ROWS)
    schema, chunks = meta.get(SCHEMA), list(_chunks(meta))
    if not isinstance(schema, list) or len(schema) != columns + 1:
        raise BadRecord(f"has {len(schema) - 1 if isinstance(schema, list) else 'no'} columns, expected {columns}")
    if not 0 <= found <= rows or any(not 0 <= _number(one, VALUES) <= rows for one in chunks):
        raise BadRecord(f"says that it has {found} rows, expected at most {rows}")
    unpacked = sum(_unpacked(raw, one, rows, most) for one in chunks)
    if unpacked > most:
        raise BadRecord(f"unpacks to {unpacked} bytes, expected at most {most} for {rows} rows; it is not unpacked")
    return found


SCHEMA, ROWS, GROUPS, ENCRYPTED, SIGNED = 2, 3, 4, 8, 9
"""Fields of FileMetaData in parquet.thrift."""

COLUMNS, ELSEWHERE, COLUMN, CRYPTO = 1, 1, 3, 8
"""Fields of RowGroup and of ColumnChunk."""

VALUES, PACKED, DATA, INDEX, DICTIONARY = 5, 7, 9, 10, 11
"""Fields of ColumnMetaData."""

Struct = dict[int, Any]


def _number(struct: Struct, field: int, other: int = -1) -> int:
    value = struct.get(field, other)
    if type(value) is not int:
        raise BadRecord("has a footer that is none of Parquet's")
    return value


def _part(value: Any) -> Struct:
    if not isinstance(value, dict):
        raise BadRecord("has a footer that is none of Parquet's")
    return value


def _chunks(meta: Struct) -> Iterator[Struct]:
    """Yield what a footer says of each column of each group of rows; nothing may lie elsewhere, or be encrypted."""
    if ENCRYPTED in meta or SIGNED in meta:
        raise BadRecord("is encrypted")
    groups = meta.get(GROUPS, [])
    for group in groups if isinstance(groups, list) else ():
        columns = _part(group).get(COLUMNS, [])
        for chunk in columns if isinstance(columns, list) else ():
            if ELSEWHERE in _part(chunk) or CRYPTO in chunk:
                raise BadRecord("has a column that lies in another file, or is encrypted")
            yield _part(chunk.get(COLUMN))


def _unpacked(raw: bytes, chunk: Struct, rows: int, most: int) -> int:
    """Return how many bytes a column chunk's pages say that they unpack to; refuse pages that lie outside the file."""
    starts = [_number(chunk, DATA), *(_number(chunk, field) for field in (INDEX, DICTIONARY) if field in chunk)]
    at = min(starts)
    end = at + _number(chunk, PACKED)
    if not 4 <= at <= end <= len(raw):
        raise BadRecord(f"has a column from byte {at} to {end}, expected within its {len(raw)} bytes")
    total = 0
    while at < end:
        reader = Thrift(raw, at, end)
        header = reader.struct()
        unpacked, packed = _number(header, 2), _number(header, 3)
        values = max((_number(_part(header[field]), 1) for field in (5, 7, 8) if field in header), default=0)
        if not 0 <= unpacked <= most or not 0 <= packed <= end - reader.at or not 0 <= values <= rows:
            raise BadRecord(
                f"has a page of {packed} bytes at {at} that unpacks to {unpacked} bytes and {values} values, "
                f"expected at most {most} and {rows}; it is not unpacked"
            )
        total += unpacked
        at = reader.at + packed
    return total


class Thrift:
    """A reader of Thrift's compact protocol within bounds; pyarrow's own ends the process where a footer is odd.

    Attributes:
        at: The place of the next byte.
    """

    def __init__(self, raw: bytes, at: int, end: int) -> None:
        self._raw, self.at, self._end = raw, at, end

    def struct(self, depth: int = 0) -> Struct:
        """Read fields by number: integers, lists and structs as they are, None for all else.

        Raises:
            BadRecord: It is no struct, leaves its bounds, or is nested too deeply.
        """
        if depth > 12:
            raise BadRecord("has a footer or a page's header that is nested too deeply")
        found: Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            found[number] = self._value(kind, depth, in_list=False)
        return found

    def _value(self, kind: int, depth: int, *, in_list: bool) -> Any:
        if kind in (1, 2):  # a truth: of a field it is in its head
            return self._advance(1) if in_list else None
        if kind == 3:
            return self._advance(1)
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == 7:
            return self._advance(8)
        if kind == 8:
            return self._advance(self._varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise BadRecord(f"has a footer or a page's header with the unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        if depth > 12:
            raise BadRecord("has a footer or a page's header that is nested too deeply")
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._varint()
        if size > self._end - self.at:
            raise BadRecord(f"has a list of {size} parts in {self._end - self.at} bytes")
        return [self._value(head & 15, depth + 1, in_list=True) for _ in range(size)]

    def _byte(self) -> int:
        self._advance(1)
        return self._raw[self.at - 1]

    def _advance(self, by: int) -> None:
        self.at += by
        if not 0 <= self.at <= self._end:
            raise BadRecord("has a footer or a page's header that leaves its bounds")

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise BadRecord("has a footer or a page's header with a number without end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


_INTEGERS = (4, 5, 6)
_STRUCT = 12
