"""Every format, from tiny files written as their authors write them; and every way a file can be wrong."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import io as matlab

from oodbench.data import places
from oodbench.data.cards import Card, find_card
from oodbench.data.fixed import parse
from oodbench.data.formats import cifar
from oodbench.data.huggingface import library
from oodbench.data.images import ArrayImages, FolderImages
from oodbench.data.load import check, get, load, load_card, status
from oodbench.errors import BadChecksum, BadData, MissingData

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def nothing_else_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "no-system")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "cache"))


def card_of(name: str, splits: dict, source: dict, **change: object) -> Card:
    """Return a card like a real one, for tiny files."""
    content = find_card(name).model_dump(mode="json", exclude_none=True)
    tiny = {"name": f"{name}-tiny", "splits": splits, "source": source}
    return parse(content | tiny | change, Card, f"{name}-tiny.toml")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def put(path: Path, content: bytes) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


# --- IDX

DIGITS = RNG.integers(0, 256, (7, 28, 28), np.uint8)
NAMES = RNG.integers(0, 10, 7, np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_card(images: bytes, labels: bytes, n: int = 7, **change: object) -> Card:
    part = {
        "images": {"name": "i.gz", "decoded_sha256": hashlib.sha256(images).hexdigest()},
        "labels": {"name": "l.gz", "decoded_sha256": hashlib.sha256(labels).hexdigest()},
    }
    source = {"kind": "idx", "folders": ["digits", "DIGITS/raw"], "parts": {"test": part}}
    return card_of("kmnist", {"test": n}, source, **change)


@pytest.mark.parametrize("folder", [".", "digits", "DIGITS/raw", "kmnist-tiny"])
@pytest.mark.parametrize("zipped", [True, False])
def test_idx(tmp_path: Path, folder: str, zipped: bool) -> None:
    for name, array in (("i", DIGITS), ("l", NAMES)):
        content = idx(array)
        put(tmp_path / folder / (f"{name}.gz" if zipped else name), gzip.compress(content) if zipped else content)
    card = idx_card(idx(DIGITS), idx(NAMES))
    images = load_card(card, "test", root=tmp_path)
    assert isinstance(images, ArrayImages) and images.card == "kmnist-tiny"
    assert np.array_equal(images.pixels[:, 0], DIGITS)
    assert images.labels is not None and images.labels.tolist() == NAMES.tolist()
    assert status(card, tmp_path).present and len(check(card, tmp_path)) == 2


BAD_IDX = {
    "empty": (b"", "got an empty file, expected IDX"),
    "cut gzip": (gzip.compress(idx(DIGITS))[:-200], "damaged or truncated gzip"),
    "damaged gzip": (gzip.compress(idx(DIGITS))[:50] + b"\0" * 40, "damaged or truncated gzip"),
    "cut": (idx(DIGITS)[:-5], "truncated: got 5499 bytes, expected 5504"),
    "cut header": (idx(DIGITS)[:9], "at least the 16 of an IDX header"),
    "too long": (idx(DIGITS) + b"\0", "too long: got 5505 bytes, expected 5504"),
    "labels in place of images": (idx(NAMES) + b"\0" * 9, r"magic number 0x00000801, expected 0x00000803"),
    "a web page": (b"<html>not found</html>", "magic number 0x3c68746d"),
    "other pixels": (
        idx(DIGITS ^ 1),
        r"i\.gz has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}.*oodbench data get kmnist-tiny",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path / "digits/i.gz", content)
    put(tmp_path / "digits/l.gz", gzip.compress(idx(NAMES)))
    with pytest.raises(BadChecksum if "sha256" in message else BadData, match=message) as error:
        load_card(idx_card(idx(DIGITS), idx(NAMES)), "test", root=tmp_path)
    assert "i.gz" in str(error.value), "the file is named"


@pytest.mark.parametrize(
    ("digits", "names", "change", "message"),
    [
        (DIGITS, np.full(7, 10, np.uint8), {}, "got labels from 10 to 10, expected 0 to 9"),
        (DIGITS, NAMES[:6], {}, r"labels of shape \(6,\), expected \(7,\)"),
        (DIGITS, NAMES, {"n": 8}, "got 7 images, expected 8"),
        (DIGITS[:, :27], NAMES, {}, r"shape \(1, 27, 28\), expected \(1, 28, 28\)"),
        (DIGITS[:0], NAMES[:0], {}, "got no images"),
    ],
)
def test_idx_that_is_not_what_its_card_says(
    tmp_path: Path, digits: np.ndarray, names: np.ndarray, change: dict, message: str
) -> None:
    put(tmp_path / "i.gz", gzip.compress(idx(digits)))
    put(tmp_path / "l.gz", gzip.compress(idx(names)))
    with pytest.raises(BadData, match=message):
        load_card(idx_card(idx(digits), idx(names), **change), "test", root=tmp_path)


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"oodbench data get cifar-10.*--data DIR") as error:
        load("cifar-10", "train", root=tmp_path)
    assert str(tmp_path) in str(error.value)
    assert not status(find_card("cifar-10"), tmp_path).present


def test_the_users_root_is_asked_first(tmp_path: Path) -> None:
    card = idx_card(idx(DIGITS), idx(NAMES))
    for base, digits in ((tmp_path / "mine", DIGITS), (tmp_path / "cache", DIGITS ^ 1)):
        put(base / "digits/i.gz", gzip.compress(idx(digits)))
        put(base / "digits/l.gz", gzip.compress(idx(NAMES)))
    assert len(load_card(card, "test", root=tmp_path / "mine")) == 7
    with pytest.raises(BadChecksum):
        load_card(card, "test")


# --- CIFAR

BATCHES = [RNG.integers(0, 256, (4, 3072), np.uint8) for _ in range(3)]


def text(word: str) -> bytes:
    """Return a Python 2 string as protocol 2 pickles it."""
    return b"U" + bytes([len(word)]) + word.encode()


def python2_pickle(data: np.ndarray, key: str, labels: list[int]) -> bytes:
    """Return a batch as Python 2 and its NumPy pickled it: the format of the archives that are still served."""
    rows, columns = data.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K"
        + bytes([rows])
        + b"M"
        + struct.pack("<H", columns)
        + b"\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<i", data.size)
        + data.tobytes()
        + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text("batch_label") + text("b 1 of 5") + text(key) + numbers + text("data") + array + b"u."


def cifar_files(key: str = "labels", top: int = 9) -> dict[str, bytes]:
    return {f"batches/b{k}": python2_pickle(data, key, [0, 1, 2, top]) for k, data in enumerate(BATCHES)}


def cifar_card(files: dict[str, bytes], name: str = "cifar-10") -> Card:
    def part(*members: str) -> dict:
        return {
            "file": {"name": "c.tar.gz", "md5": "0" * 32},
            "members": [{"name": member, "md5": md5(files[member])} for member in members],
        }

    parts = {"train": part("batches/b0", "batches/b1"), "test": part("batches/b2")}
    dataset = "CIFAR10" if name == "cifar-10" else "CIFAR100"
    source = {"kind": "torchvision", "dataset": dataset, "folders": ["c"], "parts": parts}
    return card_of(name, {"train": 8, "test": 4}, source, roles=["out"], mean=[], std=[])


def tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def stored(card: Card, split: str, root: Path) -> ArrayImages:
    """Return a stored split, past the split file of the real card."""
    from oodbench.data.readers import read

    images = read(card, split, root, None, 0)
    assert isinstance(images, ArrayImages)
    return images


@pytest.mark.parametrize("extracted", [True, False])
@pytest.mark.parametrize(("name", "key"), [("cifar-10", "labels"), ("cifar-100", "fine_labels")])
def test_cifar(tmp_path: Path, extracted: bool, name: str, key: str) -> None:
    files = cifar_files(key)
    if extracted:
        for member, content in files.items():
            put(tmp_path / "c" / member, content)
    else:
        tar(tmp_path / "c/c.tar.gz", files)
    card = cifar_card(files, name)
    train, test = (stored(card, split, tmp_path) for split in ("train", "test"))
    assert np.array_equal(train.pixels, np.concatenate(BATCHES[:2]).reshape(8, 3, 32, 32))
    assert np.array_equal(test.pixels, BATCHES[2].reshape(4, 3, 32, 32))
    assert train.labels is not None and train.labels.tolist() == [0, 1, 2, 9] * 2


def test_a_batch_reads_as_pickle_reads_it() -> None:
    content = python2_pickle(BATCHES[0], "labels", [3, 1, 4, 1])
    reference = pickle.loads(content.replace(b"numpy.core", b"numpy._core"), encoding="latin1")
    pixels, labels = cifar(content, "batch")
    assert np.array_equal(pixels.reshape(4, -1), reference["data"])
    assert labels is not None and labels.tolist() == reference["labels"]


def test_a_batch_that_python3_wrote() -> None:
    content = pickle.dumps({"data": BATCHES[0], "labels": [1, 2, 3, 4]}, protocol=5)
    with pytest.raises(BadData, match="not allowed"):  # protocol 5 goes through numpy's _frombuffer: not what CIFAR is
        cifar(content, "batch")


def test_no_batch_is_unpickled_before_its_checksum_matched(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "exploded",)

    files = cifar_files()
    card = cifar_card(files)
    tar(tmp_path / "c/c.tar.gz", files | {"batches/b2": pickle.dumps(Bomb(), protocol=2)})
    with pytest.raises(BadChecksum, match=r"batches/b2 has md5 .*oodbench data get cifar-10-tiny"):
        stored(card, "test", tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_can_build_arrays_only(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "exploded",)

    with pytest.raises(BadData, match="is not allowed"):
        cifar(pickle.dumps({"data": Bomb(), "labels": [1]}, protocol=2), "batch")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a batch of CIFAR"),
        (b"<html>", "not a batch of CIFAR"),
        (python2_pickle(BATCHES[0], "labels", [1, 2, 3, 4])[:-900], "not a batch of CIFAR"),
        (pickle.dumps([1, 2]), "got no array 'data'"),
        (python2_pickle(BATCHES[0][:, :3000], "labels", [1, 2, 3, 4]), r"expected uint8\[n 3072\] and labels"),
        (python2_pickle(BATCHES[0], "names", [1, 2, 3, 4]), "and labels"),
    ],
)
def test_bad_batches(content: bytes, message: str) -> None:
    with pytest.raises(BadData, match=message):
        cifar(content, "batch")


def test_a_damaged_archive(tmp_path: Path) -> None:
    files = cifar_files()
    tar(tmp_path / "c/c.tar.gz", files)
    archive = tmp_path / "c/c.tar.gz"
    archive.write_bytes(archive.read_bytes()[:4000])
    with pytest.raises(BadData, match=r"c\.tar\.gz: cannot read batches/b2"):
        stored(cifar_card(files), "test", tmp_path)
    archive.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(BadData, match=r"c\.tar\.gz: cannot read batches/b2"):
        stored(cifar_card(files), "test", tmp_path)


# --- SVHN


def svhn_card(content: bytes, n: int) -> Card:
    source = {"kind": "torchvision", "dataset": "SVHN", "folders": ["s"], "parts": {}}
    source["parts"] = {"test": {"file": {"name": "test_32x32.mat", "md5": md5(content)}}}
    return card_of("svhn", {"test": n}, source, roles=["out"], mean=[], std=[])


def mat(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    matlab.savemat(stream, arrays)
    return stream.getvalue()


def test_svhn(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (32, 32, 3, 5), np.uint8)
    content = put(tmp_path / "s/test_32x32.mat", mat(X=x, y=np.array([[1], [10], [9], [5], [10]], np.uint8)))
    images = stored(svhn_card(content, 5), "test", tmp_path)
    assert images.labels is not None and images.labels.tolist() == [1, 0, 9, 5, 0], "10 stands for the digit 0"
    assert np.array_equal(images.pixels[3, 2], x[:, :, 2, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a MATLAB file"),
        (b"<html>" * 100, "not a MATLAB file"),
        (mat(X=np.zeros((32, 32, 3, 2), np.uint8)), "got no X and y"),
        (mat(X=np.zeros((32, 32, 3, 2)), y=np.ones((2, 1))), r"X float64\[32, 32, 3, 2\], expected X uint8"),
        (mat(X=np.zeros((2, 3, 32, 32), np.uint8), y=np.ones((2, 1))), r"expected X uint8\[32 32 3 n\]"),
    ],
)
def test_bad_svhn(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path / "s/test_32x32.mat", content)
    with pytest.raises(BadData, match=message):
        stored(svhn_card(content, 2), "test", tmp_path)


# --- NumPy


def numpy_card(name: str, split: str, n: int, file: str, content: bytes) -> Card:
    entry = {"name": file, "sha256": hashlib.sha256(content).hexdigest()}
    return card_of(name, {split: n}, {"kind": "numpy", "folders": ["n"], "parts": {split: {"file": entry}}})


def test_npy(tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (5, 32, 32, 3), np.uint8)
    np.save(put_parent(tmp_path / "n/i.npy"), array)
    card = numpy_card("tiny-images-300k", "train", 5, "i.npy", (tmp_path / "n/i.npy").read_bytes())
    images = stored(card, "train", tmp_path)
    assert isinstance(images.pixels.base, np.memmap), "it stays on disk"
    assert np.array_equal(images.pixels, array.transpose(0, 3, 1, 2))
    assert images.sha256() == ArrayImages(array.transpose(0, 3, 1, 2)).sha256()


def put_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def imagenet32(batches: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, (data, labels) in batches.items():
            part = io.BytesIO()
            np.savez(part, data=data, labels=labels, mean=np.zeros(3072))
            archive.writestr(name, part.getvalue())
    return stream.getvalue()


def test_imagenet32(tmp_path: Path) -> None:
    data = RNG.integers(0, 256, (6, 3072), np.uint8)
    numbered = {
        f"train_data_batch_{k}.npz": (data[i : i + 2], np.array([i + 1, i + 2])) for k, i in ((1, 0), (2, 2), (10, 4))
    }
    content = put(tmp_path / "n/v.zip", imagenet32(dict(reversed(numbered.items()))))
    images = stored(numpy_card("imagenet32", "test", 6, "v.zip", content), "test", tmp_path)
    assert np.array_equal(images.pixels.reshape(6, -1), data), "batch 10 comes after batch 2"
    assert images.labels is not None and images.labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_pickled_objects_in_numpy_files_are_refused(tmp_path: Path) -> None:
    np.save(put_parent(tmp_path / "n/i.npy"), np.array([{}], object), allow_pickle=True)
    card = numpy_card("tiny-images-300k", "train", 1, "i.npy", (tmp_path / "n/i.npy").read_bytes())
    with pytest.raises(BadData, match=r"i\.npy: not a \.npy file of numbers"):
        stored(card, "train", tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", imagenet32({}), imagenet32({"a.npz": (np.zeros((1, 3072)), np.ones(1))})]
)
def test_bad_numpy_archives(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "n/v.zip", content)
    with pytest.raises(BadData, match=r"v\.zip: (not a zip|got)"):
        stored(numpy_card("imagenet32", "test", 1, "v.zip", content), "test", tmp_path)


# --- folders


def picture(path: Path, size: tuple[int, int] = (9, 7), grey: bool = False) -> np.ndarray:
    array = RNG.integers(0, 256, size if grey else (*size, 3), np.uint8)
    Image.fromarray(array).save(put_parent(path))
    return array


def folder_card(name: str, n: int, part: dict, **source: object) -> Card:
    archives = [{"name": "a.tar.gz", "md5": "0" * 32}]
    content = {"kind": "folder", "folders": ["f"], "parts": {"test": {"archives": archives} | part}} | source
    return card_of(name, {"test": n}, content, roles=["out"], mean=[], std=[])


def test_labels_from_folders(tmp_path: Path) -> None:
    arrays = [picture(tmp_path / f"f/dtd/images/{name}.jpg".replace("jpg", "png")) for name in ("a/2", "b/1", "a/1")]
    (tmp_path / "f/dtd/images/a/notes.txt").write_text("not an image")
    card = folder_card("textures", 3, {"files": "dtd/images/*/*.png", "labels": "folder"}, folders=["f"])
    like = ArrayImages(np.zeros((1, 3, 9, 7), np.uint8))
    images = load_card(card, "test", root=tmp_path, like=like)
    assert isinstance(images, FolderImages)
    assert images.labels is not None and images.labels.tolist() == [0, 0, 1]
    assert np.array_equal(images.pixels(slice(None)).transpose(0, 2, 3, 1), [arrays[2], arrays[0], arrays[1]])
    with pytest.raises(BadData, match="pass its images as `like`"):
        load_card(card, "test", root=tmp_path)


def test_labels_from_a_list(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / f"f/val_256/v{k}.png", (40, 30))
    listing = put(tmp_path / "f/val.txt", b"v2.png 7\n/v0.png 364\n")
    part = {"files": "val_256/*", "labels": "list", "list": {"name": "val.txt", "md5": md5(listing)}, "base": "val_256"}
    card = folder_card("places365", 2, part)
    images = load_card(card, "test", root=tmp_path)
    assert images.shape == (3, 224, 224) and images.labels is not None and images.labels.tolist() == [7, 364]
    assert images.batch(slice(None)).shape == (2, 3, 224, 224)
    (tmp_path / "f/val.txt").write_text("v2.png seven\n")
    with pytest.raises(BadChecksum, match=r"val\.txt"):
        load_card(card, "test", root=tmp_path)
    (tmp_path / "f/val.txt").unlink()
    with pytest.raises(BadData, match="it lists the images and their labels"):
        load_card(card, "test", root=tmp_path)


def test_known_broken_files_are_left_out(tmp_path: Path) -> None:
    for name in ("A/a", "A/b", "B/a"):
        picture(tmp_path / f"f/notMNIST_small/{name}.png", (28, 28), grey=True)
    put(tmp_path / "f/notMNIST_small/A/broken.png", b"")
    part = {"files": "notMNIST_small/*/*.png", "labels": "folder"}
    card = folder_card("notmnist", 3, part | {"unreadable": ["notMNIST_small/A/broken.png"]})
    images = load_card(card, "test", root=tmp_path)
    assert images.batch(slice(None)).shape == (3, 1, 28, 28)
    with pytest.raises(BadData, match="got 4 images, expected 3"):
        load_card(folder_card("notmnist", 3, part), "test", root=tmp_path)


def test_omniglot_is_shown_light_on_dark(tmp_path: Path) -> None:
    paper = np.full((105, 105), 255, np.uint8)
    paper[50:55, 20:80] = 0
    Image.fromarray(paper).convert("1").save(put_parent(tmp_path / "f/images_evaluation/Latin/c01/1.png"))
    card = folder_card("omniglot", 1, {"files": "images_evaluation/*/*/*.png"}, invert=True)
    like = ArrayImages(np.zeros((1, 1, 28, 28), np.uint8))
    image = load_card(card, "test", root=tmp_path, like=like).batch(slice(None))[0, 0]
    assert image[0, 0] == 0 and image[13:15, 10].max() > 0.5


def test_pictures_of_another_size_are_fitted(tmp_path: Path) -> None:
    """A crop stored at 36x36 gives its centre, one stored at 32x32 itself."""
    large = picture(tmp_path / "f/LSUN/test/0.png", (36, 36))
    small = picture(tmp_path / "f/LSUN/test/1.png", (32, 32))
    images = load_card(folder_card("lsun-crop", 2, {"files": "LSUN/test/*"}), "test", root=tmp_path)
    assert isinstance(images, FolderImages)
    assert np.array_equal(images.pixels(slice(None)).transpose(0, 2, 3, 1), [large[2:34, 2:34], small])


def test_an_absent_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="oodbench data get textures-tiny"):
        load_card(
            folder_card("textures", 1, {"files": "dtd/*/*.png"}),
            "test",
            root=tmp_path,
            like=ArrayImages(np.zeros((1, 3, 4, 4), np.uint8)),
        )


# --- Parquet


def parquet(path: Path, images: list[np.ndarray], labels: list[int]) -> None:
    datasets = library()
    rows = {"image": [Image.fromarray(image) for image in images], "label": labels}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(put_parent(path))


def tiny_imagenet_card(**splits: int) -> Card:
    source = find_card("tiny-imagenet").source.model_dump(mode="json", exclude_none=True)
    source["parts"] = {split: source["parts"][split] for split in splits}
    return card_of("tiny-imagenet", splits, source, roles=["out"], mean=[], std=[])


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return [RNG.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(4)] + [RNG.integers(0, 256, (64, 64), np.uint8)]


def test_parquet(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    parquet(tmp_path / "tiny-imagenet/data/valid-00000-of-00002-x.parquet", pictures[:2], [5, 199])
    parquet(tmp_path / "tiny-imagenet/data/valid-00001-of-00002-y.parquet", pictures[2:], [0, 1, 2])
    card = tiny_imagenet_card(test=5)
    images = load_card(card, "test", root=tmp_path)
    assert (
        isinstance(images, FolderImages) and images.labels is not None and images.labels.tolist() == [5, 199, 0, 1, 2]
    )
    assert np.array_equal(images.pixels(slice(0, 4)).transpose(0, 2, 3, 1), pictures[:4])
    assert np.array_equal(images.pixels(slice(4, 5))[0], np.repeat(pictures[4][None], 3, axis=0)), "grey becomes RGB"
    small = load_card(card, "test", root=tmp_path, like=ArrayImages(np.zeros((1, 3, 32, 32), np.uint8)))
    assert small.batch(slice(None)).shape == (5, 3, 32, 32)
    assert [one.verdict.split(":")[0] for one in check(card, tmp_path)] == ["not downloaded by oodbench"] * 2


def test_bad_parquet(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    path = tmp_path / "tiny-imagenet/data/valid-0.parquet"
    card = tiny_imagenet_card(test=5)
    put(path, b"<html>not found</html>")
    with pytest.raises(BadData, match=r"tiny-imagenet-tiny: cannot read .*valid-0\.parquet"):
        load_card(card, "test", root=tmp_path)
    library().Dataset.from_dict({"picture": [1], "label": [1]}).to_parquet(path)
    with pytest.raises(BadData, match="expected 'image' among them"):
        load_card(card, "test", root=tmp_path)
    parquet(path, pictures, [0, 1, 2, 3, 200])
    with pytest.raises(BadData, match="got labels from 0 to 200, expected 0 to 199"):
        load_card(card, "test", root=tmp_path)
    parquet(path, pictures[:4], [0, 1, 2, 3])
    with pytest.raises(BadData, match="got 4 images, expected 5"):
        load_card(card, "test", root=tmp_path)


def test_get_and_check_hold_parquet_against_the_pinned_commit(
    tmp_path: Path, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tiny_imagenet_card(test=5)
    asked: dict = {}

    def snapshot_download(repository: str, *, local_dir: Path, revision: str, **rest: object) -> None:
        """Leave what the hub's client leaves: the file, and a note with its commit and its sha256."""
        asked.update(rest, repository=repository)
        parquet(local_dir / "data/valid-0.parquet", pictures, [0, 1, 2, 3, 4])
        sha256 = hashlib.sha256((local_dir / "data/valid-0.parquet").read_bytes()).hexdigest()
        put(
            local_dir / ".cache/huggingface/download/data/valid-0.parquet.metadata",
            f"{revision}\n{sha256}\n17.5\n".encode(),
        )

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    folder = get(card)
    assert folder == tmp_path / "cache/tiny-imagenet" and asked["repository"] == "zh-plus/tiny-imagenet"
    assert asked["allow_patterns"] == ["data/valid-*.parquet"] and asked["repo_type"] == "dataset"
    assert [one.verdict for one in check(card)] == ["ok"] and len(load_card(card, "test")) == 5

    path = folder / "data/valid-0.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadChecksum, match=r"valid-0\.parquet has sha256"):
        check(card)
    note = folder / ".cache/huggingface/download/data/valid-0.parquet.metadata"
    note.write_text(f"{'0' * 40}\n{'0' * 64}\n17.5\n")
    with pytest.raises(BadChecksum, match="is from commit 0000"):
        check(card)


# --- downloads, from a server of our own


def served(upstream: Path, name: str, **checksum: str) -> dict:
    content = (upstream / name).read_bytes() if (upstream / name).exists() else b""
    checksum = checksum or {"md5": md5(content)}
    return {"name": name, "url": f"{(upstream / 'address').read_text()}/{name}", **checksum}


def textures_card(archive: dict) -> Card:
    part = {"files": "dtd/images/*/*.png", "labels": "folder", "archives": [archive]}
    return folder_card("textures", 1, part)


def test_get_downloads_checks_and_extracts(tmp_path: Path, upstream: Path) -> None:
    picture(tmp_path / "made/dtd/images/a/1.png")
    with tarfile.open(upstream / "dtd.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made/dtd", "dtd")
    card = textures_card(served(upstream, "dtd.tar.gz"))
    assert not status(card).present and status(card).how_to_get == "oodbench data get textures-tiny"
    assert get(card) == tmp_path / "cache/f"
    assert status(card).present and [one.verdict for one in check(card)] == ["ok"]
    (upstream / "dtd.tar.gz").unlink()
    assert get(card) == tmp_path / "cache/f", "what is here is not fetched again"
    with pytest.raises(BadChecksum, match=r"dtd\.tar\.gz has md5"):
        (tmp_path / "cache/f/dtd.tar.gz").write_bytes(b"changed")
        check(card)
    (tmp_path / "cache/f/dtd.tar.gz").unlink()
    assert "unchecked" in check(card)[0].verdict


def test_get_into_the_users_root(tmp_path: Path, upstream: Path) -> None:
    array = RNG.integers(0, 256, (1, 32, 32, 3), np.uint8)
    np.save(upstream / "i.npy", array)
    parts = {"train": {"file": served(upstream, "i.npy")}}
    card = card_of("tiny-images-300k", {"train": 1}, {"kind": "numpy", "folders": ["n"], "parts": parts})
    assert get(card, tmp_path / "mine") == tmp_path / "mine/n"
    assert len(load_card(card, "train", root=tmp_path / "mine")) == 1
    assert not status(card).present, "the cache was not used"


def test_get_refuses_what_is_not_what_the_card_names(tmp_path: Path, upstream: Path) -> None:
    put(upstream / "dtd.tar.gz", b"<html>sign in</html>")
    with pytest.raises(BadChecksum, match=r"dtd\.tar\.gz\.part has md5"):
        get(textures_card(served(upstream, "dtd.tar.gz", md5="0" * 32)))
    assert not list((tmp_path / "cache/f").iterdir()), "nothing is left that a later load would find"


def test_get_goes_on_where_it_broke_off_or_starts_anew(tmp_path: Path, upstream: Path) -> None:
    array = RNG.integers(0, 256, (1, 32, 32, 3), np.uint8)
    np.save(upstream / "i.npy", array)
    parts = {"train": {"file": served(upstream, "i.npy")}}
    card = card_of("tiny-images-300k", {"train": 1}, {"kind": "numpy", "folders": ["n"], "parts": parts})
    for left in ((upstream / "i.npy").read_bytes()[:500], b"of another version"):
        put(tmp_path / "cache/n/i.npy.part", left)
        folder = get(card)
        assert [path.name for path in folder.iterdir()] == ["i.npy"] and len(load_card(card, "train")) == 1
        (folder / "i.npy").unlink()


def test_a_half_extracted_folder_is_not_here_and_is_made_whole(tmp_path: Path, upstream: Path) -> None:
    for k in range(3):
        picture(tmp_path / f"made/dtd/images/a/{k}.png")
    with tarfile.open(upstream / "dtd.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made/dtd", "dtd")
    part = {"files": "dtd/images/*/*.png", "labels": "folder", "archives": [served(upstream, "dtd.tar.gz")]}
    card = folder_card("textures", 3, part)
    folder = get(card)
    (folder / "dtd/images/a/1.png").unlink()
    assert not status(card).present
    assert get(card) == folder and status(card).present


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, upstream: Path) -> None:
    put(tmp_path / "cache", b"a file where the folder should be")
    with pytest.raises(BadData, match=r"cache/f cannot be written to \(.*OODBENCH_DATA"):
        get(textures_card(served(upstream, "dtd.tar.gz")))


def test_get_of_what_the_server_has_no_longer(upstream: Path) -> None:
    with pytest.raises(MissingData, match=r"dtd\.tar\.gz could not be downloaded.*404.*by hand into"):
        get(textures_card(served(upstream, "dtd.tar.gz")))


def test_what_needs_a_registration_says_what_to_do() -> None:
    card = find_card("imagenet")
    assert "ILSVRC2012_img_val.tar" in status(card).how_to_get and "image-net.org" in status(card).how_to_get
    with pytest.raises(MissingData, match=r"cannot be downloaded by a program; download ILSVRC2012_img_train\.tar"):
        get(card)


def test_what_is_generated_is_always_here() -> None:
    card = find_card("uniform")
    assert status(card).present and check(card)[0].verdict.startswith("generated")


def test_check_of_what_is_absent(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="oodbench data get kmnist"):
        check(find_card("kmnist"), tmp_path)
    with pytest.raises(MissingData, match="tiny-imagenet/train is not here"):
        check(find_card("tiny-imagenet"), tmp_path)
