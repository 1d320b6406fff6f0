"""Likelihoods, misclassifications, corruption, summaries, the table of metrics, and metrics of files."""

from math import log, log10

import numpy as np
import pytest
from scipy import stats

from oodbench.errors import BadData, MissingData, UnknownName
from oodbench.measure import calibration
from oodbench.measure.cells import Cell, measure
from oodbench.measure.corruption import delta_entropy, mce, rel_mce
from oodbench.measure.files import measure_files
from oodbench.measure.intervals import delong
from oodbench.measure.likelihood import bits_per_dim
from oodbench.measure.metrics import METRICS, find
from oodbench.measure.misclassification import mann_whitney
from oodbench.measure.ranking import RANKING, count, ranking
from oodbench.measure.summary import average, spread


def test_a_uniform_density_costs_eight_bits():
    np.testing.assert_allclose(bits_per_dim([0.0, 0.0], (3, 32, 32)), [8.0, 8.0])


def test_bits_of_a_gaussian_density_are_those_of_its_grey_levels():
    """A bell curve over grey levels: its mass on one level is the density there over 256."""
    mean, std = 0.5, 0.1
    levels = np.arange(256)
    p = np.diff(stats.norm.cdf(np.arange(257) / 256, mean, std))
    log_density = stats.norm.logpdf((levels + 0.5) / 256, mean, std)
    np.testing.assert_allclose(bits_per_dim(log_density, (1, 1, 1))[60:196], -np.log2(p)[60:196], rtol=1e-3)


def test_standardising_adds_the_mean_log_of_the_std():
    rng = np.random.default_rng(0)
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    y = rng.random((3, 4, 4))
    z = (y - mean[:, None, None]) / std[:, None, None]
    of_z = stats.norm.logpdf(z).sum()
    of_y = stats.norm.logpdf(y, mean[:, None, None], std[:, None, None]).sum()
    np.testing.assert_allclose(bits_per_dim([of_z], (3, 4, 4), std), bits_per_dim([of_y], (3, 4, 4)))


@pytest.mark.parametrize("decimals", [0, 6])
def test_mann_whitney_equals_scipy(decimals):
    rng = np.random.default_rng(0)
    good, bad = np.round(rng.normal(0.3, 1, 70), decimals), np.round(rng.normal(0, 1, 50), decimals)
    expected = stats.mannwhitneyu(good, bad, use_continuity=False, method="asymptotic")
    found = mann_whitney(good, bad)
    assert (found.n, found.m) == (70, 50)
    assert found.auroc == pytest.approx(expected.statistic / (70 * 50))
    assert found.log10_p == pytest.approx(log10(expected.pvalue))


@pytest.mark.parametrize("decimals", [0, 2])
def test_mann_whitney_equals_a_loop_over_pairs(decimals):
    """U counts pairs; its variance is that of the mean of the ranks, each the mean of the ranks that are tied."""
    rng = np.random.default_rng(1)
    good, bad = np.round(rng.normal(0.8, 1, 23), decimals), np.round(rng.normal(0, 1, 17), decimals)
    u = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    every = [*good, *bad]
    ranks = [sum(other < one for other in every) + (sum(other == one for other in every) + 1) / 2 for one in every]
    n, m, total = len(good), len(bad), len(every)
    variance = n * m / (total * (total - 1)) * sum((rank - (total + 1) / 2) ** 2 for rank in ranks)
    p = 2 * stats.norm.sf(abs(u - n * m / 2) / variance**0.5)
    found = mann_whitney(good, bad)
    assert found.auroc == pytest.approx(u / (n * m))
    assert found.log10_p == pytest.approx(log10(p))


def test_mann_whitney_is_measured_of_misclassifications():
    good, bad = np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0])
    measured = {kind: measure(Cell(kind, "set", good, bad))[0] for kind in ("misclassification", "ood")}
    assert measured["misclassification"]["mann_whitney_log10_p"] == mann_whitney(good, bad).log10_p
    assert "mann_whitney_log10_p" not in measured["ood"]


def test_mann_whitney_does_not_underflow():
    rng = np.random.default_rng(0)
    found = mann_whitney(rng.normal(1.2, 1, 7276), rng.normal(0, 1, 2724))
    assert found.auroc == pytest.approx(0.80, abs=0.01)
    assert -520 < found.log10_p < -420


def test_mann_whitney_of_a_constant():
    assert mann_whitney([1.0, 1.0], [1.0]) == (2, 1, 0.5, 0.0)
    assert mann_whitney([1.0, 2.0], [1.5, 1.5]).log10_p == 0.0


def test_mce_by_hand():
    errors, baseline = {"fog": [0.2, 0.4], "snow": [0.3, 0.3]}, {"fog": [0.4, 0.8], "snow": [0.2, 0.4]}
    assert mce(errors, baseline) == pytest.approx((0.5 + 1.0) / 2)
    assert mce(baseline, baseline) == 1
    # (0.6 - 0.2) / (1.2 - 0.4) and (0.6 - 0.2) / (0.6 - 0.4)
    assert rel_mce(errors, 0.1, baseline, 0.2) == pytest.approx((0.5 + 2.0) / 2)


def test_mce_needs_the_same_corruptions():
    with pytest.raises(BadData, match=r"errors for \['fog'\], a baseline for \['snow'\]"):
        mce({"fog": [0.1]}, {"snow": [0.1]})
    with pytest.raises(BadData, match="same severities"):
        mce({"fog": [0.1]}, {"fog": [0.1, 0.2]})
    with pytest.raises(BadData, match="does not rise under fog"):
        rel_mce({"fog": [0.3]}, 0.1, {"fog": [0.2]}, 0.2)


def test_a_baseline_that_gains_by_a_corruption_is_none() -> None:
    """Divided by its fall, 30 points more of errors made -20 of 100; a rise of no image at all, -3e15."""
    with pytest.raises(BadData, match="does not rise under jpeg"):
        rel_mce({"fog": [0.3], "jpeg": [0.4]}, 0.1, {"fog": [0.5], "jpeg": [0.1]}, 0.2)
    with pytest.raises(BadData, match="does not rise under jpeg"):
        rel_mce({"jpeg": [4 / 60] * 5}, 3 / 60, {"jpeg": [1 / 60, 1 / 60, 3 / 60, 5 / 60, 5 / 60]}, 3 / 60)
    assert rel_mce({"jpeg": [0.4]}, 0.1, {"jpeg": [0.5]}, 0.2) == pytest.approx(1)


def test_delta_entropy_is_in_nats():
    sure, blind = np.array([[1e3, 0.0, 0.0, 0.0]]), np.zeros((2, 4))
    assert delta_entropy(sure, blind) == pytest.approx(log(4))
    assert delta_entropy(blind, sure) == pytest.approx(-log(4))
    logits = np.random.default_rng(0).normal(size=(9, 5))
    expected = stats.entropy(np.exp(logits), axis=1).mean()
    assert delta_entropy(np.array([[1e3, 0.0]]), logits) == pytest.approx(expected)


def test_spread_over_seeds():
    assert spread([1.0, 2.0, 4.0]) == (pytest.approx(7 / 3), pytest.approx(np.sqrt(7 / 3)), 3)
    assert spread([0.5]) == (0.5, None, 1)
    assert spread([]) is None


def test_an_average_needs_every_set():
    assert average({"a": 0.0, "b": 1.0, "c": 9.0}, ["a", "b"]) == 0.5
    assert average({"a": 0.0}, ["a", "b"]) is None
    assert average({"a": 0.0, "b": None}, ["a", "b"]) is None
    assert average({}, []) is None


def test_the_table_of_metrics_knows_every_number():
    calibrated = calibration.report(np.zeros((2, 2)), np.zeros(2, int))
    assert METRICS.keys() >= RANKING.keys() | calibrated.keys()
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.lowest < metric.highest
        assert metric.definition.endswith(".")
        assert "\n" not in metric.definition


@pytest.mark.parametrize("name", RANKING)
def test_the_table_of_metrics_knows_which_way_is_good(name):
    perfect, reversed_ = ranking([2, 3], [0, 1])[name], ranking([0, 1], [2, 3])[name]
    assert (perfect > reversed_) == METRICS[name].higher_is_better
    for value in (perfect, reversed_):
        assert METRICS[name].lowest <= value <= METRICS[name].highest


def test_an_unknown_metric_offers_the_nearest():
    assert find("oce").title == "OCE"
    with pytest.raises(UnknownName, match="did you mean 'auroc'"):
        find("auroc2")


def test_metrics_of_files(tmp_path):
    good, bad = np.array([1.0, 2.0, 3.0], np.float32), np.array([0.0, 2.0])
    np.save(tmp_path / "good.npy", good)
    np.save(tmp_path / "bad.npy", bad)
    measured = measure_files(tmp_path / "good.npy", tmp_path / "bad.npy")
    assert measured.pop("auroc_interval_95") == list(delong(count(good, bad)))
    assert measured == ranking(good, bad)


def test_broken_files_of_scores_are_named(tmp_path):
    good = tmp_path / "good.npy"
    np.save(good, np.ones(3))
    with pytest.raises(MissingData, match=r"none\.npy: no such file"):
        measure_files(good, tmp_path / "none.npy")
    for content in (b"", b"PK\x03\x04 something else", good.read_bytes()[:-4]):
        (tmp_path / "broken.npy").write_bytes(content)
        with pytest.raises(BadData, match=r"broken\.npy: not a \.npy file of numbers"):
            measure_files(good, tmp_path / "broken.npy")
    np.save(tmp_path / "pickled.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(BadData, match=r"pickled\.npy: not a \.npy file of numbers"):
        measure_files(good, tmp_path / "pickled.npy")
    np.save(tmp_path / "nan.npy", np.array([0.0, np.nan]))
    with pytest.raises(BadData, match=r"bad: 1 of 2 scores are NaN .*index 1 .*nan\.npy"):
        measure_files(good, tmp_path / "nan.npy")
