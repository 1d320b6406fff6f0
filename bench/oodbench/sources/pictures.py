"""Encoded pictures (PNG, JPEG ...), decoded when a batch asks for them, in threads that read ahead."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from oodbench.data.decode import decode
from oodbench.data.images import DECODERS, Pictures, channels_first, unit
from oodbench.data.inputs import Indices, check_labels
from oodbench.errors import BadData
from oodbench.sources.preprocess import Preprocess
from oodbench.sources.repeats import differs
from oodbench.spaces import Shape
from oodbench.store import digest

AHEAD = 2
"""Batches that are decoded before they are asked for."""

TOLD = 4
"""Pictures whose pixels tell one preprocessing from another."""

RANDOM = (
    "the transform makes two different images of one picture, so that no score of it can be made again; give the one "
    "for evaluation, without random crops and flips"
)


@cache
def decoders() -> ThreadPoolExecutor:
    """Return the threads that decode, of this process: new ones for every batch would cost time and memory."""
    return ThreadPoolExecutor(DECODERS)


if hasattr(os, "register_at_fork"):  # a fork has no threads but its own: work for its parent's would wait for ever
    os.register_at_fork(after_in_child=decoders.cache_clear)


@dataclass(frozen=True, eq=False)
class PictureImages:
    """n pictures that are decoded on demand; memory stays that of a few batches.

    Attributes:
        pictures: Encoded.
        shape: Channels, height, width, after the preprocessing.
        preprocess: What becomes of each; None leaves it as it is, and then all have to be of the shape.
        labels: Classes [n], or None.
        card: What errors call the set.
        places: Which of the pictures these are, in order.
    """

    pictures: Pictures
    shape: Shape
    preprocess: Preprocess | None = None
    labels: npt.NDArray[np.int64] | None = None
    card: str | None = None
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    digests: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels is not None:
            check_labels(self.labels, len(self), self.card or "images")

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1].

        Raises:
            BadData: A picture is damaged, or does not become one of the shape.
        """
        places = self.places[indices]
        out = np.empty((len(places), *self.shape), np.float32)
        for row, pixels in enumerate(decoders().map(self._one, places)):
            out[row] = pixels
        return out

    def stream(self, size: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the images in order, `size` at a time, decoded ahead."""
        parts = [self.places[start : start + size] for start in range(0, len(self), size)]
        waiting: deque[list[Future[npt.NDArray[np.float32]]]] = deque()
        try:
            for part in parts:
                waiting.append([decoders().submit(self._one, place) for place in part])
                if len(waiting) > AHEAD:
                    yield np.stack([one.result() for one in waiting.popleft()])
            while waiting:
                yield np.stack([one.result() for one in waiting.popleft()])
        finally:
            for ahead in chain.from_iterable(waiting):
                ahead.cancel()

    def take(self, indices: Indices) -> "PictureImages":
        """Return the images at `indices`, in that order, still undecoded."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, places=self.places[indices], labels=labels)

    def token(self) -> str:
        """Return what tells these from other images in this process, without a look at any."""
        return hashlib.sha256(f"{id(self.pictures)} {self.card}".encode() + self.places.tobytes()).hexdigest()

    def sha256(self) -> str:
        """Return the sha256 of the encoded bytes, the labels, and what the preprocessing makes of some of them."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        missing = [int(place) for place in self.places if int(place) not in self.digests]
        self.digests.update(zip(missing, decoders().map(self._digest, missing), strict=True))
        told = hashlib.sha256(self.batch(slice(0, None, max(1, len(self) // TOLD))).tobytes()).hexdigest()
        content = hashlib.sha256(b"".join(self.digests[int(place)] for place in self.places))
        if self.labels is not None:
            content.update(self.labels.astype("<i8").tobytes())
        return digest(content.hexdigest(), told, list(self.shape), self.preprocess.rule if self.preprocess else None)

    def _digest(self, place: int) -> bytes:
        return hashlib.sha256(self.pictures.content(place)).digest()

    def _one(self, place: np.integer[Any]) -> npt.NDArray[np.float32]:
        pixels = pixels_of(self.pictures, int(place), self.preprocess, self.shape[0])
        if pixels.shape != self.shape:
            got, expected = ("x".join(map(str, shape)) for shape in (pixels.shape, self.shape))
            way = "" if self.preprocess else SIZES
            raise BadData(f"{self.pictures.name(int(place))}: an image of shape {got}; expected {expected}{way}")
        return pixels


SIZES = (
    ", as the first of the set; pictures of different sizes need a transform that brings them to one: "
    "transform=torchvision.transforms.Compose([Resize(32), CenterCrop(32), ToTensor()]), or the model's own"
)


def as_images(
    name: str,
    pictures: Pictures,
    preprocess: Preprocess | None,
    labels: npt.NDArray[np.int64] | None,
    like: Shape | None,
) -> PictureImages:
    """Return pictures as images of one shape: of `like`, else of the first.

    Args:
        name: What errors call the set.
        pictures: Encoded; one at least.
        preprocess: What becomes of each.
        labels: Classes [n].
        like: The shape that they must have.

    Raises:
        BadData: The first is damaged or of another shape, or the transform is random.
    """
    if not len(pictures):
        raise BadData(f"{name}: got no pictures, expected at least one")
    first = pixels_of(pictures, 0, preprocess, like[0] if like else None)
    c, h, w = first.shape
    if preprocess and differs(lambda: pixels_of(pictures, 0, preprocess, None)):
        raise BadData(f"{name}: {RANDOM}")
    made = PictureImages(pictures, like or (c, h, w), preprocess, labels, name, np.arange(len(pictures)))
    made.batch(slice(0, 1))
    return made


def pixels_of(
    pictures: Pictures, place: int, preprocess: Preprocess | None, channels: int | None
) -> npt.NDArray[np.float32]:
    """Return one picture as float32 [c h w].

    Args:
        pictures: Encoded.
        place: Which.
        preprocess: What becomes of it: it is given in RGB.
        channels: Where nothing becomes of it: 3 makes grey pictures RGB; None leaves it as it is.
    """
    name = pictures.name(place)
    pixels = decode(pictures.content(place), name).pixels
    if preprocess:
        return preprocess(Image.fromarray(pixels).convert("RGB"), name)
    if channels == 3 and pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if channels == 1 and pixels.ndim == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    return unit(channels_first(pixels))
