"""From a card to inputs: find the files, check them, decode them, and fit them to the in-set."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from oodbench.data import synthetic
from oodbench.data.cards import Card, Corpus, Drawn, find_card
from oodbench.data.changed import ChangedImages, Mirror, negative
from oodbench.data.fetch import Checked, Status, check, get, status
from oodbench.data.images import Images, fit_shape
from oodbench.data.inputs import Inputs
from oodbench.data.readers import read
from oodbench.data.splits import Cut, find_cut, generator, sample
from oodbench.data.texts import TextInputs, read_texts
from oodbench.data.toys import TOYS, toy
from oodbench.errors import BadData

__all__ = ["Checked", "Status", "check", "get", "load", "load_card", "status"]


def load(
    name: str,
    split: str,
    *,
    root: Path | None = None,
    like: Inputs | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Inputs:
    """Return a part of a data set.

    Looked for, in order: the user's root, system packages, a copy that a pip package ships, an earlier download.

    Args:
        name: A card.
        split: A part, see `oodbench.data.splits`: "train", "validation", "test" of an in-set, else a stored split.
        root: The user's folder of data.
        like: The in-set: images take its shape, texts its words; flips are made of it, synthetic sets resemble it.
        seed: Seed of what is drawn (synthetic sets, glyphs); the same seed gives the same images.
        n: That many of them, see `oodbench.data.splits.sample`; all by default.

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
    like: Inputs | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Inputs:
    """Return a part of the data set that a card describes; as `load`, for a card that need not be in `datasets/`."""
    cut = chosen(card, split, n)
    if isinstance(card.source, Corpus):
        return read_texts(card, card.source, cut, root, _texts(card, like))
    if isinstance(card.source, Drawn) and card.source.generator in TOYS:
        return toy(card.source.generator, n or card.splits[split], generator(card.name, split, seed))
    around = _images(card, like)
    if isinstance(card.source, Drawn):
        return _generate(card, card.source, split, around, seed, n)
    stored = read(card, cut.of, root, around.shape if around is not None else None, seed)
    if n is not None and len(stored) < card.splits[cut.of]:
        raise BadData(
            f"{card.name}/{split}: nobody has counted it for the card, so no {n} can be drawn of it; take all."
        )
    part = stored if len(cut.indices) >= len(stored) else stored.take(cut.indices)
    return part if around is None else fit_shape(part, around.shape, card.resampling)


def chosen(card: Card, split: str, n: int | None) -> Cut:
    """Return which images of which stored split a part is made of: all of the part, or n of them."""
    cut = find_cut(card, split)
    return cut if n is None else Cut(cut.of, cut.indices[sample(len(cut.indices), n, card.name, split)])


def _images(card: Card, like: Inputs | None) -> Images | None:
    if like is not None and len(like.shape) != 3:
        raise BadData(f"{card.name} holds images, and {like.card or 'the in-set'} holds texts; name sets of one kind.")
    return cast(Images | None, like)


def _texts(card: Card, like: Inputs | None) -> TextInputs | None:
    if like is not None and not isinstance(like, TextInputs):
        raise BadData(f"{card.name} holds texts, and {like.card or 'the in-set'} holds images; name sets of one kind.")
    return like


def _generate(card: Card, source: Drawn, split: str, like: Images | None, seed: int, n: int | None) -> Inputs:
    if like is None:
        raise BadData(f"{card.name}: a synthetic set takes the in-set's shape; pass its images as `like`.")
    if source.generator in ("hflip", "vflip", "negative"):
        images = like if n is None else like.take(sample(len(like), n, card.name, split))
        if source.generator == "negative":
            return ChangedImages(images, negative, card.name)
        return ChangedImages(images, Mirror(3 if source.generator == "hflip" else 2), card.name)
    count = n or card.splits[split]
    if source.generator in synthetic.FIXED:
        return replace(synthetic.FIXED[source.generator](count, like.shape), card=card.name)
    rng = generator(card.name, split, seed)
    return replace(synthetic.drawn(source.generator, count, _around(like), rng), card=card.name)


def _around(images: Images) -> synthetic.Around:
    card = find_card(images.card) if images.card else None
    if card is None or not card.mean:
        return synthetic.Around(images, None, None)
    mean, std = (np.array(values)[:, None, None] for values in (card.mean, card.std))
    return synthetic.Around(images, mean, std)
