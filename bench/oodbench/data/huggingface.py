"""The one module that imports Hugging Face's `datasets`, and makes sure that it is not our folder of cards."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, File, HuggingFace
from oodbench.data.checksums import content, verified_file
from oodbench.errors import BadChecksum, BadData, MissingData, OodbenchError


def library() -> ModuleType:
    """Return the library `datasets`.

    Raises:
        OodbenchError: `import datasets` finds no library, but a folder of that name.
    """
    import datasets

    if not hasattr(datasets, "load_dataset") or not datasets.__file__:
        found = list(getattr(datasets, "__path__", ["nothing"]))
        raise OodbenchError(
            f"`import datasets` found {found[0]}, not Hugging Face's library; install it with `pip install datasets`, "
            f"and keep Python files out of the folder datasets/ of the cards."
        )
    return datasets


@dataclass(frozen=True, eq=False)
class RowPictures:
    """A column of encoded pictures in a table that stays on disk."""

    rows: Any
    column: str
    table: str

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, place: int) -> str:
        """Return the table and the row."""
        return f"{self.table} row {place}"

    def content(self, place: int) -> bytes:
        """Return the picture's bytes.

        Raises:
            BadData: The row holds no bytes.
        """
        cell = self.rows[place][self.column]
        encoded = cell.get("bytes") if isinstance(cell, dict) else None
        if encoded is None and isinstance(cell, dict) and cell.get("path"):
            return content(Path(cell["path"]))
        if not isinstance(encoded, bytes):
            raise BadData(f"{self.name(place)}: got no bytes in column {self.column!r}, expected an encoded picture.")
        return encoded


def parquet_pictures(
    card: Card, source: HuggingFace, files: list[Path], cache: Path
) -> tuple[RowPictures, npt.NDArray[np.int64] | None]:
    """Return the pictures and labels of Parquet files.

    Raises:
        BadData: A file is not Parquet, or lacks a column that the card names.
    """
    datasets = library()
    try:
        rows = datasets.Dataset.from_parquet([str(path) for path in files], cache_dir=str(cache))
    except Exception as error:  # the library wraps what Arrow raises in several ways
        raise BadData(f"{card.name}: cannot read {files[0]} ({type(error).__name__}: {error}).") from error
    for column in filter(None, (source.image, source.label)):
        if column not in rows.column_names:
            raise BadData(f"{files[0]}: got columns {rows.column_names}, expected {column!r} among them.")
    try:
        labels = np.array(rows[source.label], np.int64) if source.label else None
    except (TypeError, ValueError, OverflowError) as error:
        raise BadData(f"{files[0]}: column {source.label!r} holds no classes ({error}); expected integers.") from error
    encoded = rows.cast_column(source.image, datasets.Image(decode=False))
    return RowPictures(encoded, source.image, str(files[0])), labels


def rows_by_name(name: str, revision: str | None, split: str) -> Any:
    """Return a split of a data set of the hub, or of its cache; no code of it is run.

    Raises:
        MissingData: It cannot be had.

    Example:
        rows_by_name("ylecun/mnist", None, "test[:100]")
    """
    try:
        return library().load_dataset(name, split=split, revision=revision)
    except Exception as error:  # the library passes on what several others raise
        said = str(error).strip().splitlines()
        raise MissingData(
            f"hf:{name}[{split}]: cannot be had from the Hugging Face hub or its cache "
            f"({said[0] if said else type(error).__name__}); expected hf:NAME[SPLIT] or hf:NAME@REVISION[SPLIT]"
        ) from error


def pictures_of(rows: Any, column: str, name: str) -> RowPictures:
    """Return a column of pictures of a data set, still encoded."""
    return RowPictures(rows.select_columns([column]).cast_column(column, library().Image(decode=False)), column, name)


def fetch(card: Card, source: HuggingFace, folder: Path) -> None:
    """Download the card's files at its commit into `folder`; the hub's client has time-outs and goes on where it was.

    Raises:
        MissingData: They cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            source.repository,
            repo_type="dataset",
            revision=source.revision,
            allow_patterns=list(source.parts.values()),
            local_dir=folder,
        )
    except Exception as error:  # the hub's client passes on what several libraries raise
        said = str(error).strip().splitlines()
        why = said[0] if said else type(error).__name__
        raise MissingData(
            f"{card.name}: {source.repository} could not be downloaded from the Hugging Face hub into {folder} "
            f"({why}); the same command goes on where it broke off."
        ) from error


def verify(card: Card, source: HuggingFace, folder: Path, path: Path) -> bool:
    """Hold a file against what the hub said of it when it was downloaded; False if nothing is known of it.

    Raises:
        BadChecksum: It is from another commit, or its bytes have changed since.
    """
    note = folder / ".cache" / "huggingface" / "download" / f"{path.relative_to(folder)}.metadata"
    if not note.is_file():
        return False
    lines = content(note).decode("utf-8", "replace").splitlines()
    if len(lines) < 2:
        return False
    commit, etag, *_ = lines
    if commit != source.revision:
        raise BadChecksum(f"{card.name}: {path} is from commit {commit}, expected {source.revision}.")
    if len(etag) == 64:
        verified_file(path, File(name=path.name, sha256=etag), card.name)
    return True
