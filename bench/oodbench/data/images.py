"""Images: n pictures of one shape, read in batches as float32 pixels in [0, 1]."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from oodbench.data import checksums
from oodbench.data.cards import Resampling
from oodbench.data.decode import decode
from oodbench.data.inputs import Indices, Inputs, check_labels
from oodbench.errors import BadData
from oodbench.spaces import Shape

Pixels: TypeAlias = npt.NDArray[np.uint8 | np.float32]

CHUNK = 1024

DECODERS = min(8, os.cpu_count() or 1)
"""Threads that read and decode pictures for a fingerprint."""


class Images(Inputs, Protocol):
    """Inputs that are images."""

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""

    def take(self, indices: Indices) -> "Images":
        """Return the images at `indices`, in that order."""


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory: `pixels` [n c h w], uint8 (0 to 255) or float32 (in [0, 1]).

    Raises:
        BadData: Another dtype or rank, no images, values out of range, or labels that do not fit.
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64] | None = None
    card: str | None = None

    def __post_init__(self) -> None:
        name = self.card or "images"
        _check_pixels(self.pixels, name)
        if self.labels is not None:
            check_labels(self.labels, len(self.pixels), name)

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        c, h, w = self.pixels.shape[1:]
        return c, h, w

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        return unit(self.pixels[indices])

    def take(self, indices: Indices) -> "ArrayImages":
        """Return the images at `indices`, in that order."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, pixels=self.pixels[indices], labels=labels)

    def sha256(self) -> str:
        """Return the sha256 of pixels and labels."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        chunks = (self.pixels[start : start + CHUNK] for start in range(0, len(self), CHUNK))
        return digest_of(self.pixels.shape, chunks, self.labels)


class Pictures(Protocol):
    """Encoded pictures (PNG, JPEG ...), by place."""

    def __len__(self) -> int:
        """Return how many there are."""

    def name(self, place: int) -> str:
        """Return what an error calls the picture."""

    def content(self, place: int) -> bytes:
        """Return its bytes, still encoded."""


@dataclass(frozen=True, eq=False)
class FilePictures:
    """Image files."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, place: int) -> str:
        """Return the path."""
        return checksums.printable(self.paths[place])

    def content(self, place: int) -> bytes:
        """Return the file's bytes.

        Raises:
            BadData: It cannot be read.
        """
        return checksums.content(self.paths[place])


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Encoded pictures, decoded only when a batch asks for them; memory stays that of one batch.

    `shape` and `resampling` say what each picture becomes after decoding, `places` which of them these are, in order;
    `invert` turns dark on light into light on dark, `upright` photographs that say how they were held.
    """

    pictures: Pictures
    shape: Shape
    resampling: Resampling
    labels: npt.NDArray[np.int64] | None = None
    card: str | None = None
    invert: bool = False
    places: npt.NDArray[np.int64] | None = None
    upright: bool = True

    def __post_init__(self) -> None:
        name = self.card or "images"
        if not len(self):
            raise BadData(f"{name}: got no images, expected at least one.")
        if self.labels is not None:
            check_labels(self.labels, len(self), name)

    def __len__(self) -> int:
        return len(self.pictures) if self.places is None else len(self.places)

    def pixels(self, indices: Indices) -> npt.NDArray[np.uint8]:
        """Return the decoded images at `indices`: uint8 [k c h w]."""
        chosen = self._places(indices)
        out = np.empty((len(chosen), *self.shape), np.uint8)
        for row, place in enumerate(chosen):
            out[row] = self._decode(int(place))
        return out

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        return unit(self.pixels(indices))

    def take(self, indices: Indices) -> "FolderImages":
        """Return the images at `indices`, in that order, still undecoded."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, places=self._places(indices), labels=labels)

    def sha256(self) -> str:
        """Return the sha256 of the encoded bytes and of what becomes of them.

        Every picture is decoded meanwhile, so that a damaged one is found before any work is spent on the set.

        Raises:
            BadData: A picture is damaged; the message names it.
        """
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        turned = "" if self.upright else " as stored"
        digest = hashlib.sha256(f"{self.shape} {self.resampling} {self.invert}{turned}".encode())
        with ThreadPoolExecutor(DECODERS) as pool:  # Pillow and hashlib let go of the interpreter's lock
            places = self._places(slice(None))
            for start in range(0, len(places), CHUNK):  # a damaged picture stops the pass within one chunk
                for one in pool.map(self._fingerprint, places[start : start + CHUNK]):
                    digest.update(one)
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def _places(self, indices: Indices) -> npt.NDArray[np.int64]:
        every = np.arange(len(self.pictures)) if self.places is None else self.places
        return every[indices]

    def _decode(self, place: int) -> Pixels:
        name = self.pictures.name(place)
        return self._fit(decode(self.pictures.content(place), name, self.upright).pixels, name)

    def _fit(self, image: npt.NDArray[np.uint8], name: str) -> Pixels:
        try:
            return fit_one(channels_first(255 - image if self.invert else image), self.shape, self.resampling)
        except BadData as error:
            raise BadData(f"{name}: {error}") from error

    def _fingerprint(self, place: np.integer[Any]) -> bytes:
        """Return what one picture adds to the hash: its bytes' own, and the rule by which they are read, if any."""
        content, name = self.pictures.content(int(place)), self.pictures.name(int(place))
        decoded = decode(content, name, self.upright)
        self._fit(decoded.pixels, name)
        return hashlib.sha256(content).digest() + decoded.rule.encode()


def unit(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return pixels as float32 in [0, 1]."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels.astype(np.float32)


def quantised(pixels: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Return pixels in [0, 1] on the 8-bit grid, clipped to it: round(255 x)."""
    grid: npt.NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return grid


def channels_first(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return [h w] or [h w c] as [c h w]."""
    return image[None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))


def fit_shape(images: Images, shape: Shape, resampling: Resampling) -> Images:
    """Return images that are of `shape`, by the card's `resampling`; the same images if they are already.

    Raises:
        BadData: The resampling cannot lead to the shape.
    """
    if images.shape == shape:
        return images
    if isinstance(images, FolderImages):
        return replace(images, shape=shape, resampling=resampling)
    if isinstance(images, ArrayImages):
        fitted = np.empty((len(images), *shape), images.pixels.dtype)
        for row, pixels in enumerate(images.pixels):
            fitted[row] = fit_one(pixels, shape, resampling)
        return replace(images, pixels=fitted)
    raise BadData(f"fit_shape takes ArrayImages or FolderImages, got {type(images).__name__}.")


def fit_one(pixels: Pixels, shape: Shape, resampling: Resampling) -> Pixels:
    """Return one image [c h w] as `shape`: colour first, then size."""
    c, h, w = shape
    coloured = _colour(pixels, c)
    if coloured.shape == shape and resampling != "bilinear-crop-margin":
        return coloured
    match resampling:
        case "pad":
            return _pad(coloured, h, w)
        case "box":
            return _resize(coloured, h, w, Image.Resampling.BOX)
        case "bicubic":
            return _resize(coloured, h, w, Image.Resampling.BICUBIC)
        case "crop":
            return _crop(coloured, h, w, max(h, w))
        case "crop-margin":
            return _crop(coloured, h, w, round(max(h, w) * 8 / 7))
        case "bilinear-crop":
            return _centre_of_bilinear(coloured, h, w, max(h, w))
        case "bilinear-crop-margin":
            return _centre_of_bilinear(coloured, h, w, round(max(h, w) * 8 / 7))
        case "crop-256-box":
            return _resize(_crop(coloured, 256, 256, 256), h, w, Image.Resampling.BOX)
        case "none":
            got = "x".join(map(str, pixels.shape))
            raise BadData(f"got shape {got}, expected {c}x{h}x{w}: the card's resampling is 'none'.")


def _colour(pixels: Pixels, channels: int) -> Pixels:
    """Return grey repeated, RGB as luma (ITU-R 601: .299 R + .587 G + .114 B), or the image itself."""
    if len(pixels) == channels:
        return pixels
    if len(pixels) == 1:
        return np.repeat(pixels, channels, axis=0)
    if len(pixels) == 3 and channels == 1:
        luma = np.tensordot(np.array([0.299, 0.587, 0.114]), pixels, 1)[None]
        return np.rint(luma).astype(np.uint8) if pixels.dtype == np.uint8 else luma.astype(np.float32)
    raise BadData(f"got {len(pixels)} channels, expected {channels}: no rule makes one from the other.")


def _pad(pixels: Pixels, h: int, w: int) -> Pixels:
    """Return the image centred in h x w: zeros around it, or only its centre."""
    for axis, size in ((1, h), (2, w)):
        extra = size - pixels.shape[axis]
        before = abs(extra) // 2
        if extra < 0:
            pixels = pixels.take(np.arange(before, before + size), axis)
        elif extra:
            pixels = np.pad(pixels, [(before, extra - before) if a == axis else (0, 0) for a in range(3)])
    return pixels


def _crop(pixels: Pixels, h: int, w: int, short: int) -> Pixels:
    """Return the centre of the image, after its shorter side became `short`."""
    scale = short / min(pixels.shape[1:])
    rows, columns = (round(side * scale) for side in pixels.shape[1:])
    return _pad(_resize(pixels, rows, columns, Image.Resampling.BICUBIC), h, w)


def _centre_of_bilinear(pixels: Pixels, h: int, w: int, short: int) -> Pixels:
    """Return torchvision's CenterCrop of its Resize: the longer side rounded down, the margin to the nearest even."""
    rows, columns = pixels.shape[1:]
    least = min(rows, columns)
    if least != short:
        rows, columns = (short if side == least else int(short * side / least) for side in (rows, columns))
        pixels = _resize(pixels, rows, columns, Image.Resampling.BILINEAR)
    top, left = round((rows - h) / 2), round((columns - w) / 2)
    return np.ascontiguousarray(pixels[:, top : top + h, left : left + w])


def _resize(pixels: Pixels, h: int, w: int, filter: Image.Resampling) -> Pixels:
    """Return the image resized channel by channel; Pillow's filters widen when they shrink, so nothing aliases."""
    planes = [np.asarray(Image.fromarray(plane).resize((w, h), filter)) for plane in pixels]
    resized = np.stack(planes)
    return resized if resized.dtype == np.uint8 else np.clip(resized, 0, 1)


def _check_pixels(pixels: Any, name: str) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.float32):
        raise BadData(
            f"{name}: got {getattr(pixels, 'dtype', type(pixels).__name__)} pixels, expected uint8 or float32."
        )
    if pixels.ndim != 4 or 0 in pixels.shape[1:]:
        raise BadData(f"{name}: got an array of shape {pixels.shape}, expected [n c h w].")
    if not len(pixels):
        raise BadData(f"{name}: got no images, expected at least one.")
    if pixels.dtype == np.float32:
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):
            raise BadData(f"{name}: got float32 pixels from {low:g} to {high:g}, expected [0, 1].")


def digest_of(shape: tuple[int, ...], chunks: Iterator[npt.NDArray[Any]], labels: npt.NDArray[np.int64] | None) -> str:
    """Return the sha256 of what a set in memory holds: dtype and shape, the content in chunks, labels."""
    digest = hashlib.sha256()
    for first, chunk in enumerate(chunks):
        if not first:
            digest.update(f"{chunk.dtype.name}{shape}".encode())
        digest.update(chunk.tobytes())
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()
