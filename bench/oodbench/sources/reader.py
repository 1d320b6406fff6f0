"""Whatever a user hands over as data, as inputs: arrays, data sets, loaders, folders, lists, names."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.errors import BadData, MissingData
from oodbench.npy import mapped
from oodbench.sources import arrays
from oodbench.sources.arrays import Array
from oodbench.sources.folders import ImageList, by_name, in_folder, of_folder, of_list
from oodbench.sources.items import LABEL_KEYS, of_items
from oodbench.sources.pictures import as_images
from oodbench.sources.preprocess import Preprocess
from oodbench.sources.scale import Scale
from oodbench.sources.spool import spooled
from oodbench.sources.stored import StoredOutputs, from_npz
from oodbench.spaces import Shape

Data: TypeAlias = Any
"""Images, with classes where these are needed: what `Reader.read` takes."""

HUB = re.compile(r"^hf:(?P<name>[^@\[\]]+)(@(?P<revision>[^\[\]]+))?(\[(?P<split>[^\]]+)\])?$")

EXPECTED = (
    "an array [n c h w] (with classes: a pair of arrays), a memory map, a data set or DataLoader of PyTorch, a data "
    "set of Hugging Face or its name ('hf:NAME[SPLIT]'), a folder of pictures, a list of pictures (.txt), an .npz or "
    ".npy file, or an iterator of batches"
)

CHUNK = 1024


class Reader:
    """Reads one set after another; what the first settles, the classes' names and the range of pixels, holds for all.

    Args:
        work: Returns the folder for what has to be copied, which few forms of data have.
        preprocess: What becomes of pictures.
        scale: Brings float pixels into [0, 1].
        workers: Processes that read items of data sets ahead.
        classes: Names by class, if these are known before any folder is read.

    Attributes:
        classes: Names by class, as far as they are known.
        guessed: Whether these are the names of folders, in the order of the alphabet.
    """

    def __init__(
        self,
        work: Callable[[], Path],
        preprocess: Preprocess | None = None,
        scale: Scale | None = None,
        workers: int = 0,
        classes: Sequence[str] = (),
    ) -> None:
        self._work, self._preprocess, self._workers = work, preprocess, workers
        self._scale = scale or Scale(preprocess.standard if preprocess else None)
        self.classes = list(classes)
        self._order: Mapping[str, int] = by_name(classes)
        self.guessed = False

    @property
    def standardised(self) -> bool | None:
        """Whether float pixels are standardised, as the first of them settled; None before there were any."""
        return self._scale.standardised

    def settle(self, standardised: bool | None) -> None:
        """Settle whether float pixels are standardised, as a reader before this one had it; None leaves it open."""
        self._scale = Scale(self._scale.standard, standardised)

    def read(self, name: str, given: Data, labelled: bool, like: tuple[int, ...] | None = None) -> Inputs:
        """Return a set as images, or as stored outputs.

        Args:
            name: What errors call it.
            given: An array, a pair of arrays, a memory map; a data set or loader of PyTorch; a data set of Hugging
                Face, or its name; a folder, an `ImageList`, a path to .npz, .npy or .txt; an iterable of batches.
            labelled: Whether classes are needed.
            like: The shape that its inputs must have.

        Raises:
            BadData: It is none of these, or not what it must be.
            MissingData: It is not there.
        """
        made: Inputs = self._read(name, given, labelled, like if like is None or len(like) == 3 else None)
        if labelled and made.labels is None:
            got = f"a {type(given).__name__}" if not isinstance(given, str | Path) else f"{given}, which has no classes"
            raise BadData(f"{name}: got {got}; expected {_way_to_classes(given)}")
        _check_axes(name, made.shape)
        if like is not None and made.shape != like and not isinstance(made, StoredOutputs) and len(like) == 3:
            got, expected = ("x".join(map(str, shape)) for shape in (made.shape, like))
            raise BadData(f"{name}: got images of shape {got}; expected {expected}, as in the first set given")
        return made

    def _read(self, name: str, given: Data, labelled: bool, like: Any) -> Any:
        if isinstance(given, StoredOutputs):
            return replace(given, card=given.card or name)
        if _is_inputs(given):
            return given
        if isinstance(given, str | Path):
            return self._named(name, given, labelled, like)
        if isinstance(given, ImageList):
            pictures, labels = of_list(name, given)
            return as_images(name, pictures, self._preprocess, labels if labelled else None, like)
        if _are_batches(given):
            return spooled(name, given, self._scale, self._preprocess, labelled, self._work())
        if isinstance(given, tuple) or (
            isinstance(given, list)
            and given
            and not isinstance(given[0], tuple | Mapping)
            and (labelled or getattr(given[0], "ndim", 0) == 4)
        ):
            return self._pair(name, given, labelled, like)
        if isinstance(given, np.ndarray | torch.Tensor):
            return self._array(name, given, like)
        return self._of_library(name, given, labelled, like)

    def _pair(self, name: str, given: Sequence[Any], labelled: bool, like: Shape | None) -> ArrayImages:
        if len(given) != 2:
            raise BadData(f"{name}: got a {type(given).__name__} of {len(given)}; expected a pair (images, labels)")
        pixels = self._array(name, given[0], like)
        return ArrayImages(pixels.pixels, arrays.classes(name, given[1], len(pixels)), name) if labelled else pixels

    def _named(self, name: str, given: str | Path, labelled: bool, like: Shape | None) -> Any:
        if isinstance(given, str) and (found := HUB.match(given)):
            from oodbench.data.huggingface import rows_by_name

            split = found["split"] or ("train" if name == "train" else "test")
            return self._of_library(name, rows_by_name(found["name"], found["revision"], split), labelled, like)
        path = Path(given).expanduser()
        if path.is_dir():
            return self._folder(name, path, labelled, like)
        if not path.is_file():
            raise MissingData(f"{name}: {str(given)!r} is not there; expected {EXPECTED}")
        if path.suffix == ".npz":
            return self._archive(name, path, labelled, like)
        if path.suffix == ".npy":
            return self._array(name, mapped(path), like)
        if path.suffix in (".txt", ".csv", ".lst", ""):
            return self._read(name, ImageList(path), labelled, like)
        raise BadData(f"{name}: {path} ends in {path.suffix}; expected {EXPECTED}")

    def _folder(self, name: str, path: Path, labelled: bool, like: Shape | None) -> Any:
        if not labelled:
            return as_images(name, in_folder(name, path), self._preprocess, None, like)
        pictures, labels, order = of_folder(name, path, self._order)
        if not self.classes:
            self.classes, self._order = list(order), order
            self.guessed = not all(one.isdecimal() for one in order)
        return as_images(name, pictures, self._preprocess, labels, like)

    def _archive(self, name: str, path: Path, labelled: bool, like: Shape | None) -> Any:
        held = from_npz(name, path)
        if isinstance(held, StoredOutputs):
            return held
        pixels, labels = held
        if labelled and labels is not None:
            return self._read(name, (pixels, labels), labelled, like)
        return self._array(name, pixels, like)

    def _array(self, name: str, x: Array, like: Shape | None) -> ArrayImages:
        if isinstance(x, np.memmap) and x.ndim == 4 and x.dtype.kind == "f" and not self._as_it_lies(x):
            parts = (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
            return spooled(name, parts, self._scale, None, False, self._work())
        return arrays.images(name, x, like, self._scale)

    def _as_it_lies(self, x: npt.NDArray[Any]) -> bool:
        """Return whether a memory map can be read as it is: anything else would be copied, on disk."""
        return x.dtype == np.float32 and not self._scale.standardised and self._scale.standard is None

    def _of_library(self, name: str, given: Any, labelled: bool, like: Shape | None) -> Any:
        if (isinstance(given, Mapping) and not hasattr(given, "__getitem__")) or _is_splits(given):
            raise BadData(
                f"{name}: got data sets by split, {', '.join(map(str, given))}; choose one: data[{next(iter(given))!r}]"
            )
        if isinstance(given, dict):
            keys = ", ".join(map(repr, given))
            raise BadData(f"{name}: got a dict of {keys}; expected {EXPECTED}")
        if encoded := _encoded_column(given):
            from oodbench.data.huggingface import pictures_of

            labels = _column(name, given) if labelled else None
            return as_images(name, pictures_of(given, encoded, name), self._preprocess, labels, like)
        workers = self._workers
        if isinstance(given, DataLoader) and _in_order(given):
            given, workers = given.dataset, given.num_workers
        if isinstance(given, DataLoader | IterableDataset) or not _by_place(given):
            if not isinstance(given, Iterable):
                raise BadData(f"{name}: got a {type(given).__name__}; expected {EXPECTED}")
            return spooled(name, given, self._scale, self._preprocess, labelled, self._work())
        if labelled and _is_image_folder(given):
            self._agree(name, given.class_to_idx)
        return of_items(name, given, self._scale, self._preprocess, labelled, workers)

    def _agree(self, name: str, order: Mapping[str, int]) -> None:
        """Hold the classes that torchvision numbered, a folder of its own each, against those of the sets before.

        Raises:
            BadData: One has another number.
        """
        if not self.classes:
            self.classes, self._order, self.guessed = list(order), order, True
            return
        if not self.guessed and len(order) != len(self.classes):
            raise BadData(
                f"{name}: ImageFolder numbered {len(order)} classes, and the model has {len(self.classes)} outputs "
                f"with names; give the folder's path, whose folders have these names or numbers of outputs"
            )
        for one, label in order.items():
            if self._order.get(one, label) != label or (self.guessed and one not in self._order):
                known = f"class {self._order[one]}" if one in self._order else "none"
                raise BadData(
                    f"{name}: ImageFolder made class {label} of the folder {one!r}, which is {known} of "
                    f"{len(self._order)} known before; a class without pictures moves the others: give the folder's "
                    f"path, or an empty folder for each class that is absent (allow_empty=True)"
                )


def _check_axes(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 3 and shape[0] == shape[1] > shape[2] and shape[2] in (1, 3, 4):
        raise BadData(
            f"{name}: got images of shape {'x'.join(map(str, shape))}, whose channels seem to come last; expected "
            f"[n c h w]: give x.transpose(0, 3, 1, 2)"
        )


def _is_image_folder(given: Any) -> bool:
    """Return whether torchvision numbered the classes of a data set by what folders it found."""
    return type(given).__module__ == "torchvision.datasets.folder" and given.target_transform is None


def _is_inputs(given: Any) -> bool:
    return all(hasattr(given, name) for name in ("batch", "take", "sha256", "shape", "labels"))


def _are_batches(given: Any) -> bool:
    """Return whether these are batches one by one, which a pair of images and classes is not."""
    if not isinstance(given, tuple | list) or not given:
        return False
    firsts = (one[0] if isinstance(one, tuple | list) and one else one for one in given)
    return all(getattr(one, "ndim", 0) == 4 for one in firsts)


def _by_place(given: Any) -> bool:
    return hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, Mapping)


def _is_splits(given: Any) -> bool:
    return isinstance(given, Mapping) and all(hasattr(one, "column_names") for one in given.values())


def _in_order(loader: "DataLoader[Any]") -> bool:
    """Return whether a loader only batches what its data set has, in order, so that items can be read by place."""
    collate = getattr(loader.collate_fn, "__name__", "")
    plain = type(loader.sampler) is SequentialSampler and type(loader.batch_sampler) is BatchSampler
    return plain and _by_place(loader.dataset) and collate == "default_collate"


def _encoded_column(given: Any) -> str | None:
    """Return the column of encoded pictures of a data set of Hugging Face, if it is one and nothing transforms it."""
    features = getattr(given, "features", None)
    if not (isinstance(features, Mapping) and hasattr(given, "cast_column") and hasattr(given, "__len__")):
        return None
    if getattr(given, "format", {}).get("type") is not None:
        return None
    return next((name for name, kind in features.items() if type(kind).__name__ == "Image"), None)


def _column(name: str, rows: Any) -> npt.NDArray[np.int64] | None:
    key = next((one for one in LABEL_KEYS if one in rows.column_names), None)
    return None if key is None else arrays.classes(name, np.asarray(rows[key][:]), len(rows))


def _way_to_classes(given: Any) -> str:
    if isinstance(given, np.ndarray | torch.Tensor):
        return "a pair (images, labels)"
    if isinstance(given, str | Path):
        return "a folder of pictures a class, a list with classes, or an .npz file with 'labels'"
    return "a class beside each image"
