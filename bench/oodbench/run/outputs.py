"""A model's outputs of a set, on disk: streamed there in one forward pass, and mapped from there.

    <folder of a model>/outputs/<set>/<output>.<i>.npy, <output>.json
                                      from-<row>/...                   parts of a large set, until the whole is sealed

A JSON file seals what lies beside it (`oodbench.run.sealed`).
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodbench.contract import Output
from oodbench.data.inputs import Inputs
from oodbench.data.stream import batches
from oodbench.forward_precision import WHOLE, Precision
from oodbench.models.outputs import Trained, to_store
from oodbench.models.train import Report, silent
from oodbench.run.sealed import seal, unsealed
from oodbench.store import one_at_a_time

LOCK = ".lock"
"""Beside what one process at a time makes for all: it is held meanwhile, and whoever waited looks again."""

DECODERS = 4
"""Processes at most that decode pictures ahead of the network; images in memory need none."""

Stored = Mapping[Output, Any]
"""By output: a tensor [n ...], or a tuple of such."""


def outputs_of(
    model: Callable[[], Trained],
    images: Inputs,
    wanted: frozenset[Output],
    folder: Path,
    report: Report = silent,
    precision: Precision = WHOLE,
) -> Stored:
    """Return a model's outputs of a set: tensors mapped from files, made in one forward pass where they are absent.

    Args:
        model: Returns the model; called where an output has to be made.
        images: n images.
        wanted: Outputs; those that are not to be stored are left out.
        folder: Where the cache keeps what the model gives in this precision.
        report: Told of the progress.
        precision: Of the forward pass.
    """
    place = folder / "outputs" / images.sha256()[:20]
    found, missing = sealed_outputs(place, wanted)
    if not missing:
        return found
    with one_at_a_time(place / LOCK):
        found, missing = sealed_outputs(place, wanted)  # whoever held the lock may have made them
        if missing:
            made = passed(model(), images, missing, place, report, precision)
            seal_outputs(place, made)
            found |= sealed_outputs(place, missing)[0]
    return found


def sealed_outputs(place: Path, wanted: frozenset[Output]) -> tuple[dict[Output, Any], frozenset[Output]]:
    """Return those outputs that a folder holds whole, and which of those that are stored it lacks."""
    found = {name: _read(place, name) for name in sorted(to_store(wanted))}
    missing = frozenset(name for name, value in found.items() if value is None)
    return {name: value for name, value in found.items() if value is not None}, missing


def seal_outputs(place: Path, files: Mapping[Output, tuple[list[str], bool]]) -> None:
    """Seal files that `passed` wrote."""
    for name, (arrays, several) in files.items():
        seal(place / f"{name}.json", arrays, arrays=arrays, tuple=several)


def passed(
    model: Trained,
    images: Inputs,
    wanted: frozenset[Output],
    place: Path,
    report: Report = silent,
    precision: Precision = WHOLE,
) -> dict[Output, tuple[list[str], bool]]:
    """Stream one forward pass into one file per array; memory stays that of a few batches.

    Below float32 convolutions and products of matrices round what goes in and what comes out, and sums, norms and all
    that is small stay float32 (`torch.autocast`). What is stored is float32 in any case.

    Returns:
        By output, the names of its files below `place`, and whether it is a tuple.
    """
    writers: dict[Output, list[Growing]] = {}
    several: dict[Output, bool] = {}
    done = 0
    for pixels in batches(images, model.batch, DECODERS):
        rows = slice(done, done + len(pixels))
        x = onto(model.device, pixels)
        with torch.no_grad(), computing_in(precision, model.device):
            given = model.outputs(x, wanted)
        for name in wanted:
            several[name] = isinstance(given[name], tuple)
            parts = given[name] if several[name] else (given[name],)
            if name not in writers:
                writers[name] = [Growing(place / f"{name}.{i}.npy", part, len(images)) for i, part in enumerate(parts)]
            for writer, part in zip(writers[name], parts, strict=True):
                writer.put(rows, part)
        done = rows.stop
        report("forward pass", done, len(images))
    return {name: ([array.close() for array in arrays], several[name]) for name, arrays in writers.items()}


def computing_in(precision: Precision, device: torch.device) -> torch.autocast:
    """Return what makes products of matrices and convolutions on a device compute in a precision."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != WHOLE)


def joined_segments(
    places: list[Path], wanted: frozenset[Output], n: int, place: Path
) -> dict[Output, tuple[list[str], bool]]:
    """Write outputs of a set from those of its parts, in order; these stay until the whole is sealed.

    Args:
        places: Folders of the parts, which hold all that is wanted.
        wanted: Outputs that are stored.
        n: Inputs in all.
        place: Folder of the whole.

    Returns:
        As `passed`.
    """
    made: dict[Output, tuple[list[str], bool]] = {}
    for name in sorted(wanted):
        parts = [_read(one, name) for one in places]
        several = isinstance(parts[0], tuple)
        columns = list(zip(*parts, strict=True)) if several else [parts]
        made[name] = [_joined(place / f"{name}.{i}.npy", column, n) for i, column in enumerate(columns)], several
    return made


def segment_folder(place: Path, start: int) -> Path:
    """Return the folder of the part of a set that begins at a row."""
    return place / f"from-{start}"


def segments_left(place: Path) -> bool:
    """Return whether parts of a set are left whose outputs the whole has."""
    return any(sealed <= _sealed_names(place) for sealed in map(_sealed_names, place.glob("from-*")) if sealed)


def remove_segments(place: Path) -> None:
    """Remove the folders of a set's parts, but for those that hold an output which the whole lacks."""
    whole = _sealed_names(place)
    for one in place.glob("from-*"):
        if _sealed_names(one) <= whole:
            shutil.rmtree(one)


def _sealed_names(place: Path) -> set[str]:
    return {marker.name for marker in place.glob("*.json")}


def _joined(path: Path, parts: Any, n: int) -> str:
    whole, start = Growing(path, parts[0], n), 0
    for part in parts:
        whole.put(slice(start, start + len(part)), part)
        start += len(part)
    return whole.close()


def onto(device: torch.device, pixels: np.ndarray) -> Tensor:
    """Return a batch on a device; the copy to a GPU does not hold up what is decoded next."""
    x = torch.from_numpy(pixels)
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


class Growing:
    """A float array on disk, filled batch by batch and named when whole.

    Args:
        path: Of the file when it is whole.
        first: Some rows, for dtype and shape.
        n: Rows in all.
    """

    def __init__(self, path: Path, first: Tensor, n: int) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        dtype = np.float64 if first.dtype == torch.float64 else np.float32
        # A name of its own: two processes, on two hosts, may write one array at once.
        handle, name = mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        Path(name).chmod(0o644)
        self._part = Path(name)
        os.close(handle)
        self._array = np.lib.format.open_memmap(self._part, "w+", dtype, (n, *first.shape[1:]))

    def put(self, rows: slice, values: Tensor) -> None:
        """Fill rows."""
        whole = values.float() if values.itemsize < self._array.itemsize else values  # numpy has no bfloat16
        self._array[rows] = whole.cpu().numpy()

    def close(self) -> str:
        """Give the array its name, and return it."""
        self._array.flush()
        self._part.replace(self._path)
        return self._path.name


def mapped_outputs(place: Path, files: Mapping[Output, tuple[list[str], bool]]) -> dict[Output, Any]:
    """Return what `passed` wrote, mapped from its files, whether these are sealed or not."""
    return {name: _mapped(place, arrays, several) for name, (arrays, several) in files.items()}


def _read(place: Path, name: Output) -> Any:
    """Return one output of a set, or None where it is not there or not whole."""
    facts = unsealed(place / f"{name}.json")
    return None if facts is None else _mapped(place, facts["arrays"], facts["tuple"])


def _mapped(place: Path, files: list[str], several: bool) -> Any:
    # Copy-on-write: torch wants a writable array, and the file must never change.
    arrays = [torch.from_numpy(np.load(place / file, mmap_mode="c", allow_pickle=False)) for file in files]
    return tuple(arrays) if several else arrays[0]
