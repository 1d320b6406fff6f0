"""Published corrupted images, in tiny files of their true formats."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.corruptions.registry import CORRUPTIONS, FIFTEEN
from oodbench.data import places
from oodbench.data.cards import Card, find_card
from oodbench.data.fixed import parse
from oodbench.data.load import check, get, load_card, status
from oodbench.errors import BadChecksum, BadData, MissingData

RNG = np.random.default_rng(0)
FOG = RNG.integers(0, 256, (10, 32, 32, 3), np.uint8)
LABELS = RNG.integers(0, 10, 10).astype(np.uint8)
TYPES = {name.replace("drawn-", "") for name in CORRUPTIONS}


@pytest.fixture(autouse=True)
def nothing_else_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "no-system")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "cache"))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def cifar(archive: bytes = b"", md5: dict | None = None) -> Card:
    """Return the card of CIFAR-10-C with two images a severity, of fog alone."""
    content = find_card("cifar-10-c").model_dump(mode="json", exclude_none=True)
    parts = {f"fog-{s}": content["source"]["parts"][f"fog-{s}"] | {"rows": [2 * s - 2, 2 * s]} for s in range(1, 6)}
    packed = content["source"]["archive"] | {"md5": hashlib.md5(archive).hexdigest()}
    packed.pop("size")
    source = content["source"] | {"parts": parts, "md5": md5 or {}, "archive": packed}
    return parse(content | {"splits": dict.fromkeys(parts, 2), "source": source}, Card, "cifar-10-c.toml")


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FILES = {"CIFAR-10-C/fog.npy": npy(FOG), "CIFAR-10-C/labels.npy": npy(LABELS)}


def holds(card: Card, root: Path) -> None:
    for severity in range(1, 6):
        images = load_card(card, f"fog-{severity}", root=root)
        rows = slice(2 * severity - 2, 2 * severity)
        assert (images.batch(slice(None)) == FOG[rows].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)).all()
        assert images.labels.tolist() == LABELS[rows].tolist()


def test_cifar_c_from_its_archive(tmp_path: Path) -> None:
    archive = tar(FILES)
    (tmp_path / "CIFAR-10-C.tar").write_bytes(archive)
    card = cifar(archive)
    holds(card, tmp_path)
    assert [one.verdict for one in check(card, tmp_path)] == ["ok"]
    assert get(card, tmp_path) == tmp_path / "cifar-10-c"  # nothing is fetched


def test_cifar_c_as_it_was_extracted(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    card = cifar(md5={name: hashlib.md5(content).hexdigest() for name, content in FILES.items()})
    holds(card, tmp_path)
    assert status(card, tmp_path).present
    (tmp_path / "CIFAR-10-C/fog.npy").write_bytes(npy(FOG[::-1]))
    with pytest.raises(BadChecksum, match=r"fog\.npy has md5"):
        load_card(card, "fog-1", root=tmp_path)


def test_an_archive_that_is_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CIFAR-10-C.tar").write_bytes(tar(FILES))
    with pytest.raises(BadChecksum, match=r"CIFAR-10-C\.tar has md5"):
        load_card(cifar(b"another"), "fog-1", root=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CIFAR-10-C/fog.npy": npy(FOG[:5])}, "labels uint8"),
        (
            {"CIFAR-10-C/fog.npy": npy(FOG[:8]), "CIFAR-10-C/labels.npy": npy(LABELS[:8])},
            "8 images, expected at least 10",
        ),
        ({"CIFAR-10-C/fog.npy": npy(FOG.astype(float))}, r"float64\[10, 32, 32, 3\]"),
        ({"CIFAR-10-C/fog.npy": b"not an array"}, "is not an .npy file"),
        ({"CIFAR-10-C/fog.npy": npy(np.array([None]))}, "is not an .npy file"),
        ({"CIFAR-10-C/labels.npy": None}, "cannot read CIFAR-10-C/labels.npy"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, change: dict, message: str) -> None:
    archive = tar({name: content for name, content in (FILES | change).items() if content is not None})
    (tmp_path / "CIFAR-10-C.tar").write_bytes(archive)
    with pytest.raises(BadData, match=message):
        load_card(cifar(archive), "fog-5", root=tmp_path)


def test_what_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="oodbench data get cifar-10-c"):
        load_card(cifar(), "fog-1", root=tmp_path)
    assert not status(cifar(), tmp_path).present


def test_mnist_c(tmp_path: Path) -> None:
    digits = RNG.integers(0, 256, (3, 28, 28, 1), np.uint8)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("mnist_c/zigzag/test_images.npy", npy(digits))
        packed.writestr("mnist_c/zigzag/test_labels.npy", npy(np.array([7, 2, 1])))
    (tmp_path / "mnist_c.zip").write_bytes(stream.getvalue())
    content = find_card("mnist-c").model_dump(mode="json", exclude_none=True)
    source = content["source"] | {"parts": {"zigzag": content["source"]["parts"]["zigzag"]}}
    source["archive"] = source["archive"] | {"md5": hashlib.md5(stream.getvalue()).hexdigest()}
    card = parse(content | {"splits": {"zigzag": 3}, "source": source}, Card, "mnist-c.toml")
    images = load_card(card, "zigzag", root=tmp_path)
    assert images.shape == (1, 28, 28)
    assert (np.rint(images.batch(slice(None))[:, 0] * 255) == digits[..., 0]).all()
    assert images.labels.tolist() == [7, 2, 1]


def test_imagenet_c(tmp_path: Path) -> None:
    for place, (wnid, level) in enumerate((("n01440764", 40), ("n01443537", 90), ("n01443537", 200))):
        file = tmp_path / "ImageNet-C/fog/3" / wnid / f"ILSVRC2012_val_{place:08}.JPEG"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((224, 224, 3), level, np.uint8)).save(file, "JPEG", quality=95)
    content = find_card("imagenet-c").model_dump(mode="json", exclude_none=True)
    source = content["source"] | {"parts": {"fog-3": content["source"]["parts"]["fog-3"]}}
    card = parse(content | {"splits": {"fog-3": 3}, "source": source}, Card, "imagenet-c.toml")
    images = load_card(card, "fog-3", root=tmp_path)
    assert images.shape == (3, 224, 224)
    assert images.labels.tolist() == [0, 1, 1]
    assert np.rint(images.batch(slice(None)).mean(axis=(1, 2, 3)) * 255).tolist() == [40, 90, 200]


@pytest.mark.parametrize("name", ["cifar-10-c", "cifar-100-c", "imagenet-c"])
def test_cards_have_all_types_and_severities(name: str) -> None:
    card = find_card(name)
    assert set(card.splits) == {f"{one}-{severity}" for one in TYPES for severity in range(1, 6)}
    assert {one.replace("drawn-", "") for one in FIFTEEN} < TYPES


def test_severities_lie_one_after_another() -> None:
    parts = find_card("cifar-100-c").source.parts
    assert parts["elastic-transform-4"].rows == (30_000, 40_000)
    assert parts["elastic-transform-4"].images == "CIFAR-100-C/elastic_transform.npy"
