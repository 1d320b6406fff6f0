"""Samples of flows: what is drawn, how it becomes images, and who judges it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax

from oodbench.contract import LOGITS
from oodbench.data.images import ArrayImages
from oodbench.data.matrix import find_matrix
from oodbench.densities.flow_gan import FlowGan
from oodbench.densities.glow import Glow
from oodbench.diagnostics import samples
from oodbench.diagnostics.sample_pictures import mosaic
from oodbench.diagnostics.samples import analyse, class_shares, drawn, grey_levels, table
from oodbench.errors import BadSetting
from oodbench.measure.mode_score import mode_score
from oodbench.models.outputs import Trained
from oodbench.models.seeding import seeded
from oodbench.models.train import start
from oodbench.run.context import Context
from oodbench.run.plan import reference_of
from oodbench.run.workspace import Workspace
from oodbench.spaces import Images
from oodbench.training import InSet, Training

SHAPE = (1, 8, 8)


@pytest.mark.parametrize("recipe", [Glow(), FlowGan()], ids=["glow", "flow-gan"])
def test_samples_are_decoded_codes_and_their_seed_s(recipe) -> None:
    sized = recipe.sized("tiny", Training(network="toy-cnn", epochs=1))
    net = start(sized, InSet(Images(SHAPE, (0.5,), (0.25,)), 4), torch.zeros(0), 0).net.eval()
    model = Trained(net, torch.device("cpu"))
    y = drawn(model, 130, 3)
    assert y.shape == (130, *SHAPE)
    np.testing.assert_array_equal(y, drawn(model, 130, 3))
    assert (y != drawn(model, 130, 4)).any()
    flow = getattr(net, "flow", net)
    with torch.no_grad(), seeded(3, "samples"):
        eps = tuple(torch.randn(100, *shape) for shape in flow.codes)
        np.testing.assert_allclose(y[:100], flow.decode(eps), atol=1e-6)


def test_grey_levels_are_those_that_dequantise_to_the_sample() -> None:
    grey = np.arange(256).reshape(256, 1, 1, 1)
    y = (grey + np.array([0.0, 0.5, 0.99]).reshape(1, 1, 1, 3)) / 256
    np.testing.assert_array_equal(grey_levels(y.astype(np.float32)).pixels, np.broadcast_to(grey, y.shape))
    beyond = np.array([-3.0, -0.1, 1.0, 7.0], np.float32).reshape(1, 1, 2, 2)
    assert grey_levels(beyond).pixels.flatten().tolist() == [0, 0, 255, 255]


def test_class_shares_count_absent_classes() -> None:
    images = ArrayImages(np.zeros((4, *SHAPE), np.uint8), np.array([0, 2, 2, 1]))
    assert class_shares(images, 4).tolist() == [0.25, 0.25, 0.5, 0.0]


def test_a_mosaic_shows_rows_of_images_with_a_line_between() -> None:
    x = np.arange(10, dtype=np.uint8).repeat(64).reshape(10, *SHAPE)
    shown = mosaic(ArrayImages(x))
    assert shown.shape == (2 * 9 - 1, 8 * 9 - 1, 1)
    assert (shown[:8, 9:17] == np.float32(1 / 255)).all()
    assert (shown[9:, :8] == np.float32(8 / 255)).all()
    assert (shown[8] == 0.5).all()


@pytest.fixture
def untrained(monkeypatch) -> None:
    toy = find_matrix("toy-v1")
    monkeypatch.setattr(
        samples, "find_matrix", lambda name: toy.model_copy(update={"training": replace(toy.training, epochs=1)})
    )


def test_the_classifier_of_the_matrix_judges_samples_and_test_images(untrained, tmp_path) -> None:
    place = Workspace(cache=tmp_path / "c")
    study = analyse("flow-gan-inf", "toy-v1", place, 0, 40, tmp_path / "out")
    assert [file.name for file in study.files] == ["samples.json", "samples.png"]
    found = json.loads(study.files[0].read_text())
    assert table(found) == study.table
    context = Context(samples.find_matrix("toy-v1"), place)
    recipe = FlowGan(lam="inf").sized(context.matrix.scale, context.matrix.training)
    model, _ = context.model(recipe, 0)
    y = drawn(model, 40, 0)
    assert found["outside"] == pytest.approx(float(((y < 0) | (y >= 1)).mean()))
    logits = context.outputs(reference_of(recipe, context.matrix), 0, frozenset({LOGITS}), grey_levels(y))[LOGITS]
    train = class_shares(context.sets.train, 3)
    expected = mode_score(softmax(np.asarray(logits, np.float64), axis=1), train)
    assert found["mode_score"]["samples"] == pytest.approx(expected)
    assert 1 <= found["mode_score"]["test"] <= 3


def test_a_method_that_is_no_flow_is_refused(tmp_path) -> None:
    with pytest.raises(
        BadSetting, match=r"vae is not a flow, and only of these samples are drawn; expected one of .*flow-gan-0.*glow"
    ):
        analyse("vae", "toy-v1", Workspace(cache=tmp_path), 0, 10, tmp_path / "out")
