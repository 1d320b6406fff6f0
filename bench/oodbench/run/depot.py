"""A store of bytes by name that every worker reaches: a folder, or an object store (`s3://bucket/prefix`).

What is put is never replaced: the first wins, and whoever comes later is told.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from oodbench.errors import BadSetting
from oodbench.store import atomically


class Depot(Protocol):
    """Bytes by name, put once."""

    def put(self, name: str, file: Path) -> bool:
        """Put a file's bytes under a name, all or nothing; return False where something lies there already."""

    def get(self, name: str, file: Path) -> bool:
        """Write the bytes of a name to a file, all or nothing; return False where there are none."""

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names below a prefix, a folder's name."""


class FolderDepot:
    """A store in a folder, on this machine or on storage that machines share.

    Raises:
        BadSetting: It cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(f"store {folder}: {error.strerror}; expected a folder to write to") from error

    def put(self, name: str, file: Path) -> bool:
        """Put a file; a hard link makes it whole and first at once."""
        place = self._folder / name
        if place.exists():
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(file.read_bytes())
                out.flush()
                os.fsync(out.fileno())
            os.link(temporary, place)
        except FileExistsError:
            return False
        finally:
            Path(temporary).unlink()
        return True

    def get(self, name: str, file: Path) -> bool:
        """Copy a file here."""
        place = self._folder / name
        if not place.is_file():
            return False
        with atomically(file) as temporary:
            temporary.write_bytes(place.read_bytes())
        return True

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the files below a folder."""
        for path in sorted((self._folder / prefix).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._folder).as_posix()


class ObjectDepot:
    """A store in an object store, by the package obstore; where and who is asked for as its variables say (AWS_...).

    Raises:
        BadSetting: obstore is not installed, or the address is none of its.
    """

    def __init__(self, address: str) -> None:
        if find_spec("obstore") is None:
            raise BadSetting(f"store {address}: the package obstore is not installed; pip install 'oodbench[s3]'")
        import obstore
        import obstore.exceptions
        from obstore.store import from_url

        self._obstore: Any = obstore
        self._address = address
        try:
            self._store: Any = from_url(address)
        except Exception as error:  # obstore raises of many kinds
            raise BadSetting(f"store {address}: {_why(error)}; expected s3://BUCKET/PREFIX or a folder") from error

    def put(self, name: str, file: Path) -> bool:
        """Put a file in one request, which the store refuses where something lies there."""
        try:
            self._obstore.put(self._store, name, file.read_bytes(), mode="create", use_multipart=False)
        except self._obstore.exceptions.AlreadyExistsError:
            return False
        except Exception as error:
            raise self._fault(error) from error
        return True

    def get(self, name: str, file: Path) -> bool:
        """Write an object to a file, piece by piece."""
        try:
            found = self._obstore.get(self._store, name)
        except (self._obstore.exceptions.NotFoundError, FileNotFoundError):
            return False
        except Exception as error:
            raise self._fault(error) from error
        with atomically(file) as temporary, temporary.open("wb") as out:
            for piece in found.stream():
                out.write(piece)
        return True

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the objects below a prefix."""
        try:
            for page in self._obstore.list(self._store, prefix):
                yield from (str(one["path"]) for one in page)
        except Exception as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> BadSetting:
        return BadSetting(
            f"store {self._address}: {_why(error)}; is the bucket there, and do AWS_REGION, AWS_ACCESS_KEY_ID ... and "
            f"AWS_ENDPOINT_URL say where and who?"
        )


def open_depot(address: str) -> Depot:
    """Return the store at an address: of the form NAME://..., or a folder's path.

    Raises:
        BadSetting: It cannot be used.
    """
    return ObjectDepot(address) if "://" in address else FolderDepot(Path(address))


def _why(error: Exception) -> str:
    with suppress(IndexError):
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    return type(error).__name__
