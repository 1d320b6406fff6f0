"""Folders as file managers, archivers and careless copying leave them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.data import places
from oodbench.data.cards import Card
from oodbench.data.litter import first, matching
from oodbench.data.load import load_card, status
from oodbench.errors import BadData

SHADES = [0, 40, 80, 120, 160, 200]


@pytest.fixture(autouse=True)
def nothing_else_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "no-system")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "cache"))


def card(glob: str = "*/*.jpg") -> Card:
    part = {"archives": [{"name": "a.tar", "md5": "0" * 32}], "files": glob, "labels": "folder"}
    said = {
        "name": "shades",
        "title": "t",
        "roles": ["out"],
        "origin": "shades",
        "shape": [3, 8, 8],
        "classes": 2,
        "splits": {"test": 6},
        "resampling": "box",
        "licence": "l",
        "citation": "c",
        "url": "https://example.org",
        "source": {"kind": "folder", "folders": ["shades"], "parts": {"test": part}},
    }
    return Card.model_validate(said)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two classes of three pictures, each of one shade."""
    for k, shade in enumerate(SHADES):
        path = tmp_path / "mine/shades" / ("ant" if k < 3 else "bee") / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)
    return tmp_path / "mine/shades"


def read(folder: Path, glob: str = "*/*.jpg") -> tuple[list[int], list[int]]:
    """Return the shades and labels."""
    assert status(card(glob), folder.parent).present
    images = load_card(card(glob), "test", root=folder.parent)
    assert images.labels is not None
    return np.rint(255 * images.batch(slice(None)).mean((1, 2, 3))).astype(int).tolist(), images.labels.tolist()


def doubles(folder: Path) -> None:
    for path in list(folder.glob("*/*.jpg")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(60))
    copy = folder / "__MACOSX/ant/0.jpg"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"x")


def notes(folder: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.jpg"):
        (folder / "ant" / name).write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")


def hidden_folder(folder: Path) -> None:
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/0-checkpoint.jpg").write_bytes((folder / "ant/0.jpg").read_bytes())


def endings(folder: Path) -> None:
    for k, ending in enumerate((".JPG", ".jpeg", ".jpg", ".JPEG", ".Jpg", ".jpe")):
        path = folder / ("ant" if k < 3 else "bee") / f"{k}.jpg"
        path.rename(path.with_suffix(ending))


def empty_class(folder: Path) -> None:
    (folder / "aaa").mkdir()


def links(folder: Path) -> None:
    (folder / "bee/5.jpg").rename(folder.parent / "elsewhere")
    (folder / "bee/5.jpg").symlink_to(folder.parent / "elsewhere")


def another_alphabet(folder: Path) -> None:
    (folder / "bee").rename(folder / "bi\u0301ene 日本")


def notes_beside(folder: Path) -> None:
    (folder / "ant/readme.txt").write_text("three ants")
    (folder / "ant/0.jpg.md5").write_text("0")


@pytest.mark.parametrize("glob", ["*/*.jpg", "*/*"])
@pytest.mark.parametrize(
    "spoil", [doubles, notes, hidden_folder, endings, empty_class, links, another_alphabet], ids=lambda f: f.__name__
)
def test_litter_is_no_data(folder: Path, spoil: Callable[[Path], None], glob: str) -> None:
    spoil(folder)
    assert read(folder, glob) == (SHADES, [0, 0, 0, 1, 1, 1])


def test_files_of_another_ending_are_not_meant(folder: Path) -> None:
    notes_beside(folder)
    assert read(folder) == (SHADES, [0, 0, 0, 1, 1, 1])


def test_a_folder_that_hides_below_a_hidden_root_is_read(folder: Path, tmp_path: Path) -> None:
    """Litter is what lies below the set's folder; the folder itself may be in ~/.cache."""
    (tmp_path / ".cache").mkdir()
    hidden = folder.rename(tmp_path / ".cache/shades")
    assert read(hidden) == (SHADES, [0, 0, 0, 1, 1, 1])


def test_only_litter_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/._1.jpg").write_bytes(b"x")
    assert first(tmp_path, "*/*.jpg") is None and matching(tmp_path, "*/*.jpg") == []


def folder_for_a_file(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone.jpg")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (folder_for_a_file, r"4\.jpg: cannot be read: it is a folder, expected a file"),
        (dangling, r"4\.jpg: cannot be read: it is a link to gone\.jpg, which is not there"),
        (loop, r"4\.jpg: cannot be read"),
        (lambda path: path.write_bytes(b""), r"4\.jpg: not a readable image"),
    ],
)
def test_what_cannot_be_read_is_named(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder / "bee/4.jpg")
    images = load_card(card(), "test", root=folder.parent)
    with pytest.raises(BadData, match=message):
        images.sha256()
    with pytest.raises(BadData, match=message):
        images.batch(slice(None))


def test_a_file_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == "4.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(BadData, match=r"4\.jpg: cannot be read \(Permission denied\)"):
        load_card(card(), "test", root=folder.parent).sha256()


def test_names_that_are_no_text_are_printed_all_the_same(folder: Path) -> None:
    import os

    odd = os.fsdecode(os.fsencode(folder / "bee") + b"/\xff.jpg")
    os.rename(folder / "bee/5.jpg", odd)  # noqa: PTH104
    assert read(folder) == (SHADES, [0, 0, 0, 1, 1, 1])
    Path(odd).write_bytes(b"damaged")
    with pytest.raises(BadData) as error:
        load_card(card(), "test", root=folder.parent).sha256()
    assert "\\xff.jpg: not a readable image" in str(error.value).encode("utf-8").decode()


def test_half_a_set_is_not_here(folder: Path) -> None:
    for path in folder.glob("bee/*"):
        path.unlink()
    assert not status(card(), folder.parent).present
    with pytest.raises(BadData, match=r"got 3 images, expected 6.*oodbench data get shades"):
        load_card(card(), "test", root=folder.parent)
