"""Inputs in batches, in order; encoded pictures may be decoded ahead, by processes of their own."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from oodbench.data.changed import ChangedImages
from oodbench.data.images import FolderImages, unit
from oodbench.data.inputs import Inputs
from oodbench.data.remembered import RememberedImages
from oodbench.errors import BadData

AHEAD = 2
"""Batches that each process decodes before they are asked for."""

Batch = npt.NDArray[Any]
"""Pixels [k c h w], float32 in [0, 1], or ids of words [k t], int64."""


@runtime_checkable
class Streams(Protocol):
    """Inputs that know best how to be read from start to end."""

    def stream(self, size: int) -> Iterator[Batch]:
        """Yield the inputs in order, `size` at a time."""


def batches(images: Inputs, size: int, workers: int = 0) -> Iterator[Batch]:
    """Yield the inputs in order, `size` at a time, the last batch as small as what is left.

    The bytes are the same for any number of workers. No random state is touched.

    Args:
        images: n images or texts.
        size: Images or texts a batch.
        workers: Processes that decode encoded pictures ahead. There are never more than processors or batches, and none
            for inputs in memory, nor inside a daemon process, which may have no children.

    Raises:
        BadData: A picture is damaged, or a process that decodes died.

    Example:
        >>> from oodbench.data.images import ArrayImages
        >>> [len(part) for part in batches(ArrayImages(np.zeros((5, 1, 8, 8), np.float32)), 2)]
        [2, 2, 1]
    """
    if isinstance(images, Streams):
        yield from images.stream(size)
    elif isinstance(images, RememberedImages):
        yield from batches(images.opened, size, workers)
    elif isinstance(images, ChangedImages):
        for batch in batches(images.images, size, workers):
            yield images.change(batch)
    elif isinstance(images, FolderImages) and (most := _useful(workers, -(-len(images) // size))):
        yield from _decoded_ahead(images, size, most)
    else:
        for start in range(0, len(images), size):
            yield images.batch(slice(start, start + size))


def _useful(workers: int, tasks: int) -> int:
    """Return how many processes can help."""
    if multiprocessing.current_process().daemon or tasks < 2:
        return 0
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(workers, tasks, here)


@dataclass(frozen=True)
class _Batches:
    """The batches by number, a data set as PyTorch sees it; what is wrong with one is a value, and travels whole."""

    images: FolderImages
    size: int

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def __getitem__(self, number: int) -> npt.NDArray[np.uint8] | str:
        start = number * self.size
        try:
            return self.images.pixels(slice(start, start + self.size))
        except BadData as error:
            return str(error)


def _as_it_is(batch: Any) -> Any:
    return batch


def _decoded_ahead(images: FolderImages, size: int, workers: int) -> Iterator[Batch]:
    from torch import Generator
    from torch.utils.data import DataLoader

    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)  # never fork: this process may have threads, and a GPU
    if method == "forkserver":
        context.set_forkserver_preload([__name__, "torch.utils.data"])  # once, not once a worker
    numbered: Any = _Batches(images, size)  # a data set by its two methods, so that this room needs no torch
    loader: Iterable[npt.NDArray[np.uint8] | str] = DataLoader(
        numbered,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,  # bytes through a pipe: shared memory is 64 MB in a container
        multiprocessing_context=context,
        generator=Generator(),  # else the loader draws its seed from everybody's
    )
    try:
        for batch in loader:
            if isinstance(batch, str):
                raise BadData(batch)
            yield unit(batch)
    except RuntimeError as error:  # how the loader tells of a dead worker
        why = str(error).partition("\n")[0]
        raise BadData(
            f"{images.card or 'images'}: a process that decodes pictures died ({why}); out of memory? "
            f"use fewer workers."
        ) from error
