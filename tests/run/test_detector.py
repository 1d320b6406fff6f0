"""A fitted detector scores as `evaluate` does, and knows its model."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import oodbench
from oodbench.check.toy import blobs, noise, toy
from oodbench.errors import BadCheckpoint, BadData, BadMethod, BadSetting, UnknownName
from oodbench.models import checkpoint
from oodbench.models.state import load_state, save_state
from oodbench.networks import Headed
from oodbench.recipes import Plain

TRAIN, TEST = blobs(360, 0), blobs(120, 5)
STRANGE = noise(60, 12).pixels
PAIR: Any = (TRAIN.pixels, TRAIN.labels)


class Mine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        net: Any = copy.deepcopy(toy(Plain()).model.net)
        self.normalise, self.body, self.fc = net.standardise, net.trunk, net.head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(self.normalise(x))[-1].mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["msp", "mahalanobis-a", "knn", "odin"])
def test_scores_are_those_of_evaluate_before_and_after_a_file(method: str, tmp_path: Path) -> None:
    model = Mine()
    detector = oodbench.fit(model, method, train=PAIR)
    result = oodbench.evaluate(
        model, train=PAIR, test=(TEST.pixels, TEST.labels), failures={"noise": STRANGE}, methods=[method]
    )
    np.testing.assert_allclose(detector.score(STRANGE), result.scores[method]["noise"], rtol=1e-5, atol=1e-5)
    again = oodbench.load_detector(detector.save(tmp_path / "d.safetensors"), nn.DataParallel(copy.deepcopy(model)))
    np.testing.assert_allclose(again.score(STRANGE), detector.score(STRANGE), rtol=1e-6)
    assert again.threshold(0.9) == detector.threshold(0.9)
    np.testing.assert_allclose(again.score(STRANGE[:1]), again.score(STRANGE)[:1], rtol=1e-4, atol=1e-5)
    assert model.training


def test_the_threshold_accepts_the_share_of_validation_images_and_hardly_more() -> None:
    held = blobs(101, 14)
    detector = oodbench.fit(Mine(), "knn", train=PAIR, validation=(held.pixels, held.labels))
    for tpr in (0.5, 0.95, 1.0):
        accepted = (detector.score(held.pixels) >= detector.threshold(tpr)).mean()
        assert tpr <= accepted < tpr + 1 / 100
    # Without any, images that the detector was not fitted on: those it was fitted on are their own neighbours.
    without = oodbench.fit(Mine(), "knn", train=PAIR)
    assert (without.score(TEST.pixels) >= without.threshold(0.9)).mean() > 0.75
    for tpr in (0, 1.5):
        with pytest.raises(BadSetting, match="expected a share above 0 and at most 1"):
            detector.threshold(tpr)


MEAN, STD = (0.5,), (0.25,)


def standardised(pixels: Any) -> Any:
    return ((pixels - MEAN[0]) / STD[0]).astype(np.float32)


LOW = np.linspace(0.6, 0.65, 64, dtype=np.float32).reshape(1, 1, 8, 8)
"""An image that is in [0, 1] standardised, too."""


def test_an_image_alone_has_the_score_that_it_has_among_others(tmp_path: Path) -> None:
    model = Mine()
    told: dict[str, Any] = {"mean": MEAN, "std": STD}
    detector = oodbench.fit(model, "msp", train=(standardised(TRAIN.pixels), TRAIN.labels), **told)
    path = detector.save(tmp_path / "d.safetensors")
    images = np.concatenate([standardised(STRANGE[:3]), standardised(LOW)])
    assert images[3].min() >= 0 and images[3].max() <= 1
    for one in (detector, oodbench.load_detector(path, model, **told)):
        together = one.score(images)
        for row in range(4):
            np.testing.assert_allclose(one.score(images[row : row + 1]), together[row : row + 1], rtol=1e-5)
        np.testing.assert_allclose(one.score(iter([images[3:]])), together[3:], rtol=1e-5)
        with pytest.raises(BadData, match=r"images: got pixels from .*those given to `fit`.* were standardised"):
            one.score(TEST.pixels)
    whole = oodbench.load_detector(path, Headed(model, mean=MEAN, std=STD))
    with pytest.raises(BadData, match="were standardised; say by what"):
        whole.score(images)
    as_bytes = (STRANGE * 255).round().astype(np.uint8)
    np.testing.assert_allclose(whole.score(as_bytes), detector.score(as_bytes), rtol=1e-5)


@pytest.mark.parametrize("train", [(TRAIN.pixels * 255).round().astype(np.uint8), TRAIN.pixels])
def test_floats_are_pixels_where_fit_was_given_no_standardised_arrays(train: np.ndarray, tmp_path: Path) -> None:
    model = Mine()
    told: dict[str, Any] = {"mean": MEAN, "std": STD}
    detector = oodbench.fit(model, "msp", train=(train, TRAIN.labels), **told)
    loaded = oodbench.load_detector(detector.save(tmp_path / "d.safetensors"), model, **told)
    for one in (detector, loaded):
        together = one.score(np.concatenate([TEST.pixels, LOW]))
        np.testing.assert_allclose(one.score(LOW), together[-1:], rtol=1e-5)
        with pytest.raises(BadData, match=r"those given to `fit`.* were not standardised: give all of them in one"):
            one.score(np.concatenate([standardised(TEST.pixels), standardised(LOW)]))


def test_a_file_that_does_not_say_whether_arrays_are_standardised_is_read(tmp_path: Path) -> None:
    model = Mine()
    told: dict[str, Any] = {"mean": MEAN, "std": STD}
    train = standardised(TRAIN.pixels)
    detector = oodbench.fit(model, "msp", train=(train, TRAIN.labels), **told)
    text, *others = load_state(detector.save(tmp_path / "new.safetensors"))
    facts = json.loads(text)
    assert facts.pop("standardised") is True
    save_state(tmp_path / "old.safetensors", (json.dumps(facts), *others))
    old = oodbench.load_detector(tmp_path / "old.safetensors", model, **told)
    np.testing.assert_allclose(old.score(train), detector.score(train), rtol=1e-6)
    np.testing.assert_allclose(old.score(TRAIN.pixels), detector.score(train), rtol=1e-4)


def test_training_images_that_can_be_read_once_are_read_once() -> None:
    model = Mine()
    parts = ((TRAIN.pixels[i : i + 50], TRAIN.labels[i : i + 50]) for i in range(0, len(TRAIN), 50))  # type: ignore[index]
    detector = oodbench.fit(model, "knn", train=parts)
    expected = oodbench.fit(model, "knn", train=PAIR)
    np.testing.assert_allclose(detector.score(STRANGE), expected.score(STRANGE), rtol=1e-6)
    assert detector.threshold(0.9) == pytest.approx(expected.threshold(0.9))


def test_another_model_is_refused(tmp_path: Path) -> None:
    model = Mine()
    path = oodbench.fit(model, "mahalanobis-a", train=PAIR).save(tmp_path / "d.safetensors")
    trained = copy.deepcopy(model)
    with torch.no_grad():
        trained.fc.weight.mul_(1.05)
    with pytest.raises(
        BadCheckpoint, match=r"logits of 8 images of noise, .* differ by up to .*another model; hand over"
    ):
        oodbench.load_detector(path, trained)
    with pytest.raises(BadCheckpoint, match="another model"):
        oodbench.load_detector(path, Headed(model, mean=(0.4,), std=(0.3,)))
    wider = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))
    with pytest.raises(BadCheckpoint, match="another model"):
        oodbench.load_detector(path, wider)


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    model = Mine()
    with pytest.raises(UnknownName, match="unknown method 'knm'"):
        oodbench.fit(model, "knm", train=PAIR)
    with pytest.raises(BadMethod, match="temperature: needs validation"):
        oodbench.fit(model, "temperature", train=PAIR)
    detector = oodbench.fit(model, "msp", train=PAIR)
    with pytest.raises(BadData, match="images: got images of shape 1x4x4; expected 1x8x8"):
        detector.score(STRANGE[:, :, :4, :4])
    for name, tensors in (("foreign", {"a": torch.zeros(2)}),):
        checkpoint.save(tmp_path / name, tensors)
        with pytest.raises(BadCheckpoint, match="holds no fitted state"):
            oodbench.load_detector(tmp_path / name, model)
    with pytest.raises(BadCheckpoint):
        oodbench.load_detector(tmp_path / "nowhere", model)
