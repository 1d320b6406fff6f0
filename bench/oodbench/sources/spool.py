"""What can be read only once, or only from start to end: written to disk in one pass, and then read as an array.

Iterators, data loaders that shuffle, data sets without `__getitem__`.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from oodbench.data.images import ArrayImages, Pixels
from oodbench.errors import BadData, BadSetting
from oodbench.sources import arrays
from oodbench.sources.items import IMAGE_KEYS, LABEL_KEYS, by_transform, label_of, pixels_of
from oodbench.sources.preprocess import Preprocess
from oodbench.sources.scale import Scale

SPARE = 1 << 30
"""Bytes of the disk that stay free."""


def spooled(
    name: str, source: Iterable[Any], scale: Scale, preprocess: Preprocess | None, labelled: bool, folder: Path
) -> ArrayImages:
    """Return what an iterable yields, batches or single items, as images that lie in a file.

    Args:
        name: What errors call it.
        source: Yields pixels [k c h w], (pixels, classes [k]) or mappings that hold them; or single items.
        scale: Brings pixels into [0, 1], but those that the preprocessing makes.
        preprocess: What becomes of items that are PIL pictures.
        labelled: Whether classes are needed.
        folder: Where the file is to lie.

    Raises:
        BadData: It yields nothing, or something that is no image, or images of different sizes.
        BadSetting: The disk is full.
    """
    handle, path = mkstemp(suffix=".pixels", dir=folder)
    try:
        return _written(name, source, scale, preprocess, labelled, handle, Path(path))
    finally:
        with suppress(OSError):  # what is mapped stays readable, and nothing is left when it is no longer read
            Path(path).unlink()


def _written(
    name: str,
    source: Iterable[Any],
    scale: Scale,
    preprocess: Preprocess | None,
    labelled: bool,
    handle: int,
    path: Path,
) -> ArrayImages:
    classes: list[int] = []
    shape: tuple[int, ...] | None = None
    dtype: Any = None
    n = 0
    low, high = np.inf, -np.inf
    with os.fdopen(handle, "wb") as file:
        for number, given in enumerate(source):
            made = by_transform(given, preprocess)
            for pixels, label in _items(given, preprocess, labelled, f"{name}, item {number}"):
                part = (Scale() if made else scale)(name, pixels)
                if pixels.size and not made:
                    low, high = min(low, pixels.min()), max(high, pixels.max())
                shape, dtype = shape or part.shape[1:], dtype or part.dtype
                if part.shape[1:] != shape or part.dtype != dtype:
                    raise BadData(
                        f"{name}, item {number}: got {part.dtype}{list(part.shape[1:])}; expected "
                        f"{dtype}{list(shape)}, as "
                        f"the first: bring all to one size and dtype in the transform"
                    )
                _check_room(path.parent, part.nbytes, name)
                file.write(np.ascontiguousarray(part).tobytes())
                classes += label
                n += len(part)
    if shape is None:
        raise BadData(f"{name}: yielded nothing; an iterator can be read once: is it a fresh one?")
    if dtype != np.uint8 and low <= high:
        scale.refuse_pixels(name, np.array([low, high]))
    stored: Pixels = np.memmap(path, dtype, "r", shape=(n, *shape))
    return ArrayImages(stored, np.array(classes, np.int64) if labelled else None, name)


def _items(
    given: Any, preprocess: Preprocess | None, labelled: bool, name: str
) -> Iterator[tuple[npt.NDArray[Any], list[int]]]:
    """Yield pixels [k c h w] and classes of what was yielded: a batch, or one item."""
    parts = given if isinstance(given, tuple | list) and len(given) > 1 else (given, None)
    if isinstance(parts[0], Tensor | np.ndarray) and parts[0].ndim == 4:
        pixels = arrays.plain(name, parts[0])
        yield pixels, _classes(parts[1], len(pixels), name) if labelled else []
        return
    if isinstance(given, Mapping) and (
        key := next((one for one in (*IMAGE_KEYS, *given) if getattr(given.get(one), "ndim", 0) == 4), None)
    ):
        label = next((given[one] for one in LABEL_KEYS if one in given), None)
        yield from _items((given[key], label), preprocess, labelled, name)
        return
    yield pixels_of(given, preprocess, name)[None], [label_of(given, name)] if labelled else []


def _classes(labels: Any, n: int, name: str) -> list[int]:
    if labels is None:
        raise BadData(
            f"{name}: got images without classes; expected batches (images, classes), or mappings with "
            f"{LABEL_KEYS[0]!r} beside them"
        )
    found = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if found.dtype.kind not in "iu" or found.shape != (n,):
        raise BadData(
            f"{name}: got classes {found.dtype}{list(found.shape)}; expected whole numbers [{n}], one an image"
        )
    return [int(label) for label in found]


def _check_room(folder: Path, size: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free - size < SPARE:
        raise BadSetting(
            f"{name}: {free / 1e9:.1f} GB are free in {folder}, where an iterator's images are written; name another "
            f"folder (cache=...), or give a data set with __getitem__, or a folder of pictures, which are not copied"
        )
