"""Histograms of log densities, and WAIC without each of its members."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from oodbench.contract import LOG_DENSITY
from oodbench.data.matrix import find_matrix
from oodbench.detectors.densities import WAIC
from oodbench.diagnostics import histograms, waic
from oodbench.diagnostics.histogram_pictures import bins
from oodbench.diagnostics.waic_pictures import nats
from oodbench.errors import BadSetting
from oodbench.measure.ranking import ranking
from oodbench.run.workspace import Workspace

RNG = np.random.default_rng(0)


def test_out_sets_stand_with_their_group() -> None:
    matrix = find_matrix("tiny-v1")
    found = {one.card: np.zeros(1) for one in matrix.ood if one.card != "glyphs"}
    groups = histograms.by_group(matrix, found)
    assert list(groups) == ["near", "far", "synthetic"]
    assert list(groups["near"]) == ["digits", "hflip", "vflip"]
    assert list(groups["far"]) == ["textures-skimage"]


def test_the_summary_by_hand() -> None:
    told = histograms.summary(np.array([2.0, 4.0]), {"flat": np.array([1.0, 3.0])})
    assert told["test"] == {"mean": 3.0, "std": 1.0}
    assert told["flat"] == {"mean": 2.0, "std": 1.0, "auroc": 0.25}  # of 4 pairs the in-set is likelier in one


def test_bins_hold_every_value_and_grow_with_it() -> None:
    sets = [np.array([-0.3, 5.0]), np.array([450.0])]
    edges = bins(sets)
    assert (edges[0], edges[-1]) == (-0.3, 450.0)
    assert (np.diff(edges) > 0).all()
    assert np.histogram(np.concatenate(sets), edges)[0].sum() == 3
    assert np.diff(edges)[-1] > 20 * np.diff(edges)[0]


def test_the_score_is_the_detectors() -> None:
    log_p = RNG.normal(-500, 30, (6, 5))
    outputs: Any = {LOG_DENSITY.of_members: torch.from_numpy(log_p)}
    np.testing.assert_allclose(waic.waic(log_p), WAIC.score((), outputs))


def test_the_jackknife_by_a_loop() -> None:
    log_p = {"test": RNG.normal(-100, 3, (30, 4)), "other": RNG.normal(-103, 3, (20, 4))}
    found = waic.jackknife(log_p)["other"]
    without = []
    for j in range(4):
        kept = [m for m in range(4) if m != j]
        scores = [[each[kept].mean() - each[kept].var() for each in log_p[name]] for name in log_p]
        without.append(ranking(*map(np.array, scores))["auroc"])
    assert found["without"] == pytest.approx(without)
    mean = sum(without) / 4
    assert found["standard_error"] == pytest.approx((3 / 4 * sum((one - mean) ** 2 for one in without)) ** 0.5)


def test_a_member_that_says_what_the_others_say_changes_nothing_of_the_order() -> None:
    same = {"test": RNG.normal(size=(30, 1)).repeat(5, 1), "other": RNG.normal(size=(20, 1)).repeat(5, 1)}
    found = waic.jackknife(same)["other"]
    assert found["without"] == pytest.approx([found["all"]] * 5)
    assert found["standard_error"] == pytest.approx(0, abs=1e-12)


@pytest.fixture
def short(monkeypatch) -> None:
    toy = find_matrix("toy-v1")
    once = toy.model_copy(update={"training": replace(toy.training, epochs=1)})
    for module in (histograms, waic):
        monkeypatch.setattr(module, "find_matrix", lambda name: once)


def test_both_on_the_toy(short, tmp_path) -> None:
    place = Workspace(cache=tmp_path / "c")
    drawn = histograms.analyse("vae", "toy-v1", place, 0, 20, tmp_path / "h")
    of_vaes = waic.analyse("waic-vae", "toy-v1", place, 0, 20, tmp_path / "w")
    assert [file.name for file in drawn.files] == ["histograms.json", "histograms.png"]
    assert [file.name for file in of_vaes.files] == ["waic.json", "waic-jackknife.png", "waic-images.png"]
    first, second = (json.loads(study.files[0].read_text()) for study in (drawn, of_vaes))
    assert histograms.table(first) == drawn.table
    assert waic.table(second) == of_vaes.table
    assert second["members"] == [0, 1, 2, 3, 4]
    assert list(first["sets"]) == ["test", *second["auroc"]]
    assert all(len(one["without"]) == 5 for one in second["auroc"].values())


@pytest.mark.parametrize(("module", "method", "known"), [(histograms, "vae-rate", "glow"), (waic, "vae", "waic-vae")])
def test_a_method_with_another_score_is_refused(module, method: str, known: str, tmp_path) -> None:
    with pytest.raises(BadSetting, match=rf"{method} does not score by .*expected one of .*{known}"):
        module.analyse(method, "toy-v1", Workspace(cache=tmp_path), 0, 5, tmp_path / "out")


def test_a_score_below_an_image_is_no_wider_than_the_image() -> None:
    scores = (3562.4, -146335.0, -31624268803.0, 2.5e12)
    assert [nats(score) for score in scores] == ["3562", "-146335", "-3.2e10", "2.5e12"]
