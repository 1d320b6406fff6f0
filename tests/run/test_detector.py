"""A fitted detector scores as `evaluate` does, and knows its model."""

import copy
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
