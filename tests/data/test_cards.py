"""Every card of the folder, and what the schema refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.data import folder as module
from oodbench.data.cards import Card, Generator, HuggingFace, card_sha256, find_card, load_cards
from oodbench.data.fixed import cards_folder, parse, read_toml
from oodbench.data.huggingface import library
from oodbench.data.splits import splits
from oodbench.data.synthetic import DRAWS, FIXED
from oodbench.data.toys import TOYS
from oodbench.errors import BadCard, OodbenchError, UnknownName

ISSUE = {
    "mnist",
    "fashion-mnist",
    "svhn",
    "cifar-10",
    "cifar-100",
    "tiny-imagenet",
    "places365",
    "imagenet",
    "omniglot",
    "notmnist",
    "kmnist",
    "lsun-crop",
    "lsun-resize",
    "isun",
    "tiny-imagenet-crop",
    "tiny-imagenet-resize",
    "textures",
    "celeba",
    "imagenet32",
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
    "digits",
    "photographs-sklearn",
    "photographs-skimage",
    "textures-skimage",
    "glyphs",
    "mnist-5k",
}


@pytest.fixture
def content() -> dict:
    return find_card("fashion-mnist").model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("card", load_cards().values(), ids=lambda card: card.name)
def test_every_card_is_complete(card: Card) -> None:
    """The schema has been checked by loading; here is what it cannot see from one field alone."""
    assert card.url.startswith("http")
    assert len(card_sha256(card)) == 64
    if "in" in card.roles:
        assert {"train", "validation", "test"} == set(splits(card))
        assert all(0 < std < 1 for std in card.std)
    if isinstance(card.source, Generator):
        assert card.source.generator == card.name
        assert card.name in {*DRAWS, *FIXED, *TOYS, "hflip", "vflip", "negative"}
    if isinstance(card.source, HuggingFace):
        assert len(card.source.revision) == 40
    if card.resampling == "none":
        assert card.takes_shape, "a set with a shape of its own must say how it becomes another"


def test_every_set_of_the_papers_has_a_card() -> None:
    assert set(load_cards()) >= ISSUE


def test_unknown_card_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fashion-mnist'"):
        find_card("fashion-minst")


def test_unknown_key_offers_the_nearest(content: dict) -> None:
    content["licnece"] = content.pop("licence")
    with pytest.raises(BadCard, match=r"(?s)licence: Field required.*licnece: unknown key; did you mean 'licence'"):
        parse(content, Card, "fashion-mnist.toml")


def test_every_fault_is_listed(content: dict) -> None:
    content |= {"origin": "Not A Name", "resampling": "lanczos", "classes": -1}
    with pytest.raises(BadCard) as error:
        parse(content, Card, "fashion-mnist.toml")
    assert all(word in str(error.value) for word in ("origin", "resampling", "'lanczos'", "classes", "-1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": ["test"]}, "roles"),
        ({"roles": []}, "roles"),
        ({"mean": [0.2, 0.3, 0.4]}, "mean and std for each of its 1 channels"),
        ({"mean": [73.0]}, "mean"),
        ({"classes": 0}, "needs classes"),
        ({"splits": {"train": 60000}}, "splits"),
        ({"splits": {"train": 0, "test": 10000}}, "splits.train"),
        ({"source": {"kind": "web"}}, "web"),
    ],
)
def test_what_a_card_may_not_say(content: dict, change: dict, message: str) -> None:
    with pytest.raises(BadCard, match=message):
        parse(content | change, Card, "fashion-mnist.toml")


def test_a_file_without_a_checksum_is_refused(content: dict) -> None:
    content["source"]["parts"]["test"]["images"] = {"name": "t10k-images-idx3-ubyte.gz"}
    with pytest.raises(BadCard, match="has no checksum"):
        parse(content, Card, "fashion-mnist.toml")


def test_a_revision_must_be_pinned() -> None:
    content = find_card("tiny-imagenet").model_dump(mode="json", exclude_none=True)
    content["source"]["revision"] = "main"
    with pytest.raises(BadCard, match="revision"):
        parse(content, Card, "tiny-imagenet.toml")


def test_a_card_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text((cards_folder() / "uniform.toml").read_text())
    with pytest.raises(BadCard, match=r"other\.toml: name is 'uniform', expected 'other'"):
        load_cards(tmp_path)


def test_not_toml(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(BadCard, match=r"broken\.toml is not a TOML file"):
        read_toml(tmp_path / "broken.toml", Card)


def test_the_hash_is_of_what_is_said_not_of_how(tmp_path: Path) -> None:
    text = (cards_folder() / "uniform.toml").read_text()
    (tmp_path / "uniform.toml").write_text("# a comment\n" + text.replace("\n\n", "\n\n\n"))
    assert card_sha256(load_cards(tmp_path)["uniform"]) == card_sha256(find_card("uniform"))
    changed = find_card("uniform").model_copy(update={"origin": "other"})
    assert card_sha256(changed) != card_sha256(find_card("uniform"))


def test_an_installed_wheel_reads_its_own_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside an installed `oodbench` lies Hugging Face's `datasets`; the cards are inside `oodbench`."""
    for folder in ("bench/oodbench/data", "bench/oodbench/cards", "datasets"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "bench/oodbench/data/folder.py"))
    assert cards_folder() == tmp_path / "bench/oodbench/cards"
    (tmp_path / "bench/oodbench/cards").rmdir()
    module._cards_of.cache_clear()
    assert cards_folder() == tmp_path / "datasets"


def test_no_python_among_the_cards() -> None:
    """A Python file there would make the folder shadow Hugging Face's library of the same name."""
    assert {path.suffix for path in cards_folder().rglob("*") if path.is_file()} == {".toml"}


def test_the_library_is_not_shadowed_by_the_cards() -> None:
    assert "site-packages" in str(library().__file__)
    code = "import datasets; print(datasets.__file__)"
    run = subprocess.run([sys.executable, "-c", code], cwd=cards_folder().parent, capture_output=True, text=True)
    assert "site-packages" in run.stdout, run.stderr


def test_a_shadowed_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    for name in [name for name in sys.modules if name == "datasets" or name.startswith("datasets.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(OodbenchError, match="not Hugging Face's library"):
        library()
