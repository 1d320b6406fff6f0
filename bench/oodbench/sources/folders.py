"""Pictures in folders, and lists of pictures: which files they are, and what class each is of."""

import ast
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

NO_PICTURES = frozenset({"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow knows by sight alone or with a program beside it, and those of measurements."""

BY_ANOTHER = frozenset({"MPO"})
"""Formats that Pillow opens under the name of another, JPEG."""

LINE = re.compile(r"""(\S.*?)\s+(\{\s*['"].*\}|\S+)""")
"""Of a list: a path, which may have blanks, and a label, a word or a dict."""

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
        path: Of the list, a text file. The label is the last word of a line, or a dict {...} with 'label'.
        root: Folder that its paths start from; by default it is looked for from the list's own folder upwards. An
            absolute path that is there stands as it is.

    Example:
        >>> written = Path("test.txt").write_text("digits/0.png 0")
        >>> oodbench.ImageList("test.txt", root="pictures").root  # evaluate(model, test=ImageList(...), ...)
        'pictures'
    """

    path: str | Path
    root: str | Path | None = None


def endings() -> frozenset[str]:
    """Return the endings of pictures that can be decoded."""
    known = Image.registered_extensions()  # it loads the plugins, without which nothing is in `Image.OPEN`
    opened = (Image.OPEN.keys() | BY_ANOTHER) - NO_PICTURES
    return frozenset(ending for ending, kind in known.items() if kind in opened)


def in_folder(name: str, folder: Path) -> FilePictures:
    """Return all pictures below a folder, whatever the folders in it are named; links are followed.

    Args:
        name: What errors call the set.
        folder: Holds pictures, or folders of pictures.

    Raises:
        BadData: There is none.
        MissingData: A link leads nowhere, or a folder cannot be read.
    """
    known = endings()
    files = sorted(_below(name, folder, known))
    if not files:
        raise BadData(
            f"{name}: {folder} holds no pictures ({', '.join(sorted(known)[:6])} ...), nor does a folder in it"
        )
    return FilePictures(tuple(files))


def _below(name: str, folder: Path, known: frozenset[str]) -> Iterator[Path]:
    """Yield the pictures below a folder and behind the links in it, but for links that lead back to where they lie."""

    def unread(error: OSError) -> None:
        raise MissingData(f"{name}: {error.filename} cannot be read ({error.strerror}); its pictures would be left out")

    for place, folders, files in os.walk(folder, onerror=unread, followlinks=True):
        folders[:] = [one for one in folders if not is_litter(Path(one)) and not _leads_back(Path(place, one))]
        for path in (Path(place, one) for one in files if not is_litter(Path(one))):
            ending = path.suffix.lower()
            if ending in known and path.is_file():
                yield path
            elif (not ending or ending in known) and path.is_symlink() and not path.exists():
                raise MissingData(
                    f"{name}: {path} links to {path.readlink()}, which is not there; mend the link, or remove it"
                )


def _leads_back(path: Path) -> bool:
    """Return whether a folder is a link to one that the link itself lies in."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    return any(one.resolve().is_relative_to(target) for one in path.parents)


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
    files = _placed(name, given, [one for one, _ in read])
    if absent := [file for file in files if not file.is_file()]:
        raise MissingData(
            f"{name}: {len(absent)} of the {len(files)} pictures of {path} are not there, the first {absent[0]}"
        )
    labels = np.array([label for _, label in read], np.int64)
    return FilePictures(files), None if (labels == UNKNOWN).all() else labels


def _numbered(names: Sequence[str]) -> Mapping[str, int] | None:
    """Return folders that are named by numbers as these; None where one is not."""
    return {one: int(one) for one in sorted(set(names), key=int)} if all(one.isdecimal() for one in names) else None


def _placed(name: str, given: ImageList, listed: Sequence[str]) -> tuple[Path, ...]:
    """Return where the pictures of a list are: absolute paths as they stand if they are there, others below a root."""
    path = Path(given.path)
    whole = {one for one in listed if one.startswith("/") and Path(one).is_file()}
    within = {one: one.lstrip("/") for one in listed if one not in whole}
    root = path.parent if given.root is None else Path(given.root)
    if within and given.root is None:
        root = _root(name, path, next(iter(within.values())))
    return tuple(root / within.get(one, one) for one in listed)


def _line(path: Path, number: int, line: str) -> tuple[str, int]:
    found = LINE.fullmatch(line.strip())
    try:
        listed, told = found.groups() if found else ("", "")
        label = ast.literal_eval(told)  # an int, or a dict with more
        return listed, int(label["label"] if isinstance(label, dict) else label)
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
