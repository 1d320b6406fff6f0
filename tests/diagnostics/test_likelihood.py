"""The study of a flow's likelihoods: what is added up, what is compared, what is drawn."""

import json
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from oodbench.contract import LOG_DENSITY
from oodbench.data.images import ArrayImages
from oodbench.diagnostics import evenly
from oodbench.diagnostics.false_alarms import false_alarms
from oodbench.diagnostics.likelihood import (
    CONTRASTS,
    GREYS,
    Parts,
    analyse,
    decomposed,
    grayed,
    summary,
    table,
    variance,
)
from oodbench.diagnostics.pictures import _decomposition, _second_order, view
from oodbench.errors import BadSetting
from oodbench.measure.likelihood import bits_per_dim
from oodbench.networks.glow import GlowNet
from oodbench.run.sets import Sets
from oodbench.run.workspace import Workspace

SHAPE = (1, 8, 8)


def images(n: int = 20, seed: int = 0) -> ArrayImages:
    return ArrayImages(np.random.default_rng(seed).random((n, *SHAPE), dtype=np.float32))


def test_the_parts_sum_to_the_density_that_the_model_shows() -> None:
    torch.manual_seed(0)
    net = GlowNet(SHAPE, levels=2, depth=1, hidden=8, volume="affine")
    x = torch.from_numpy(images().batch(slice(0, 20)))
    with torch.no_grad():
        net(x)  # the first batch sets the scales
        net.eval()
        given = net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]
    np.testing.assert_allclose(decomposed(net, images(), torch.device("cpu")).log_density, given, rtol=1e-9)


def test_variance_is_summed_over_pixels() -> None:
    x = images().batch(slice(0, 20)).astype(np.float64).reshape(20, -1)
    expected = sum(((x[:, j] - x[:, j].mean()) ** 2).mean() for j in range(64))
    assert variance(images()) == pytest.approx(expected)


@pytest.mark.parametrize("grey", GREYS.values())
@pytest.mark.parametrize("contrast", CONTRASTS)
def test_graying_keeps_the_grey_and_takes_variance_by_the_square(contrast: float, grey: float) -> None:
    after = variance(grayed(images(), contrast, grey))
    assert after == pytest.approx(contrast**2 * variance(images()), rel=1e-4, abs=1e-9)
    flat = ArrayImages(np.full((2, *SHAPE), grey, np.float32))
    assert grayed(flat, contrast, grey).batch(slice(0, 2)).max() == grey


def test_the_summary_by_hand() -> None:
    inside = Parts(np.array([-10.0, -12.0]), np.array([1.0, 1.0]))
    likelier = Parts(np.array([-5.0, -7.0]), np.array([2.0, 2.0]))
    unlikelier = Parts(np.array([-20.0, -11.5]), np.array([0.0, 0.0]))
    parts = {"train": likelier, "test": inside, "flat": likelier, "noise": unlikelier}
    variances = {"train": 5.1, "test": 5.0, "flat": 1.0, "noise": 4.0}
    study = summary(parts, variances, {"black": {1.0: np.array([-10.0, -11.0])}}, SHAPE)
    flat, noise = study["sets"]["flat"], study["sets"]["noise"]
    assert (flat["log_prior"], flat["log_det"], flat["log_density"]) == (-6.0, 2.0, -4.0)
    assert flat["auroc_log_density"] == 0.0
    assert flat["likelier_by"] == 6.0
    assert flat["less_variance"] == 4.0
    assert flat["sign_agrees"]
    assert noise["auroc_log_density"] == 1.0
    assert noise["auroc_log_prior"] == 0.75
    assert not noise["sign_agrees"]  # less variance, and yet less likely
    assert study["second_order"] == {"sets": 2, "sign_agrees": 1}
    assert study["graying"] == {"black": {"1.0": -10.5}}
    assert flat["bits_per_dimension"] == pytest.approx(bits_per_dim([-3.0, -5.0], SHAPE).mean())
    assert study["sets"]["train"].keys() == study["sets"]["test"].keys()  # both are the in-set: nothing is told apart


def test_the_table_has_a_row_a_set_and_the_false_alarms() -> None:
    row = {"bits_per_dimension": 2.34567, "log_prior": -100.4, "log_det": 7.0}
    study = {
        "sets": {"train": row, "test": row, "mnist-5k": {**row, "auroc_log_density": 0.123}},
        "false_alarms": {"nominal": 0.05, "test": 0.0625, "validation": 0.04},
    }
    lines = table(study).splitlines()
    assert lines[2].split() == ["in-set,", "train", "2.346", "-100", "7"]
    assert lines[4].split() == ["mnist-5k", "2.346", "-100", "7", "12.30"]
    assert "p below 5 %: 6.25 % of the in-set's test images, 4.00 % of its validation images" in lines[-1]


def test_false_alarms_by_hand() -> None:
    """Of 100 training images with log p = 0 ... 99 two on either side have p <= 4 %; a third has 6 %."""
    log_p = {"train": range(100), "validation": (-1000.0, 3, 96, 97, 1e9), "test": (1, 50, 98, 2)}
    sets = Sets(**{part: ArrayImages(np.zeros((1, *SHAPE), np.float32), card=part) for part in log_p})
    shares = false_alarms(lambda one: torch.tensor(list(log_p[one.card]), dtype=torch.float64), sets)
    assert shares == {"nominal": 0.05, "test": 0.5, "validation": 0.4}


def test_false_alarms_of_the_training_images_themselves_are_nominal() -> None:
    log_p = torch.randn(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares = false_alarms(lambda _: log_p, Sets(images(), images(), images()))
    assert shares["test"] == pytest.approx(0.05, abs=2e-3)


def test_histograms_stand_about_the_in_set() -> None:
    assert view(np.array([-1.0, 1.0])) == (-6, 6)
    assert view(np.array([3.0, 3.0 + 1e-9])) == pytest.approx((2.5, 3.5))


OUT_SETS = {"near one": "near", "far one": "far", "noise": "synthetic", "as noise": "synthetic", "flat": "synthetic"}


@pytest.fixture
def seen() -> dict[str, Parts]:
    """Log densities of the in-set, of a set like it, of a likelier one, and of three that are far below."""
    rng = np.random.default_rng(0)
    centres = {"train": 0, "test": 0, "near one": 5, "far one": 300, "noise": -9000, "as noise": -9010, "flat": 3}
    return {name: Parts(rng.normal(at, 50, 200), rng.normal(2000, 50, 200)) for name, at in centres.items()}


def texts(figure: Figure) -> list[Text]:
    FigureCanvasAgg(figure).draw()
    return [one for axes in figure.axes for one in (*axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels())]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Return which texts overlap; the leader of a label is no part of it."""
    boxes = [(one.get_text(), Text.get_window_extent(one)) for one in texts(figure) if one.get_text()]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def test_what_lies_beyond_the_histograms_is_counted(seen: dict[str, Parts]) -> None:
    figure = Figure(layout="constrained")
    _decomposition(seen, OUT_SETS, figure)
    said = [one.get_text() for one in figure.axes[0].texts]
    assert said == ["52 % above", "100 % below", "100 % below"], "of the far one, the noise and what is as noise"
    assert (seen["far one"].log_prior > view(seen["test"].log_prior)[1]).mean() == pytest.approx(0.52, abs=0.005)
    assert not figure.axes[1].texts, "the volume tells no set apart"
    rows = [one.get_text() for one in figure.axes[0].get_yticklabels()]
    assert rows == ["in-set, train", "near one", "far one", "noise", "as noise", "flat"]
    assert overlapping(figure) == []


def test_names_of_sets_that_lie_together_do_not_overlap(seen: dict[str, Parts]) -> None:
    figure = Figure(layout="constrained")
    _second_order(seen, dict.fromkeys(seen, 5.0), OUT_SETS, figure)
    assert len(figure.axes[0].texts) == len(seen) - 1
    assert overlapping(figure) == []


@pytest.mark.parametrize("length, n", [(10, 4), (10, 10), (3, 10), (1, 1), (1000, 7)])
def test_images_are_taken_evenly_and_once(length: int, n: int) -> None:
    places = evenly(length, n)
    assert len(set(places)) == len(places) == min(n, length)
    assert places[0] == 0
    assert places[-1] == length - 1 or n == 1


def test_a_method_that_is_no_glow_is_refused(tmp_path) -> None:
    with pytest.raises(
        BadSetting, match=r"msp is not a Glow, and only these can be taken apart; expected one of .*glow-cv"
    ):
        analyse("msp", "tiny-v1", Workspace(cache=tmp_path), 0, 10, tmp_path / "out")


@pytest.mark.slow
def test_on_real_images(tmp_path) -> None:
    files, text = analyse("glow-cv", "tiny-v1", Workspace(cache=tmp_path), 0, 100, tmp_path / "out")
    assert sorted(file.name for file in files) == [
        "decomposition.png",
        "graying.png",
        "likelihood.json",
        "likelihood.npz",
        "second-order.png",
    ]
    study = json.loads(files[0].read_text())
    assert study["volume"] == "constant"
    volumes = [row["log_det"] for row in study["sets"].values()]
    assert max(volumes) - min(volumes) < 1e-3
    assert {"train", "test", "constant", "uniform", "hflip"} <= study["sets"].keys()
    assert "constant" in text
    assert 0 <= study["false_alarms"]["test"] < 0.5
