"""Pictures in folders, and lists of pictures: which files they are, and what class each is of."""

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from oodbench.data.images import FilePictures
from oodbench.data.litter import is_litter
from oodbench.errors import BadData, MissingData

Labels = npt.NDArray[np.int64]

AMBIGUOUS = -2
"""Stands for a class whose name another has, too."""

UNKNOWN = -1
"""Label of what is of no class: out-sets in lists of OpenOOD."""

ROOTS = (
    "",
    "..",
    "../..",
    "../images_classic",
    "../../images_classic",
    "../images_largescale",
    "../../images_largescale",
)
"""Where the paths of a list may start, from its own folder: OpenOOD's lists lie beside its images."""


@dataclass(frozen=True)
class ImageList:
    """A list of pictures as OpenOOD has them: `path label` a line, -1 for what is of no class.

    Attributes:
        path: Of the list, a text file.
        root: Folder that its paths start from; by default it is looked for from the list's own folder upwards.

    Example:
        >>> written = Path("test.txt").write_text("digits/0.png 0")
        >>> oodbench.ImageList("test.txt", root="pictures").root  # evaluate(model, test=ImageList(...), ...)
        'pictures'
    """

    path: str | Path
    root: str | Path | None = None


def endings() -> frozenset[str]:
    """Return the endings of files that can be decoded."""
    return frozenset(Image.registered_extensions())


def in_folder(name: str, folder: Path) -> FilePictures:
    """Return all pictures below a folder, whatever the folders in it are named.

    Args:
        name: What errors call the set.
        folder: Holds pictures, or folders of pictures.

    Raises:
        BadData: There is none.
    """
    known = endings()
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in known and path.is_file() and not is_litter(path.relative_to(folder))
    )
    if not files:
        raise BadData(
            f"{name}: {folder} holds no pictures ({', '.join(sorted(known)[:6])} ...), nor does a folder in it"
        )
    return FilePictures(tuple(files))


def of_folder(
    name: str, folder: Path, classes: Mapping[str, int]
) -> tuple[FilePictures, Labels | None, Mapping[str, int]]:
    """Return the pictures below a folder, their classes, and these by the names of folders.

    Pictures in folders below it are of the class that the first of these is named as; those that lie in it have none.

    Args:
        name: What errors call the set.
        folder: Holds pictures, or a folder of pictures a class.
        classes: By name, where these are known: of the training set, or of the model.

    Raises:
        BadData: There is no picture, some have a class and others have none, or a class is not among the known.
    """
    pictures = in_folder(name, folder)
    files = pictures.paths
    within = [path.relative_to(folder).parts[:-1] for path in files]
    bare = sum(not parts for parts in within)
    if bare == len(files):
        return pictures, None, {}
    if bare:
        raise BadData(
            f"{name}: of the pictures in {folder}, {bare} lie in it and {len(files) - bare} in folders, which are "
            f"classes; move the former into one of them, or elsewhere"
        )
    names = [parts[0] for parts in within]
    order: Mapping[str, int] | None = classes if classes and classes.keys() >= set(names) else _numbered(names)
    order = order or classes or {one: label for label, one in enumerate(sorted(set(names)))}
    if strangers := sorted(set(names) - order.keys()):
        raise BadData(
            f"{name}: folder {strangers[0]!r} is no known class; known are {len(order)}: "
            f"{', '.join(list(order)[:5])} ...; a folder has a class's name, or its number in the model's outputs"
        )
    if (twice := next((one for one in names if order[one] == AMBIGUOUS), None)) is not None:
        raise BadData(f"{name}: two of the model's outputs are named {twice!r}; name folders by the numbers of outputs")
    return pictures, np.array([order[one] for one in names], np.int64), order


def by_name(classes: Sequence[str]) -> dict[str, int]:
    """Return classes by name; ambiguous where two have one name, as 'crane' in torchvision's list of ImageNet's."""
    counts = Counter(classes)
    return {one: label if counts[one] == 1 else AMBIGUOUS for label, one in enumerate(classes)}


def of_list(name: str, given: ImageList) -> tuple[FilePictures, Labels | None]:
    """Return the pictures of a list, and their classes; None where all are of no class.

    Raises:
        MissingData: There is no such list, or its pictures are not where they can be found.
        BadData: A line is no path and label.
    """
    path = Path(given.path)
    if not path.is_file():
        raise MissingData(f"{name}: {path} is not there; expected a list of pictures, `path label` a line")
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise BadData(f"{name}: {path} is no text in UTF-8 ({error})") from error
    read = [_line(path, number, line) for number, line in enumerate(lines, start=1)]
    if not read:
        raise BadData(f"{name}: {path} lists no pictures")
    root = Path(given.root) if given.root is not None else _root(name, path, read[0][0])
    files = tuple(root / one for one, _ in read)
    if absent := [file for file in files if not file.is_file()]:
        raise MissingData(
            f"{name}: {len(absent)} of the {len(files)} pictures of {path} are not there, the first {absent[0]}"
        )
    labels = np.array([label for _, label in read], np.int64)
    return FilePictures(files), None if (labels == UNKNOWN).all() else labels


def _numbered(names: Sequence[str]) -> Mapping[str, int] | None:
    """Return folders that are named by numbers as these; None where one is not."""
    return {one: int(one) for one in sorted(set(names), key=int)} if all(one.isdecimal() for one in names) else None


def _line(path: Path, number: int, line: str) -> tuple[str, int]:
    listed, _, told = line.strip().partition(" ")
    try:
        label = ast.literal_eval(told.strip())  # an int, or a dict with more
        return listed.lstrip("/"), int(label["label"] if isinstance(label, dict) else label)
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise BadData(
            f"{path}, line {number}: got {line[:80]!r}; expected `path label`, a whole number, -1 for none"
        ) from error


def _root(name: str, path: Path, first: str) -> Path:
    tried = [(path.parent / root).resolve() for root in ROOTS]
    found = next((root for root in tried if (root / first).is_file()), None)
    if found is None:
        raise MissingData(
            f"{name}: {first}, the first picture of {path}, is in none of {', '.join(map(str, tried))}; say where its "
            f"paths start: oodbench.ImageList({str(path)!r}, root=...)"
        )
    return found
