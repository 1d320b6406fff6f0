"""Checking bytes and files against the checksum of a card."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

from oodbench.data.cards import File
from oodbench.errors import BadChecksum, BadData

GZIP = b"\x1f\x8b"


def decoded(content: bytes, name: str) -> bytes:
    """Return the bytes, gunzipped if they are gzipped.

    Raises:
        BadData: The gzip stream is cut short or damaged.
    """
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData(f"{name}: damaged or truncated gzip file ({error}).") from error


def verified(content: bytes, file: File, name: str) -> bytes:
    """Return `content` if it is what the card names: by the decoded bytes' checksum, or else the file's own.

    Raises:
        BadChecksum: It is not.
    """
    if file.decoded_sha256:
        _compare(hashlib.sha256(decoded(content, file.name)), file.decoded_sha256, file.name, name)
    elif file.sha256:
        _compare(hashlib.sha256(content), file.sha256, file.name, name)
    elif file.md5:
        _compare(hashlib.md5(content, usedforsecurity=False), file.md5, file.name, name)
    return content


def verified_file(path: Path, file: File, name: str) -> Path:
    """Return `path` if the file there is the one the card names; read in pieces, so that archives may be large."""
    if file.decoded_sha256:
        verified(path.read_bytes(), file, name)
        return path
    algorithm, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    with path.open("rb") as stream:
        _compare(hashlib.file_digest(stream, algorithm), expected or "", str(path), name)
    return path


def _compare(digest: Any, expected: str, file: str, name: str) -> None:
    if digest.hexdigest() != expected:
        raise BadChecksum(
            f"{name}: {file} has {digest.name} {digest.hexdigest()}, expected {expected}; "
            f"remove it and run `oodbench data get {name}`."
        )
