"""Archives as attackers and file managers make them."""

import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from oodbench.data import archives
from oodbench.data.archives import extract
from oodbench.errors import BadData

Member = tuple[str, bytes] | tarfile.TarInfo


def tar(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            content = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("make", [tar, zipped])
def test_files_get_their_names(tmp_path: Path, folder: Path, make: object) -> None:
    (folder / "a").mkdir()
    (folder / "a/old.png").write_bytes(b"old")
    (folder / "a/1.png").write_bytes(b"before")
    name = "x.zip" if make is zipped else "x.tar.gz"
    extract(make(tmp_path / name, ("a/1.png", b"one"), ("b/c/2.png", b"two"), ("list.txt", b"l")), folder)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a/old.png": b"old", "a/1.png": b"one", "b/c/2.png": b"two", "list.txt": b"l"}


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..\\x"])
def test_nothing_lands_elsewhere(tmp_path: Path, folder: Path, make: object, name: str) -> None:
    archive = make(tmp_path / ("x.zip" if make is zipped else "x.tar.gz"), ("ok.png", b"1"), (name, b"2"))
    with pytest.raises(BadData, match=r"refused: its member .* would be written outside of the folder"):
        extract(archive, folder)
    assert not list(folder.iterdir()) and not (tmp_path / "x").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    "member",
    [
        link("l", "/etc/passwd"),
        link("l", "../../x"),
        link("l", "../x", tarfile.LNKTYPE),
        link("d", "", tarfile.CHRTYPE),
        link("p", "", tarfile.FIFOTYPE),
    ],
    ids=["absolute link", "link out", "hard link out", "device", "pipe"],
)
def test_links_out_and_devices_are_refused(tmp_path: Path, folder: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(BadData, match=r"x\.tar\.gz: refused: its member"):
        extract(tar(tmp_path / "x.tar.gz", ("a.png", b"1"), member), folder)
    assert not list(folder.iterdir())


def test_links_inside_are_kept(tmp_path: Path, folder: Path) -> None:
    extract(tar(tmp_path / "x.tar.gz", ("a/1.png", b"1"), link("a/2.png", "1.png")), folder)
    assert (folder / "a/2.png").read_bytes() == b"1"


@pytest.mark.parametrize("make", [tar, zipped])
def test_bombs_are_refused(tmp_path: Path, folder: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "AT_LEAST", 1000)
    archive = make(tmp_path / ("x.zip" if make is zipped else "x.tar.gz"), ("a", bytes(10**6)), ("b", bytes(10**6)))
    assert archive.stat().st_size < 10**4
    with pytest.raises(BadData, match=r"refused: it holds more than .* bytes, out of all proportion"):
        extract(archive, folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"cut"])
def test_damaged_archives_say_so(tmp_path: Path, folder: Path, name: str, content: bytes) -> None:
    archive = tmp_path / name
    if content == b"cut":
        (zipped if name == "x.zip" else tar)(archive, ("a", os.urandom(5000)))
        content = archive.read_bytes()[:2500]
    archive.write_bytes(content)
    with pytest.raises(BadData, match=rf"{name}: cannot be extracted"):
        extract(archive, folder)
    assert not list(folder.iterdir())


def test_what_a_killed_extraction_left_is_removed_when_it_is_old(tmp_path: Path, folder: Path) -> None:
    for name, age in (("old", 2 * archives.DAY), ("young", 60)):
        (folder / f"{archives.PREFIX}{name}").mkdir()
        os.utime(folder / f"{archives.PREFIX}{name}", (time.time() - age,) * 2)
    extract(tar(tmp_path / "x.tar.gz", ("a", b"1")), folder)
    assert {path.name for path in folder.iterdir()} == {"a", f"{archives.PREFIX}young"}


def test_a_file_where_the_folder_should_be(tmp_path: Path, folder: Path) -> None:
    (folder / "a").write_bytes(b"a file")
    with pytest.raises(BadData, match="cannot be extracted into"):
        extract(tar(tmp_path / "x.tar.gz", ("a/1.png", b"1")), folder)
