"""Fingerprints that outlive a process: the same ones as without memory, and never of another set."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.data import fingerprints, places
from oodbench.data.cards import Card
from oodbench.data.fingerprints import recall, remembered
from oodbench.data.images import ArrayImages
from oodbench.data.inventory import check_cards
from oodbench.data.load import load, load_card
from oodbench.data.matrix import find_matrix
from oodbench.data.remembered import RememberedImages, load_remembered, open_remembered, recheck
from oodbench.errors import BadChecksum, BadData, MissingData
from oodbench.run.sets import open_sets

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
LIKE = ArrayImages(np.zeros((1, 3, 8, 8), np.uint8))


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "memory"))
    return tmp_path / "memory/fingerprints"


def card(n: int = 6, **change: object) -> Card:
    part = {"archives": [{"name": "a.tar", "md5": "0" * 32}], "files": "*/*.png", "labels": "folder"}
    said = {
        "name": "pictures",
        "title": "t",
        "roles": ["out"],
        "origin": "pictures",
        "classes": 2,
        "splits": {"test": n},
        "resampling": "box",
        "licence": "l",
        "citation": "c",
        "url": "https://example.org",
        "source": {"kind": "folder", "folders": ["pictures"], "parts": {"test": part}},
    }
    return Card.model_validate(said | change)


def age(*paths: Path) -> None:
    """Make files an hour old: what was written a moment ago is not remembered."""
    for path in paths:
        hour = time.time() - 3600
        os.utime(path, (hour, hour))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [
        tmp_path / "mine/pictures" / name for name in ("a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png")
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    age(*paths)
    return paths


@pytest.fixture
def root(files: list[Path]) -> Path:
    return files[0].parents[2]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Return the files whose bytes were read since."""
    seen: list[Path] = []
    before = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.suffix == ".png":
            seen.append(path)
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return seen


@pytest.mark.parametrize("name", ["tiny-v1", "fashion-mnist-v1"])
def test_fingerprints_are_those_of_the_committed_records(name: str) -> None:
    matrix = find_matrix(name)
    said = json.loads((ROOT / "results" / name / "msp/0.json").read_text(encoding="utf-8"))["data"]
    try:
        open_sets.__wrapped__(matrix, None)
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    sets = open_sets.__wrapped__(matrix, None)  # the second time from memory
    held = {
        f"{matrix.in_set}/{part}"
        if role not in ("ood", "tuning")
        else f"{part} (tuning)"
        if role == "tuning"
        else part: images
        for part, role, images in sets
    }
    assert {label: one["data_sha256"] for label, one in said.items()} == {k: v.sha256() for k, v in held.items()}
    assert {label: one["n"] for label, one in said.items()} == {k: len(v) for k, v in held.items()}
    assert all(isinstance(images, RememberedImages) for images in held.values())


def test_what_is_remembered_is_not_read_again_and_reads_as_before(root: Path, read: list[Path]) -> None:
    plain = load_card(card(), "test", root=root, like=LIKE)
    first = open_remembered(card(), "test", root=root, like=LIKE)
    assert first.sha256() == plain.sha256()
    read.clear()
    again = open_remembered(card(), "test", root=root, like=LIKE)
    assert (again.sha256(), again.shape, len(again), again.card) == (plain.sha256(), (3, 8, 8), 6, "pictures")
    assert not read, "planning opens nothing"
    assert np.array_equal(again.batch(slice(1, 4)), plain.batch(slice(1, 4)))
    assert again.labels is not None and again.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert again.take(np.array([5, 0])).sha256() == plain.take(np.array([5, 0])).sha256()


def other_bytes(path: Path) -> None:
    """Write another picture of the same size in bytes."""
    size = path.stat().st_size
    while True:
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
        if path.stat().st_size == size:
            return


@pytest.mark.parametrize(
    "change",
    [
        lambda files: other_bytes(files[2]),
        lambda files: os.utime(files[2], ns=(0, files[2].stat().st_mtime_ns + 1)),
        lambda files: files[2].rename(files[2].with_name("9.png")),
        lambda files: files[2].write_bytes(files[2].read_bytes() + b"\0"),
    ],
    ids=["same size", "a nanosecond", "another name", "another size"],
)
def test_a_changed_file_is_read_again(root: Path, files: list[Path], read: list[Path], change: object) -> None:
    open_remembered(card(), "test", root=root, like=LIKE)
    change(files)
    read.clear()
    changed = open_remembered(card(), "test", root=root, like=LIKE)
    assert len(read) >= 6 and changed.sha256() == load_card(card(), "test", root=root, like=LIKE).sha256()


def test_every_request_has_its_own_fingerprint(root: Path) -> None:
    wide = ArrayImages(np.zeros((1, 3, 9, 9), np.uint8))
    asked = [
        (card(), {"like": LIKE}),
        (card(), {"like": wide}),
        (card(), {"like": LIKE, "n": 4}),
        (card(classes=3), {"like": LIKE}),
        (card(resampling="pad"), {"like": wide}),
    ]
    for one, request in asked:
        first = open_remembered(one, "test", root=root, **request)
        again = open_remembered(one, "test", root=root, **request)
        plain = load_card(one, "test", root=root, **request)
        assert first.sha256() == again.sha256() == plain.sha256() and isinstance(again, RememberedImages)
        assert again.shape == plain.shape and np.array_equal(again.batch(slice(None)), plain.batch(slice(None)))


def test_a_drawn_set_follows_its_in_set() -> None:
    dark = ArrayImages(np.zeros((9, 1, 8, 8), np.uint8))
    light = ArrayImages(np.full((9, 1, 8, 8), 200, np.uint8))
    for around in (dark, light, dark):
        for _ in range(2):
            known = load_remembered("gaussian-hendrycks", "test", like=around, n=3)
            assert known.sha256() == load("gaussian-hendrycks", "test", like=around, n=3).sha256()
    assert len(list(remembered("gaussian-hendrycks"))) == 2


def test_what_was_written_a_moment_ago_is_not_remembered(root: Path, files: list[Path]) -> None:
    """Its next version could have the same time of change: some file systems count in whole seconds."""
    now = time.time()
    os.utime(files[0], (now, now))
    open_remembered(card(), "test", root=root, like=LIKE)
    assert not list(remembered("pictures"))


def swap(path: Path) -> None:
    """Change a file behind the memory's back: other pixels, the same size and time of change."""
    before = path.stat()
    other_bytes(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_check_finds_what_size_and_time_do_not_tell(root: Path, files: list[Path]) -> None:
    open_remembered(card(), "test", root=root, like=LIKE)
    assert recheck(card()) == []
    swap(files[1])
    stale = open_remembered(card(), "test", root=root, like=LIKE)
    assert stale.sha256() != load_card(card(), "test", root=root, like=LIKE).sha256(), "the accepted limit"
    (said,) = recheck(card())
    assert said.startswith("test: what was remembered of it was stale") and "corrected" in said
    right = open_remembered(card(), "test", root=root, like=LIKE)
    assert right.sha256() == load_card(card(), "test", root=root, like=LIKE).sha256()
    assert isinstance(right, RememberedImages) and recheck(card()) == []


def test_check_drops_what_is_of_earlier_files(root: Path, files: list[Path]) -> None:
    open_remembered(card(), "test", root=root, like=LIKE)
    os.utime(files[1], (1e9, 1e9))
    assert recheck(card()) == [] and not list(remembered("pictures"))


def test_data_check_reads_the_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    like = ArrayImages(np.zeros((1, 1, 28, 28), np.uint8))
    load_remembered("faces-skimage", "train", like=like)
    ((key, known),) = remembered("faces-skimage")
    fingerprints.remember(key, known.model_copy(update={"sha256": "0" * 64}))
    text, well = check_cards(["faces-skimage"], None)
    assert well and "faces-skimage: ok; train: what was remembered of it was stale" in text
    assert check_cards(["faces-skimage"], None) == ("faces-skimage: ok", True)


def test_pixels_in_memory_are_held_against_the_fingerprint() -> None:
    """The limit of size and time reaches no number there: opening reads every byte, and so hashes it."""
    like = ArrayImages(np.zeros((1, 1, 28, 28), np.uint8))
    load_remembered("faces-skimage", "train", like=like)
    ((key, known),) = remembered("faces-skimage")
    fingerprints.remember(key, known.model_copy(update={"sha256": "0" * 64}))
    stale = load_remembered("faces-skimage", "train", like=like)
    with pytest.raises(BadChecksum, match=r"faces-skimage: its files .* changed.*oodbench data check faces-skimage"):
        stale.batch(slice(0, 1))
    assert load_remembered("faces-skimage", "train", like=like).batch(slice(0, 1)).shape == (1, 1, 28, 28)


@pytest.mark.parametrize("broken", [b"", b"{", b'{"sha256": 1}', b"\xff\xfe"])
def test_a_broken_memory_is_made_again(root: Path, memory: Path, broken: bytes) -> None:
    right = open_remembered(card(), "test", root=root, like=LIKE).sha256()
    (file,) = (memory / "pictures").iterdir()
    file.write_bytes(broken)
    assert open_remembered(card(), "test", root=root, like=LIKE).sha256() == right
    assert recall("pictures", file.stem) is not None


def test_without_a_place_for_memory_all_goes_on(root: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.parent.mkdir(parents=True)
    memory.write_bytes(b"a file where the folder should be")
    right = load_card(card(), "test", root=root, like=LIKE).sha256()
    assert open_remembered(card(), "test", root=root, like=LIKE).sha256() == right
    assert recheck(card()) == []
    for name in ("OODBENCH_CACHE", "OODBENCH_DATA", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    assert open_remembered(card(), "test", root=root, like=LIKE).sha256() == right


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_many_at_once(root: Path, memory: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_remembered(card(), "test", root=root, like=LIKE).sha256(), range(16)))
    assert len(set(opened)) == 1 and [path.suffix for path in (memory / "pictures").iterdir()] == [".json"]


def test_a_damaged_set_is_not_remembered(root: Path, files: list[Path]) -> None:
    files[4].write_bytes(files[4].read_bytes()[:-30])
    age(files[4])
    for _ in range(2):
        with pytest.raises(BadData, match=r"b/1\.png: not a readable image"):
            open_remembered(card(), "test", root=root, like=LIKE)
    assert not list(remembered("pictures"))


def test_an_absent_set_is_missing_as_without_memory(tmp_path: Path, root: Path) -> None:
    open_remembered(card(), "test", root=root, like=LIKE)
    with pytest.raises(MissingData, match="oodbench data get pictures"):
        open_remembered(card(), "test", root=tmp_path / "elsewhere", like=LIKE)


def test_relative_and_absolute_roots_are_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_remembered(card(), "test", root=root, like=LIKE)
    monkeypatch.chdir(root.parent)
    assert isinstance(open_remembered(card(), "test", root=Path(root.name), like=LIKE), RememberedImages)
    assert recheck(card()) == [] and len(list(remembered("pictures"))) == 1


def test_sets_here_do_not_come_from_the_system(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    """A set that turns up in an earlier place is another set, whatever is remembered of the later one."""
    monkeypatch.setenv("OODBENCH_DATA", str(root))
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "system")
    before = open_remembered(card(), "test", like=LIKE).sha256()
    for k in range(6):
        path = tmp_path / f"system/pictures/{'ab'[k // 3]}/{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
        age(path)
    after = open_remembered(card(), "test", like=LIKE)
    assert after.sha256() != before and not isinstance(after, RememberedImages)
