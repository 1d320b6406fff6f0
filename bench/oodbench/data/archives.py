"""Archives of image files, extracted into a folder: nothing lands elsewhere, and nothing grows without bound."""

import shutil
import tarfile
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from oodbench.errors import BadData

TIMES = 100
"""Most bytes that come out for one that went in ..."""

AT_LEAST = 2**28
"""... of archives larger than this much content: pictures are compressed already, a bomb is not."""

PREFIX = ".extracting-"
DAY = 24 * 3600


def extract(archive: Path, folder: Path) -> None:
    """Extract a .zip or .tar(.gz, .bz2, .xz) archive into `folder`; files get their names when all of them are out.

    Raises:
        BadData: It is damaged, or a member has an absolute path, leads out of the folder or is neither a file, a folder
            nor a link inside, or the content is out of all proportion; or the disk is full. Nothing is left behind.
    """
    _clean(folder)
    waiting = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    try:
        (_unzip if archive.suffix == ".zip" else _untar)(archive, waiting, _Budget(archive))
        _move(waiting, folder)
    except BadData:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        raise BadData(f"{archive}: cannot be extracted into {folder} ({why}).") from error
    except Exception as error:  # a damaged archive may raise anything
        why = str(error) or type(error).__name__
        raise BadData(f"{archive}: cannot be extracted ({why}); remove it and get it again.") from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)


class _Budget:
    """Counts the bytes that an archive's members announce, and holds their names against the folder."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._limit = max(AT_LEAST, TIMES * archive.stat().st_size)
        self._left = self._limit

    def admit(self, name: str, size: int) -> None:
        """Refuse a member that would lie elsewhere, or that is too much."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise BadData(f"{self._archive}: refused: its member {name!r} would be written outside of the folder.")
        self._left -= size
        if self._left < 0:
            raise BadData(f"{self._archive}: refused: it holds more than {self._limit} bytes, out of all proportion.")


def _unzip(archive: Path, folder: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as stored:
        for member in stored.infolist():
            budget.admit(member.filename, member.file_size)
            stored.extract(member, folder)


def _untar(archive: Path, folder: Path, budget: _Budget) -> None:
    with tarfile.open(archive) as stored:
        for member in stored:
            budget.admit(member.name, member.size)
            try:
                stored.extract(member, folder, filter="data")
            except tarfile.FilterError as error:
                raise BadData(f"{archive}: refused: its member {member.name!r} is not safe ({error}).") from error


def _move(waiting: Path, folder: Path) -> None:
    """Give every extracted entry its name; folders that are there already take in what is new."""
    for path in sorted(waiting.iterdir()):
        target = folder / path.name
        if path.is_dir() and not path.is_symlink() and target.is_dir():
            _move(path, target)
        else:
            path.replace(target)


def _clean(folder: Path) -> None:
    """Remove what a killed extraction left, once it is old."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(left, ignore_errors=True)
