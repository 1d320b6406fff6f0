"""A stored split of a card, read from where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.data import formats
from oodbench.data.cards import (
    Arrays,
    ArraysPart,
    Card,
    Either,
    File,
    Folder,
    HuggingFace,
    Idx,
    ImageLists,
    Npz,
    Numpy,
    Package,
    Strips,
    Torchvision,
    Zip,
)
from oodbench.data.checksums import content, decoded, verified, verified_file
from oodbench.data.decode import decode
from oodbench.data.fetch import form_here
from oodbench.data.folders import folder_files, folder_images
from oodbench.data.huggingface import parquet_pictures
from oodbench.data.idx import read_idx
from oodbench.data.images import CHUNK, ArrayImages, FolderImages, Images
from oodbench.data.imglists import list_files, listed_images
from oodbench.data.litter import matching
from oodbench.data.packaged import packaged, packaged_files
from oodbench.data.places import cache_folder, find, holding, missing
from oodbench.data.zips import npy_labels, npz_images, zipped
from oodbench.errors import BadChecksum, BadData
from oodbench.npy import mapped
from oodbench.spaces import Shape


def read(card: Card, split: str, root: Path | None, shape: Shape | None, seed: int) -> Images:
    """Return a stored split, held against what its card says. `shape`: the in-set's, for cards that take it.

    Raises:
        MissingData: It is not on this machine.
        BadChecksum: A file is not the one the card names.
        BadData: A file is damaged or does not hold what the card says.
    """
    images = _read(card, split, root, card.shape or shape, seed)
    _check(images, card, split)
    return images


def _read(card: Card, split: str, root: Path | None, shape: Shape | None, seed: int) -> Images:
    if shape is None:
        raise BadData(f"{card.name}: the set takes the in-set's shape; pass its images as `like`.")
    match card.source:
        case Idx() as source:
            return _idx(card, source, split, root)
        case Torchvision() as source:
            return _torchvision(card, source, split, root)
        case Numpy() as source:
            return _numpy(card, source, split, root, shape)
        case Folder() as source:
            return _folder(card, source, split, root, shape)
        case ImageLists() as source:
            return listed_images(card, source, split, root, shape)
        case Zip() as source:
            return _zip(card, source, split, root, shape)
        case Strips() as source:
            return _strips(card, source, split, root, shape)
        case Npz() as source:
            part = source.parts[split]
            path = verified_file(_found(card, source.folders, part.file.name, root), part.file, card.name)
            return ArrayImages(*npz_images(path, part), card=card.name)
        case Arrays() as source:
            return _arrays(card, source, source.parts[split], root)
        case Either() as source:
            return _either(card, source, split, root, shape)
        case HuggingFace() as source:
            return _huggingface(card, source, split, root, shape)
        case Package():
            return packaged(card, split, shape, seed)
        case _:
            raise BadData(f"{card.name}: a synthetic set is drawn, not read.")


def files(card: Card, split: str, root: Path | None) -> tuple[Path, ...]:
    """Return every file that `read` would open for a stored split, in an order of its own.

    Raises:
        MissingData: One is not on this machine.
    """
    match card.source:
        case Idx() as source:
            part = source.parts[split]
            return tuple(_found(card, source.folders, file.name, root) for file in (part.images, part.labels))
        case Torchvision() as source:
            stored = source.parts[split]
            wanted = stored.members or (stored.file,)
            return tuple(
                find(card, source.folders, file.name, root) or _found(card, source.folders, stored.file.name, root)
                for file in wanted
            )
        case Numpy() as source:
            return (_found(card, source.folders, source.parts[split].file.name, root),)
        case Folder() as source:
            folder = source.parts[split]
            return folder_files(card, folder, _holding(card, source.folders, folder.files, root))
        case ImageLists() as source:
            return list_files(card, source, split, root)
        case Zip() as source:
            archives = source.parts[split].archives
            return tuple(_found(card, source.folders, file.name, root) for file in archives)
        case Strips() as source:
            strips = source.parts[split]
            return tuple(_found(card, source.folders, file.name, root) for file in (*strips.pictures, strips.labels))
        case Npz() as source:
            return (_found(card, source.folders, source.parts[split].file.name, root),)
        case Arrays() as source:
            arrays = source.parts[split]
            extracted = [find(card, source.folders, name, root) for name in (arrays.images, arrays.labels)]
            if all(extracted):
                return tuple(path for path in extracted if path)
            return (_found(card, source.folders, source.archive.name, root),)
        case Either():
            return files(form_here(card, split, root), split, root)
        case HuggingFace() as source:
            glob = source.parts[split]
            return tuple(matching(_holding(card, source.folders, glob, root), glob))
        case Package() as source:
            return packaged_files(card.name, source)
        case _:
            return ()


def _idx(card: Card, source: Idx, split: str, root: Path | None) -> ArrayImages:
    part = source.parts[split]
    pixels = _idx_array(card, source, part.images, 3, root)
    labels = _idx_array(card, source, part.labels, 1, root)
    return ArrayImages(pixels[:, None], labels.astype(np.int64), card.name)


def _idx_array(card: Card, source: Idx, file: File, rank: int, root: Path | None) -> npt.NDArray[np.uint8]:
    """Return one file's array; damage is named before a checksum that says less."""
    path = _found(card, source.folders, file.name, root)
    stored = content(path)
    unzipped = decoded(stored, str(path))
    array = read_idx(unzipped, str(path), rank)
    verified(unzipped if file.decoded_sha256 else stored, file, card.name)
    return array


READ_BATCH: dict[str, Callable[[bytes, str], formats.Arrays]] = {
    "CIFAR10": formats.cifar,
    "CIFAR100": formats.cifar,
    "SVHN": formats.svhn,
}


def _torchvision(card: Card, source: Torchvision, split: str, root: Path | None) -> ArrayImages:
    """Read a file, or members of an archive (from the archive, or where torchvision extracted it)."""
    part = source.parts[split]
    read_batch = READ_BATCH[source.dataset]
    contents = [_member(card, source, part.file, file, root) for file in part.members or (part.file,)]
    batches = [read_batch(verified(stored, file, card.name), file.name) for stored, file in contents]
    labels = [batch[1] for batch in batches if batch[1] is not None]
    return ArrayImages(np.concatenate([batch[0] for batch in batches]), np.concatenate(labels), card.name)


def _member(card: Card, source: Torchvision, archive: File, file: File, root: Path | None) -> tuple[bytes, File]:
    extracted = find(card, source.folders, file.name, root)
    if extracted:
        return content(extracted), file
    return formats.member(_found(card, source.folders, archive.name, root), file.name), file


def _numpy(card: Card, source: Numpy, split: str, root: Path | None, shape: Shape) -> ArrayImages:
    file = source.parts[split].file
    path = verified_file(_found(card, source.folders, file.name, root), file, card.name)
    pixels, labels = formats.numpy_array(path) if path.suffix == ".npy" else formats.numpy_zip(path, shape)
    return ArrayImages(pixels, labels, card.name)


def _folder(card: Card, source: Folder, split: str, root: Path | None, shape: Shape) -> FolderImages:
    part = source.parts[split]
    return folder_images(card, part, _holding(card, source.folders, part.files, root), shape, source.invert)


def _zip(card: Card, source: Zip, split: str, root: Path | None, shape: Shape) -> FolderImages:
    part = source.parts[split]
    found = [verified_file(_found(card, source.folders, file.name, root), file, card.name) for file in part.archives]
    pictures, labels = zipped(found, part.files, part.labels == "name")
    return FolderImages(pictures, shape, card.resampling, labels, card.name, source.invert)


def _strips(card: Card, source: Strips, split: str, root: Path | None, shape: Shape) -> ArrayImages:
    """Read rows of h w colours as images [c h w]."""
    part = source.parts[split]
    c, h, w = shape
    rows = []
    for file in part.pictures:
        path = _found(card, source.folders, file.name, root)
        pixels = decode(verified(content(path), file, card.name), str(path)).pixels
        if pixels.shape[1:] != (h * w, *((c,) if c > 1 else ())):
            raise BadData(f"{path}: got pixels of shape {pixels.shape}, expected rows of {h * w} in {c} channels.")
        rows.append(pixels.reshape(-1, h, w, c).transpose(0, 3, 1, 2))
    path = _found(card, source.folders, part.labels.name, root)
    labels = npy_labels(verified(content(path), part.labels, card.name), str(path))
    return ArrayImages(np.ascontiguousarray(np.concatenate(rows)), labels, card.name)


def _arrays(card: Card, source: Arrays, part: ArraysPart, root: Path | None) -> ArrayImages:
    """Read rows of two .npy files, extracted or in their archive."""
    pixels, labels = (_stored_array(card, source, name, root) for name in (part.images, part.labels))
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or labels.ndim != 1 or len(labels) != len(pixels):
        got = f"{pixels.dtype}{list(pixels.shape)} and labels {labels.dtype}{list(labels.shape)}"
        raise BadData(f"{card.name}: {part.images} has {got}, expected uint8[n h w c] and labels [n].")
    start, stop = part.rows or (0, len(pixels))
    if stop > len(pixels):
        raise BadData(f"{card.name}: {part.images} has {len(pixels)} images, expected at least {stop}.")
    rows = slice(start, stop)
    return ArrayImages(pixels[rows].transpose(0, 3, 1, 2), labels[rows].astype(np.int64), card.name)


def _stored_array(card: Card, source: Arrays, name: str, root: Path | None) -> npt.NDArray[Any]:
    extracted = find(card, source.folders, name, root)
    if extracted is None:
        archive = verified_file(_found(card, source.folders, source.archive.name, root), source.archive, card.name)
        return formats.archived_array(archive, name)
    if name in source.md5:
        verified_file(extracted, File(name=name, md5=source.md5[name]), card.name)
    return mapped(extracted)


def _either(card: Card, source: Either, split: str, root: Path | None, shape: Shape) -> ArrayImages:
    """Read the form that is here: the first images of it, decoded, held against the digest of their pixels."""
    stored = _read(form_here(card, split, root), split, root, shape, seed=0)
    labels, n = stored.labels, card.splits[split]
    whole = stored if isinstance(stored, ArrayImages) else ArrayImages(_decoded(stored), labels, card.name)
    images = whole.take(np.arange(n)) if len(whole) > n else whole
    if len(images) == n and images.sha256() != source.sha256[split]:
        raise BadChecksum(
            f"{card.name}/{split}: pixels and labels of {files(card, split, root)[0]} and its like have sha256 "
            f"{images.sha256()}, expected {source.sha256[split]}: other images, or another decoder than Pillow."
        )
    return images


def _decoded(images: Images) -> npt.NDArray[np.uint8]:
    assert isinstance(images, FolderImages)
    chunks = [images.pixels(slice(start, start + CHUNK)) for start in range(0, len(images), CHUNK)]
    return np.concatenate(chunks)


def _huggingface(card: Card, source: HuggingFace, split: str, root: Path | None, shape: Shape) -> FolderImages:
    glob = source.parts[split]
    tables = matching(_holding(card, source.folders, glob, root), glob)
    pictures, labels = parquet_pictures(card, source, tables, cache_folder() / "arrow")
    return FolderImages(pictures, shape, card.resampling, labels, card.name)


def _holding(card: Card, folders: tuple[str, ...], glob: str, root: Path | None) -> Path:
    place = holding(card, folders, glob, root)
    if place is None:
        raise missing(card, glob, root)
    return place


def _found(card: Card, folders: tuple[str, ...], name: str, root: Path | None) -> Path:
    path = find(card, folders, name, root)
    if path is None:
        raise missing(card, name, root)
    return path


def _bounded(card: Card, split: str) -> bool:
    """Whether a card says of a split how many there are at most; its list has been held against that."""
    return isinstance(card.source, ImageLists) and card.source.parts[split].at_most


def _check(images: Images, card: Card, split: str) -> None:
    """Hold what was read against what the card says."""
    if len(images) != card.splits[split] and not _bounded(card, split):
        raise BadData(
            f"{card.name}/{split}: got {len(images)} images, expected {card.splits[split]}; "
            f"is a part missing? `oodbench data get {card.name}` makes it whole."
        )
    if card.shape and images.shape != card.shape:
        raise BadData(f"{card.name}/{split}: got images of shape {images.shape}, expected {card.shape}.")
    if images.labels is not None and card.classes:
        low, high = int(images.labels.min()), int(images.labels.max())
        if low < 0 or high >= card.classes:
            raise BadData(f"{card.name}/{split}: got labels from {low} to {high}, expected 0 to {card.classes - 1}.")
