"""Weights of given models: where they are, whether they are the ones that a matrix names, and how to get them."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from oodbench.data.cards import File
from oodbench.data.checksums import unreadable, verified_file
from oodbench.data.download import download
from oodbench.data.matrix import Matrix
from oodbench.data.places import cache_folder, find, roots
from oodbench.errors import BadChecksum, BadData, BadSetting, MissingData
from oodbench.given import GivenModel, Weights

log = logging.getLogger(__name__)


def weights_path(model: GivenModel, weights: Weights, root: Path | None) -> Path | None:
    """Return where a file of weights is, without opening it; None where it is not on this machine."""
    return find(model, model.folders, weights.name, root)


def resolved(matrix: Matrix, root: Path | None) -> Matrix:
    """Return a matrix whose weights all say which files they are, as far as they are here.

    Where the matrix does not tell a sha256, that of the file that is here stands in its place, with a warning: from
    then on it is part of what identifies the model, its outputs and its records.

    Raises:
        BadData: A file cannot be read.
    """
    if all(weights.told for model in matrix.model for weights in model.weights):
        return matrix
    models = tuple(
        replace(model, weights=tuple(_told(matrix, model, one, root) for one in model.weights))
        for model in matrix.model
    )
    return matrix.model_copy(update={"model": models})


def _told(matrix: Matrix, model: GivenModel, weights: Weights, root: Path | None) -> Weights:
    path = weights_path(model, weights, root)
    if weights.told or path is None:
        return weights
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise BadData(unreadable(path, error)) from error
    log.warning(
        "%s: nobody has published the sha256 of %s, seed %d; taken as it is, and recorded: %s has %s",
        *(matrix.name, model.name, weights.seed, path, found),
    )
    return replace(weights, sha256=found, size=size)


def how_to_get(matrix: Matrix, model: GivenModel, weights: Weights) -> str:
    """Return the command, or what a person has to do, to get a file of weights."""
    get = f"oodbench data get {matrix.name}"
    if weights.url:
        return get
    return f"put {weights.name} into {cache_folder() / model.folders[0]}{f', then {get}' if weights.told else ''}"


def weights_file(matrix: Matrix, model: GivenModel, seed: int, root: Path | None) -> Path:
    """Return the weights of a seed of a given model: a file whose bytes are the ones that the matrix names.

    Raises:
        MissingData: It is not on this machine; the message says the command that gets it.
        BadChecksum: It is another file.
    """
    weights = model.of_seed(seed)
    path = weights_path(model, weights, root)
    if path is None:
        raise MissingData(
            f"{matrix.name}: {weights.name}, the weights of {model.name}, is not here "
            f"(looked under {', '.join(map(str, roots(root)))}); get it: {how_to_get(matrix, model, weights)}, "
            f"or name the folder that holds it with --data DIR."
        )
    return _verified(matrix, weights, path)


def get_weights(matrix: Matrix, root: Path | None) -> Iterator[Path]:
    """Yield every file of weights of a matrix, downloaded below `root` (by default, the cache) where it is not here.

    Raises:
        MissingData: One cannot be downloaded, or not by a program.
        BadChecksum: What came is not what the matrix names.
    """
    for model in matrix.model:
        for weights in model.weights:
            if weights_path(model, weights, root) is None and weights.url:
                _download(matrix, model, weights, weights.url, (root or cache_folder()) / model.folders[0])
    matrix = resolved(matrix, root)
    for model in matrix.model:
        yield from (weights_file(matrix, model, weights.seed, root) for weights in model.weights)


def _download(matrix: Matrix, model: GivenModel, weights: Weights, url: str, folder: Path) -> None:
    part = folder / f"{weights.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download(url, part, weights.size)
        _verified(matrix, weights, part).replace(folder / weights.name)
    except MissingData as error:
        raise MissingData(f"{matrix.name}: the weights of {model.name}: {error} Or put them into {folder}.") from error
    except BadChecksum:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise BadData(f"{folder} cannot be written to ({error.strerror or error}); name another by --data.") from error


def _verified(matrix: Matrix, weights: Weights, path: Path) -> Path:
    """Return a path if the file there has the size and the sha256 of the matrix."""
    if weights.sha256 is None:
        raise BadSetting(f"{matrix.name}: which file {weights.name} is, is not known; see oodbench.data.given.resolved")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadData(unreadable(path, error)) from error
    if size != weights.size:
        raise BadChecksum(
            f"{matrix.name}: {path} has {size} bytes, expected {weights.size}; "
            f"remove it and run `oodbench data get {matrix.name}`."
        )
    return verified_file(path, File(name=weights.name, sha256=weights.sha256), matrix.name)
