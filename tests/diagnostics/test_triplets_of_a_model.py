"""Lee's triplets of a trained classifier: the noise, what is ranked, and the numbers on real images."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oodbench.data.images import ArrayImages
from oodbench.data.matrix import find_matrix
from oodbench.diagnostics.triplets import _ranked, analyse, with_noise
from oodbench.errors import BadData, BadSetting
from oodbench.measure.triplets import Triplets
from oodbench.run.workspace import Workspace

GREY = ArrayImages(np.full((6, 1, 20, 20), 0.5, np.float32))
PLACES = np.array([3, 9, 4, 100, 7, 8], np.int32)


def test_noise_is_an_image_s_own() -> None:
    noisy, sigma = with_noise(GREY, PLACES, 1.0, 0)
    assert sigma == pytest.approx(1 / 20, rel=0.05)
    alone, _ = with_noise(GREY.take(np.array([1])), PLACES[1:2], 1.0, 0)
    np.testing.assert_allclose((alone.pixels[0] - 0.5) / (noisy.pixels[1] - 0.5), 1, rtol=0.05)
    assert not np.array_equal(with_noise(GREY, PLACES, 1.0, 1)[0].pixels, noisy.pixels)
    assert len(np.unique(noisy.pixels.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("grey", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("length", [0.5, 2.0, 8.0])
def test_noise_is_as_long_as_the_attack_once_it_is_cut(grey: float, length: float) -> None:
    """On black a half of it is cut off: before, noise of 2 was 1.49 long on MNIST's digits."""
    images = ArrayImages(np.full((6, 1, 20, 20), grey, np.float32))
    noisy, _ = with_noise(images, PLACES, length, 0)
    lengths = np.sqrt(((noisy.pixels - images.pixels).astype(float) ** 2).sum(axis=(1, 2, 3)))
    assert lengths.mean() == pytest.approx(length, rel=1e-4)
    assert noisy.pixels.min() >= 0
    assert noisy.pixels.max() <= 1


def test_no_noise_is_longer_than_the_box_is_wide() -> None:
    with pytest.raises(BadData, match="no change of 25 in l2 fits into"):
        with_noise(GREY, PLACES, 25.0, 0)
    np.testing.assert_array_equal(with_noise(GREY, PLACES, 0.0, 0)[0].pixels, GREY.pixels)


def test_clean_and_noisy_versions_are_good() -> None:
    chance = np.random.default_rng(0)
    clean, noisy, attacked = chance.normal(1, 1, 30), chance.normal(0.5, 1, 30), chance.normal(0, 1, 30)
    kept = Triplets(np.arange(3), np.arange(3, 30))
    found = _ranked(kept, clean, noisy, attacked)
    good = [1] * 54 + [0] * 27
    assert found["auroc"] == pytest.approx(roc_auc_score(good, [*clean[3:], *noisy[3:], *attacked[3:]]))
    assert found["auroc_clean"] == pytest.approx(roc_auc_score(good[27:], [*clean[3:], *attacked[3:]]))
    assert found["low"] < found["auroc"] < found["high"]


@pytest.mark.parametrize(
    ("method", "matrix", "says"),
    [
        ("msp", "trec-v2", "names no attack"),
        ("mahalanobis-a", "cifar10-resnet-v1", "expected one of mahalanobis-a@resnet-20, mahalanobis-a@resnet-32"),
        ("bin", "cifar10-resnet-v1", "trains a network of its own"),
    ],
)
def test_what_cannot_be_is_said(method: str, matrix: str, says: str, tmp_path) -> None:
    with pytest.raises(BadSetting, match=says):
        analyse(method, matrix, Workspace(cache=tmp_path), 0, 10, tmp_path / "out")


@pytest.mark.slow
def test_on_real_images(tmp_path) -> None:
    study = analyse("msp", "tiny-v1", Workspace(cache=tmp_path), 0, 100, tmp_path / "out")
    rows = json.loads(study.files[0].read_text())["attacks"]
    assert [row["attack"] for row in rows] == [one.attack for one in find_matrix("tiny-v1").attacks]
    for row in rows:
        assert 0 < row["n_test"] <= row["fooled"] <= row["n"] == 100
        assert 0 < row["sigma"] < 0.2
        assert row["low"] <= row["auroc"] <= row["high"]
        assert row["auroc"] > 0.5  # the softmax tells one step's images from clean ones and from noise
    assert len(study.table.splitlines()) == 2 + len(rows)
