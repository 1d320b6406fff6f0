"""Data sets of PyTorch and Hugging Face: items one by one, as pixels and a class."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from oodbench.data.decode import as_8_bits
from oodbench.data.images import channels_first, digest_of
from oodbench.data.inputs import Indices
from oodbench.errors import BadData
from oodbench.sources.preprocess import Preprocess
from oodbench.sources.repeats import differs
from oodbench.sources.scale import Scale
from oodbench.spaces import Shape

IMAGE_KEYS = ("image", "img", "pixel_values", "images", "x")
LABEL_KEYS = ("label", "labels", "fine_label", "target", "y")
"""Names under which items that are mappings hold an image and a class; the first that is there counts."""

LABEL_LISTS = ("targets", "labels", "_labels")
"""Attributes of data sets that hold all classes, so that no image has to be decoded for them."""

CHUNK = 256

SETTLING = 16
"""Items that settle whether a data set's are standardised."""

COMPARED = 64
"""Items whose classes are held against a data set's own list of them."""


@dataclass(frozen=True, eq=False)
class ItemImages:
    """A map-style data set (`__len__`, `__getitem__`), whose items are read when a batch asks for them.

    Attributes:
        items: Each an image, an (image, class) or a mapping that holds them: a PIL picture, or pixels [c h w].
        shape: Channels, height, width.
        scale: Brings pixels into [0, 1].
        preprocess: What becomes of items that are PIL pictures; None leaves them as they are.
        labels: Classes [n], or None.
        card: What errors call the set.
        places: Which of the items these are, in order.
        workers: Processes that read items ahead; none as a rule, for not every data set bears it.
    """

    items: Any
    shape: Shape
    scale: Scale
    preprocess: Preprocess | None
    labels: npt.NDArray[np.int64] | None
    card: str
    places: npt.NDArray[np.int64]
    workers: int = 0

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1].

        Raises:
            BadData: An item is no image of the shape, or not in [0, 1].
        """
        return self._stacked([self[int(place)] for place in np.arange(len(self))[indices]])

    def __getitem__(self, row: int) -> npt.NDArray[Any]:
        """Return the pixels of one image, as its item has them."""
        place = int(self.places[row])
        name = f"{self.card}, item {place}"
        pixels = pixels_of(self.items[place], self.preprocess, name)
        if pixels.shape != self.shape:
            raise BadData(f"{name}: an image of {_size(pixels.shape)}; expected {_size(self.shape)}, as the others")
        return pixels

    def stream(self, size: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the images in order, `size` at a time, read ahead where there are workers."""
        loader: DataLoader[Any] = DataLoader(
            self,  # type: ignore[arg-type]
            batch_size=size,
            num_workers=self.workers,
            collate_fn=list,
            generator=torch.Generator(),  # else the loader draws its seed from everybody's
        )
        for items in loader:
            yield self._stacked(items)

    def take(self, indices: Indices) -> "ItemImages":
        """Return the images at `indices`, in that order, still unread."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, places=self.places[indices], labels=labels)

    def token(self) -> str:
        """Return what tells these from other images in this process, without a look at any."""
        return hashlib.sha256(f"{id(self.items)} {self.card}".encode() + self.places.tobytes()).hexdigest()

    def sha256(self) -> str:
        """Return the sha256 of pixels and labels: every item is read once for it."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return digest_of((len(self), *self.shape), self.stream(CHUNK), self.labels)

    def _stacked(self, pixels: list[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        if not pixels:
            return np.empty((0, *self.shape), np.float32)
        scaled = self.scale(self.card, np.stack(pixels))
        return scaled.astype(np.float32) / np.float32(255) if scaled.dtype == np.uint8 else scaled


def of_items(
    name: str, items: Any, scale: Scale, preprocess: Preprocess | None, labelled: bool, workers: int = 0
) -> ItemImages:
    """Return a map-style data set as images.

    Args:
        name: What errors call it.
        items: The data set.
        scale: Brings pixels into [0, 1], but those that the preprocessing makes.
        preprocess: What becomes of items that are PIL pictures.
        labelled: Whether classes are needed.
        workers: Processes that read ahead.

    Raises:
        BadData: It is empty, an item is no image, or has no class.
    """
    n = len(items)
    if not n:
        raise BadData(f"{name}: got no items, expected at least one")
    first = pixels_of(items[0], preprocess, f"{name}, item 0")
    if differs(lambda: pixels_of(items[0], preprocess, f"{name}, item 0")):
        raise BadData(
            f"{name}: item 0 differs from one read to the next, so that no score of it can be made again; give a data "
            f"set with the transform for evaluation, without random crops and flips"
        )
    c, h, w = first.shape
    labels = _labels(name, items) if labelled else None
    scale = Scale() if by_transform(items[0], preprocess) else scale
    made = ItemImages(items, (c, h, w), scale, preprocess, labels, name, np.arange(n), workers)
    some = np.stack([made[row] for row in range(min(n, SETTLING))])
    scale(name, some)
    scale.refuse_pixels(name, some)
    return made


def by_transform(item: Any, preprocess: Preprocess | None) -> bool:
    """Return whether an item's pixels are made by the preprocessing: in [0, 1], whatever range arrays are in."""
    return preprocess is not None and isinstance(_part(item, IMAGE_KEYS, 0), Image.Image)


def pixels_of(item: Any, preprocess: Preprocess | None, name: str) -> npt.NDArray[Any]:
    """Return the pixels [c h w] of an item.

    Raises:
        BadData: It holds no image.
    """
    image = _part(item, IMAGE_KEYS, 0)
    if isinstance(image, Image.Image):
        pixels = as_8_bits(image, name)
        return preprocess(Image.fromarray(pixels).convert("RGB"), name) if preprocess else channels_first(pixels)
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
    given = np.asarray(image) if isinstance(image, np.ndarray | list) else None
    if given is None or given.ndim not in (2, 3):
        held = f", with {sorted(item)}" if isinstance(item, Mapping) else ""
        got = type(item).__name__ if given is None else f"{given.dtype}{list(given.shape)}"
        raise BadData(
            f"{name}: got {got}{held}; expected an image (a PIL picture, or pixels [c h w]), (image, class), or a "
            f"mapping with {IMAGE_KEYS[0]!r} and {LABEL_KEYS[0]!r}"
        )
    return given[None] if given.ndim == 2 else given


def _part(item: Any, keys: tuple[str, ...], place: int) -> Any:
    if isinstance(item, Mapping):
        return next((item[key] for key in keys if key in item), None)
    if isinstance(item, tuple | list) and item and not isinstance(item[0], int | float | list):
        return item[place] if len(item) > place else None
    return item if place == 0 else None


def _labels(name: str, items: Any) -> npt.NDArray[np.int64]:
    """Return all classes: from the data set's own list or column, where it has one that agrees with some items.

    What changes classes between the list and the items, as a `target_transform` does, may leave those of most as they
    are; then every item is asked.
    """
    n = len(items)
    columns = getattr(items, "column_names", None)
    listed: Any = None
    if isinstance(columns, list):
        key = next((one for one in LABEL_KEYS if one in columns), None)
        listed = items[key][:] if key else None
    else:
        listed = next((found for one in LABEL_LISTS if (found := getattr(items, one, None)) is not None), None)
    if listed is not None and len(listed) == n and getattr(items, "target_transform", None) is None:
        labels = np.asarray(listed)
        rows = np.unique(np.linspace(0, n - 1, COMPARED).astype(int))
        if labels.dtype.kind in "iu" and all(_label(name, items, int(row)) == labels[row] for row in rows):
            return labels.astype(np.int64)
    return np.array([_label(name, items, row) for row in range(n)], np.int64)


def _label(name: str, items: Any, row: int) -> int:
    return label_of(items[row], f"{name}, item {row}")


def label_of(item: Any, name: str) -> int:
    """Return the class of an item.

    Raises:
        BadData: It has none that is a whole number.
    """
    label = _part(item, LABEL_KEYS, 1)
    one = isinstance(label, Tensor | np.generic | np.ndarray) and np.asarray(label).size == 1
    value = label.item() if one else label
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadData(
            f"{name}: got the class {str(label)[:60]}; expected a whole number from 0: items are (image, class), or "
            f"mappings with {LABEL_KEYS[0]!r}"
        )
    return value


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
