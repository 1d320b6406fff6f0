"""The files of CIFAR, SVHN and NumPy archives, as arrays; to be called when the checksum has been verified."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from numpy._core import multiarray
from scipy import io as matlab

from oodbench.errors import BadData
from oodbench.npy import mapped

Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]
"""Pixels [n c h w] and labels [n]."""

_PICKLED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
}


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays, text, numbers, lists and dictionaries; any other name in the pickle is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the one thing of that name that may be built."""
        if (module, name) in _PICKLED:
            return _PICKLED[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def cifar(content: bytes, name: str) -> Arrays:
    """Return one batch of CIFAR-10 or CIFAR-100 (fine labels).

    Raises:
        BadData: The pickle builds anything but arrays, text, numbers, lists and dictionaries, or is no batch of CIFAR.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise BadData(f"{name}: not a batch of CIFAR ({type(error).__name__}: {error}).") from error
    if not isinstance(batch, dict) or not isinstance(batch.get("data"), np.ndarray):
        raise BadData(f"{name}: got no array 'data', expected a batch of CIFAR.")
    labels = batch.get("fine_labels", batch.get("labels"))
    data = batch["data"]
    if labels is None or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        _refuse(name, f"data {data.dtype}{list(data.shape)}", "uint8[n 3072] and labels")
    return data.reshape(-1, 3, 32, 32), np.array(labels, np.int64)


def svhn(content: bytes, name: str) -> Arrays:
    """Return one file of SVHN: X [32 32 3 n], y [n 1] with 10 for the digit 0.

    Raises:
        BadData: It is not such a file.
    """
    file: Any = io.BytesIO(content)  # a stream will do, whatever the stubs say
    try:
        stored = matlab.loadmat(file, variable_names=["X", "y"])
    except Exception as error:  # a damaged file may raise anything
        raise BadData(f"{name}: not a MATLAB file ({type(error).__name__}: {error}).") from error
    x, y = stored.get("X"), stored.get("y")
    if x is None or y is None or x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3):
        got = "no X and y" if x is None or y is None else f"X {x.dtype}{list(x.shape)}"
        _refuse(name, got, "X uint8[32 32 3 n] and y")
    return np.ascontiguousarray(x.transpose(3, 2, 0, 1)), y.ravel().astype(np.int64) % 10


def member(archive: Path, name: str) -> bytes:
    """Return one member of a tar archive.

    Raises:
        BadData: The archive is damaged or has no such member.
    """
    try:
        with tarfile.open(archive) as tar:
            file = tar.extractfile(name)
            if file is not None:
                return file.read()
    except Exception as error:  # a damaged archive may raise anything
        raise BadData(f"{archive}: cannot read {name} ({str(error) or type(error).__name__}).") from error
    raise BadData(f"{archive}: {name} is not a file.")


def archived_array(archive: Path, name: str) -> npt.NDArray[Any]:
    """Return an .npy file of a tar or zip archive.

    Raises:
        BadData: The archive is damaged, has no such member, or holds something else there.
    """
    stored = _zip_member(archive, name) if archive.suffix == ".zip" else member(archive, name)
    try:
        array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(stored), allow_pickle=False)
    except Exception as error:  # a damaged header may raise anything
        raise BadData(f"{archive}: {name} is not an .npy file ({error}).") from error
    return array


def _zip_member(archive: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(archive) as stored:
            return stored.read(name)
    except Exception as error:  # a damaged archive may raise anything
        raise BadData(f"{archive}: cannot read {name} ({str(error) or type(error).__name__}).") from error


def numpy_array(path: Path) -> Arrays:
    """Return an .npy file of images [n h w c], memory-mapped.

    Raises:
        BadData: It is not such a file.
    """
    array = mapped(path)
    if array.dtype != np.uint8 or array.ndim != 4:
        _refuse(str(path), f"{array.dtype}{list(array.shape)}", "uint8[n h w c]")
    return array.transpose(0, 3, 1, 2), None


def numpy_zip(path: Path, shape: tuple[int, int, int]) -> Arrays:
    """Return a zip of .npz files, each with `data` [n c*h*w] and `labels` [n] from 1, in the order of their numbers.

    Raises:
        BadData: It is not such a file.
    """
    pixels, labels = [], []
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npz")]
            for name in sorted(names, key=lambda name: (len(name), name)):
                with np.load(io.BytesIO(archive.read(name)), allow_pickle=False) as stored:
                    pixels.append(stored["data"].reshape(-1, *shape))
                    labels.append(stored["labels"].astype(np.int64) - 1)
    except Exception as error:  # a damaged archive may raise anything
        said = str(error) or type(error).__name__
        raise BadData(f"{path}: not a zip of NumPy arrays ({said}).") from error
    if not pixels or any(part.dtype != np.uint8 for part in pixels):
        _refuse(str(path), f"{len(pixels)} arrays", "at least one .npz with data uint8[n c*h*w]")
    return np.concatenate(pixels), np.concatenate(labels)


def _refuse(name: str, got: str, expected: str) -> NoReturn:
    raise BadData(f"{name}: got {got}, expected {expected}.")
