"""What is compared: rows of a matrix, folders of results, or the results at commits of a repository.

A commit is read from git's object store, file by file through one process: nothing is checked out, and neither the
working tree nor the index of the user is touched. Each file is written below a temporary folder, byte for byte.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from oodbench.errors import BadSetting, UnknownName
from oodbench.report.entries import Entry, collect
from oodbench.report.ids import ROW, Id, row_version

Rows = Mapping[tuple[str, str], Mapping[int, Entry]]
"""Entries by matrix and method, by seed."""

RECORDS = frozenset({".json", ".toml", ".csv"})
"""Endings of the files that say where results come from, and what their ranks are."""

RESULTS = RECORDS | {".parquet"}
"""Endings of all files of results: those, scores and outcomes."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]*")
"""Of a file or folder of results; whatever else a commit holds there is passed over."""

REGULAR = frozenset({"100644", "100755"})
"""Git's modes of plain files: links are not followed."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two things that are compared.

    Attributes:
        said: As the user named it.
        what: "row", "folder" or "commit".
        results: Folder of its records; of a commit one that is removed afterwards.
        rows: Its entries.
    """

    said: str
    what: str
    results: Path
    rows: Rows


@contextmanager
def opened(
    said: str,
    results: Path,
    matrix: str | None = None,
    folder: Path | None = None,
    read: frozenset[str] = RESULTS,
) -> Iterator[Side]:
    """Yield what a user's word stands for, for as long as the block runs.

    A word is tried as, in this order: a row `MATRIX/METHOD`, with or without `@VERSION`, or with `matrix` the name of a
    method that has results there; a folder; a commit, branch or tag.

    Args:
        said: The word.
        results: Folder of results that rows are of, and that is looked into at a commit.
        matrix: What rows are of; of a folder or a commit the one matrix that is looked at.
        folder: Inside the repository that commits are of; the present one by default.
        read: Endings of the files of a commit that are needed.

    Raises:
        BadSetting: The word is none of these, or names a row of another version than the results hold.
        BadRecord: A record is broken.
        UnknownName: There is no such row; the nearest is offered.
    """
    row = said if matrix is None else f"{matrix}/{said}"
    if ROW.fullmatch(row) and (matrix is None or _holds(results, row)):
        yield Side(said, "row", results, _row(Id.read(row), results))
    elif Path(said).is_dir():
        yield Side(said, "folder", Path(said), rows_of(Path(said), matrix))
    elif matrix is not None and not _is_commit(said, folder or Path()):
        yield Side(said, "row", results, _row(Id.read(row), results))
    else:
        with at_commit(said, results, folder or Path(), read) as place:
            yield Side(said, "commit", place, rows_of(place, matrix))


def _holds(results: Path, row: str) -> bool:
    return (results / row.partition("@")[0]).is_dir()


def _is_commit(said: str, folder: Path) -> bool:
    try:
        return bool(_git(folder, said, "rev-parse", "--verify", "--end-of-options", f"{said}^{{commit}}"))
    except BadSetting:
        return False


def rows_of(results: Path, matrix: str | None = None) -> Rows:
    """Return the entries of a folder of results, or of one of its matrices."""
    found: dict[tuple[str, str], dict[int, Entry]] = {}
    for entry in collect(results, matrix):
        found.setdefault((entry.record.matrix, entry.record.method), {})[entry.record.seed] = entry
    return found


def _row(said: Id, results: Path) -> Rows:
    own = rows_of(results, said.matrix)
    key = said.matrix, said.method or ""
    if key not in own:
        raise UnknownName(f"row of {said.matrix} in {results}", key[1], [method for _, method in own])
    version = row_version([entry.record for entry in own[key].values()])
    if said.version not in (None, version):
        raise BadSetting(f"{said}: {results} holds version {version or 'mixed'} of it; compare the commits instead")
    return {key: own[key]}


@contextmanager
def at_commit(commit: str, results: Path, folder: Path, read: frozenset[str] = RESULTS) -> Iterator[Path]:
    """Yield a folder that holds the results of a commit, removed afterwards.

    Args:
        commit: A commit, branch or tag.
        results: The folder of results, as it is called in the working tree: relative to `folder`.
        folder: Inside the repository.
        read: Endings of the files that are needed.

    Raises:
        BadSetting: There is no repository, commit, or folder of results at that commit.
    """
    top = Path(_git(folder, commit, "rev-parse", "--show-toplevel").decode().strip())
    sha = _git(folder, commit, "rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}").decode().strip()
    try:
        inside = (folder / results).resolve().relative_to(top.resolve()).as_posix()
    except ValueError:
        raise BadSetting(f"{results} lies outside the repository {top}: it has no results at {commit}") from None
    listed = _git(top, commit, "ls-tree", "-r", "-z", "--full-tree", sha, "--", f"{inside}/").decode("utf-8", "replace")
    blobs = [found for line in listed.split("\0") if (found := _blob(line, inside, read))]
    if not blobs:
        raise BadSetting(f"commit {commit} has no results in {inside}; name their folder there by --results")
    with TemporaryDirectory(prefix="oodbench-compare-") as place:
        _write(top, blobs, Path(place))
        yield Path(place)


def _blob(line: str, inside: str, read: frozenset[str]) -> tuple[str, PurePosixPath] | None:
    """Return object and path below the results of a line of `git ls-tree`; None of what is not read."""
    if not line:
        return None
    facts, _, name = line.partition("\t")
    mode, _, sha = facts.split(" ")[:3]
    path = PurePosixPath(name).relative_to(inside)
    plain = all(NAME.fullmatch(part) for part in path.parts)
    return (sha, path) if mode in REGULAR and plain and path.suffix in read else None


def _write(top: Path, blobs: list[tuple[str, PurePosixPath]], place: Path) -> None:
    """Write objects of a repository below a folder."""
    command = ["git", "-C", str(top), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
        assert git.stdin is not None
        assert git.stdout is not None
        for sha, path in blobs:
            git.stdin.write(f"{sha}\n".encode())
            git.stdin.flush()
            size = int(git.stdout.readline().split()[-1])
            home = place / path
            home.parent.mkdir(parents=True, exist_ok=True)
            home.write_bytes(git.stdout.read(size))
            git.stdout.read(1)
        git.stdin.close()


def _git(folder: Path, commit: str, *words: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True).stdout
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise BadSetting(
            f"{commit!r} is no row (MATRIX/METHOD, as tiny-v1/msp), no folder, and no commit of a repository at "
            f"{folder.resolve()}: {_said(error)}"
        ) from error


def _said(error: Exception) -> str:
    told: bytes | None = getattr(error, "stderr", None)
    if not told:
        return "git cannot be run"
    return told.decode("utf-8", "replace").strip().splitlines()[-1].removeprefix("fatal: ")
