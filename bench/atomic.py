"""Files that are whole or absent: written beside their place, flushed to the disk, then renamed."""

import os
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader, or a machine that dies half-way, sees the old file or the new one.

    The temporary name `.<name>.part` is fixed: what a killed run leaves behind is overwritten by the run that resumes
    it. Hence one writer per path at a time.

    Raises:
        OSError: The disk is full or the folder cannot be written; names `path`, and leaves no temporary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
