"""From a card to images: find the files, check them, decode them, and fit them to the in-set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.data import synthetic
from bench.data.cards import Card, File, Generator, Idx, Package, find_card
from bench.data.checksums import decoded, verified
from bench.data.idx import read_idx
from bench.data.images import ArrayImages, Images, MirroredImages, fit_shape
from bench.data.packaged import packaged
from bench.data.places import find, missing
from bench.data.splits import find_cut, generator, sample
from bench.errors import BadData


def load(
    name: str,
    split: str,
    *,
    root: Path | None = None,
    like: Images | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Images:
    """Return a part of a data set.

    Looked for, in order: the user's root, system packages, a copy that a pip package ships, an earlier download.

    Args:
        name: A card.
        split: A part, see `bench.data.splits`: "train", "validation", "test" of an in-set, else a stored split.
        root: The user's folder of data.
        like: In-set images: the result takes their shape; flips are made of them, synthetic sets resemble them.
        seed: Seed of what is drawn (synthetic sets, glyphs); the same seed gives the same images.
        n: That many of them, see `bench.data.splits.sample`; all by default.

    Raises:
        UnknownName: No such card, or no such part.
        MissingData: The set is not on this machine; the message says the command that gets it.
        BadChecksum: A file is not the one the card names.
        BadData: A file is damaged, or does not hold what the card says.
    """
    return load_card(find_card(name), split, root=root, like=like, seed=seed, n=n)


def load_card(
    card: Card,
    split: str,
    *,
    root: Path | None = None,
    like: Images | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Images:
    """Return a part of the data set that a card describes; as `load`, for a card that need not be in `datasets/`."""
    cut = find_cut(card, split)
    if isinstance(card.source, Generator):
        return _generate(card, card.source, split, like, seed, n)
    stored = _stored(card, cut.of, root, like, seed)
    indices = cut.indices if n is None else cut.indices[sample(len(cut.indices), n, card.name, split)]
    part = stored if len(indices) == len(stored) else stored.take(indices)
    return part if like is None else fit_shape(part, like.shape, card.resampling)


def _generate(card: Card, source: Generator, split: str, like: Images | None, seed: int, n: int | None) -> Images:
    if like is None:
        raise BadData(f"{card.name}: a synthetic set takes the in-set's shape; pass its images as `like`.")
    if source.generator in ("hflip", "vflip"):
        images = like if n is None else like.take(sample(len(like), n, card.name, split))
        return MirroredImages(images, axis=3 if source.generator == "hflip" else 2, card=card.name)
    count = n or card.splits[split]
    if source.generator == "constant":
        return replace(synthetic.constant(count, like.shape), card=card.name)
    rng = generator(card.name, split, seed)
    return replace(synthetic.drawn(source.generator, count, _around(like), rng), card=card.name)


def _around(images: Images) -> synthetic.Around:
    card = find_card(images.card) if images.card else None
    if card is None or not card.mean:
        return synthetic.Around(images, None, None)
    mean, std = (np.array(values)[:, None, None] for values in (card.mean, card.std))
    return synthetic.Around(images, mean, std)


def _stored(card: Card, split: str, root: Path | None, like: Images | None, seed: int) -> Images:
    images = _read(card, split, root, like, seed)
    _check(images, card, split)
    return images


def _read(card: Card, split: str, root: Path | None, like: Images | None, seed: int) -> Images:
    source = card.source
    match source:
        case Idx():
            return _idx(card, source, split, root)
        case Package():
            return packaged(card, split, like.shape if like else None, seed)
    raise BadData(f"{card.name}: no reader for a source of kind {source.kind!r}.")


def _idx(card: Card, source: Idx, split: str, root: Path | None) -> ArrayImages:
    part = source.parts[split]
    pixels = _idx_array(card, source, part.images, 3, root)
    labels = _idx_array(card, source, part.labels, 1, root)
    return ArrayImages(pixels[:, None], labels.astype(np.int64), card.name)


def _idx_array(card: Card, source: Idx, file: File, rank: int, root: Path | None) -> npt.NDArray[np.uint8]:
    """Return one file's array; damage is named before a checksum that says less."""
    path = find(card, source.folders, file.name, root)
    if path is None:
        raise missing(card, file.name, root)
    stored = path.read_bytes()
    content = decoded(stored, str(path))
    array = read_idx(content, str(path), rank)
    verified(content if file.decoded_sha256 else stored, file, card.name)
    return array


def _check(images: Images, card: Card, split: str) -> None:
    """Hold what was read against what the card says."""
    if len(images) != card.splits[split]:
        raise BadData(f"{card.name}/{split}: got {len(images)} images, expected {card.splits[split]}.")
    if card.shape and images.shape != card.shape:
        raise BadData(f"{card.name}/{split}: got images of shape {images.shape}, expected {card.shape}.")
    if images.labels is not None and card.classes:
        low, high = int(images.labels.min()), int(images.labels.max())
        if low < 0 or high >= card.classes:
            raise BadData(f"{card.name}/{split}: got labels from {low} to {high}, expected 0 to {card.classes - 1}.")
