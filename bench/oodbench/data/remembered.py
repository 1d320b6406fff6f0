"""Data sets whose fingerprint is remembered: they are opened only when somebody wants their pixels."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oodbench.data.cards import Card, Drawn, card_sha256, find_card
from oodbench.data.checksums import printable
from oodbench.data.fingerprints import (
    MAKING,
    Fingerprint,
    Request,
    Stamp,
    forget,
    recall,
    remember,
    remembered,
    settled,
    stamps,
)
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Indices, Inputs
from oodbench.data.load import chosen, load_card
from oodbench.data.readers import files
from oodbench.errors import BadChecksum, BadData
from oodbench.spaces import Shape
from oodbench.store import digest


@dataclass(frozen=True, eq=False)
class RememberedImages:
    """A set of which fingerprint, shape and size are known, opened at the first look at its pixels or labels.

    What is held in memory is then held against the fingerprint; of pictures that are decoded on demand, the number and
    the shape.
    """

    known: Fingerprint
    key: str
    open: Callable[[], Inputs]

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.known.shape

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """The true classes [n], or None."""
        return self.opened.labels if self.known.labelled else None

    @property
    def card(self) -> str:
        """The name of the card they come from."""
        return self.known.request.card

    def __len__(self) -> int:
        return self.known.n

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        """Return the images at `indices`: [k c h w] in [0, 1]."""
        return self.opened.batch(indices)

    def take(self, indices: Indices) -> Inputs:
        """Return the images at `indices`, in that order."""
        return self.opened.take(indices)

    def sha256(self) -> str:
        """Return the remembered sha256 of pixels and labels."""
        return self.known.sha256

    @cached_property
    def opened(self) -> Inputs:
        """The images themselves.

        Raises:
            BadChecksum: They are not those of the fingerprint.
        """
        images = self.open()
        held = self.known.sha256 if not isinstance(images, ArrayImages) else images.sha256()
        if (images.shape, len(images), held) != (self.known.shape, self.known.n, self.known.sha256):
            forget(self.card, self.key)
            raise BadChecksum(
                f"{self.card}: its files (or the code that draws it) changed, but neither sizes nor times of change "
                f"did; what was remembered of it is dropped. Run `oodbench data check {self.card}`, then this again."
            )
        return images


def load_remembered(
    name: str,
    split: str,
    *,
    root: Path | None = None,
    like: Inputs | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Inputs:
    """Return a part of a data set, as `oodbench.data.load.load` does, without opening it if its fingerprint is known.

    A set that is not known yet is opened, read in full once, and remembered.

    Raises:
        UnknownName: No such card, or no such part.
        MissingData: The set is not on this machine; the message says the command that gets it.
        BadChecksum: A file is not the one the card names.
        BadData: A file is damaged, or does not hold what the card says.
    """
    return open_remembered(find_card(name), split, root=root, like=like, seed=seed, n=n)


def open_remembered(
    card: Card,
    split: str,
    *,
    root: Path | None = None,
    like: Inputs | None = None,
    seed: int = 0,
    n: int | None = None,
) -> Inputs:
    """Return a part of the data set that a card describes; as `load_remembered`, for a card of one's own."""
    if card.space == "tokens":  # small, and their ids follow from the in-set's words, too
        return load_card(card, split, root=root, like=like, seed=seed, n=n)
    request = _request(card, split, root, like, seed, n)
    found = () if isinstance(card.source, Drawn) else stamps(files(card, chosen(card, split, n).of, root))
    key = _key(card, request, found, like)
    opened = partial(load_card, card, split, root=root, like=like, seed=seed, n=n)
    known = recall(card.name, key)
    if known is not None:
        return RememberedImages(known, key, opened)
    images = opened()
    read = _fingerprint(request, images)  # in full, so that damage shows before any work is spent on the set
    if settled(found):
        remember(key, read)
    return images


def recheck(card: Card) -> list[str]:
    """Read every remembered part of a set again, correct what is remembered of it, and say what was wrong.

    Raises:
        BadData: A file is damaged.
    """
    said = []
    for key, known in remembered(card.name):
        forget(card.name, key)  # until it has been read: damage ends the check here
        if isinstance(card.source, Drawn):
            continue  # drawn again when it is asked for, around an in-set that only a matrix knows
        request = known.request
        root = Path(request.root) if request.root else None
        like = _OfShape(request.shape) if request.shape else None
        try:
            found = stamps(files(card, chosen(card, request.split, request.n).of, root))
            if _key(card, request, found, None) != key:
                continue  # of files that are gone, or of an earlier version of them
        except BadData:
            continue
        images = load_card(card, request.split, root=root, like=like, seed=request.seed, n=request.n)
        now = _fingerprint(request, images)
        remember(key, now)
        if now != known:
            said.append(
                f"{request.split}: what was remembered of it was stale (files changed, their sizes and times did not) "
                f"and is corrected; results made meanwhile are not of these files"
            )
    return said


def _request(card: Card, split: str, root: Path | None, like: Inputs | None, seed: int, n: int | None) -> Request:
    return Request(
        card=card.name,
        split=split,
        root=printable(root.absolute()) if root else None,
        shape=_shape(like) if like is not None else None,
        seed=seed,
        n=n,
    )


def _key(card: Card, request: Request, found: tuple[Stamp, ...], like: Inputs | None) -> str:
    """Return the digest of all that the pixels follow from; a drawn set resembles its in-set, so also of that."""
    parts = chosen(card, request.split, request.n)
    around = None
    if isinstance(card.source, Drawn) and like is not None:
        around = like.sha256(), card_sha256(find_card(like.card)) if like.card else None
    places = hashlib.sha256(parts.indices.astype("<i8").tobytes()).hexdigest()
    asked = request.model_dump(mode="json", exclude={"root"})
    return digest(MAKING, card_sha256(card), asked, parts.of, places, found, around)[:32]


def _fingerprint(request: Request, images: Inputs) -> Fingerprint:
    return Fingerprint(
        request=request,
        sha256=images.sha256(),
        shape=_shape(images),
        n=len(images),
        labelled=images.labels is not None,
    )


def _shape(images: Inputs) -> Shape:
    c, h, w = images.shape
    return c, h, w


@dataclass(frozen=True)
class _OfShape:
    """Stands for an in-set of which only the shape is asked."""

    shape: Shape
    labels: None = None
    card: None = None

    def __len__(self) -> int:
        return 0

    def batch(self, indices: Indices) -> npt.NDArray[np.float32]:
        raise BadData("stored images depend on the shape of the in-set alone")

    def take(self, indices: Indices) -> Inputs:
        return self

    def sha256(self) -> str:
        return ""
