"""Checking bytes and files against the checksum of a card."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

from oodbench.data.cards import File
from oodbench.errors import BadChecksum, BadData

GZIP = b"\x1f\x8b"


def content(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        BadData: It cannot be read; the message names it and says why.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(unreadable(path, error)) from error


def printable(path: Path) -> str:
    """Return a path as text that any file and terminal takes, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def unreadable(path: Path, error: OSError) -> str:
    """Return what to say of a file that the system does not hand out."""
    name = printable(path)
    if path.is_symlink() and not path.exists():
        return f"{name}: cannot be read: it is a link to {printable(path.readlink())}, which is not there."
    if path.is_dir():
        return f"{name}: cannot be read: it is a folder, expected a file."
    return f"{name}: cannot be read ({error.strerror or error})."


def decoded(stored: bytes, name: str) -> bytes:
    """Return the bytes, gunzipped if they are gzipped.

    Raises:
        BadData: The gzip stream is cut short or damaged.
    """
    if not stored.startswith(GZIP):
        return stored
    try:
        return gzip.decompress(stored)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData(f"{name}: damaged or truncated gzip file ({error}).") from error


def verified(stored: bytes, file: File, name: str) -> bytes:
    """Return `stored` if it is what the card names: by the decoded bytes' checksum, or else the file's own.

    Raises:
        BadChecksum: It is not.
    """
    if file.decoded_sha256:
        _compare(hashlib.sha256(decoded(stored, file.name)), file.decoded_sha256, file.name, name)
    elif file.sha256:
        _compare(hashlib.sha256(stored), file.sha256, file.name, name)
    elif file.md5:
        _compare(hashlib.md5(stored, usedforsecurity=False), file.md5, file.name, name)
    return stored


def verified_file(path: Path, file: File, name: str) -> Path:
    """Return `path` if the file there is the one the card names; read in pieces, so that archives may be large."""
    if file.decoded_sha256:
        verified(content(path), file, name)
        return path
    algorithm, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm)
    except OSError as error:
        raise BadData(unreadable(path, error)) from error
    _compare(found, expected or "", str(path), name)
    return path


def _compare(digest: Any, expected: str, file: str, name: str) -> None:
    if digest.hexdigest() != expected:
        raise BadChecksum(
            f"{name}: {file} has {digest.name} {digest.hexdigest()}, expected {expected}; "
            f"remove it and run `oodbench data get {name}`."
        )
