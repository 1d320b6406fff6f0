"""What evaluations of a density say: each fact is a law, on small data and on real digits."""

import json
from math import log

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from oodbench.cli import main
from oodbench.data.images import ArrayImages
from oodbench.diagnostics import density_evaluation, one_gaussian
from oodbench.diagnostics.density_evaluation import analyse, bandwidth, dequantised, kmeans, mixing, parzen
from oodbench.diagnostics.density_evaluation import prefers_centres as compared
from oodbench.diagnostics.neighbours import moved, squared_distances, still_nearest
from oodbench.diagnostics.one_gaussian import DIVERGENCES, MIXTURE, Gaussians, grid
from oodbench.errors import BadSetting
from oodbench.report.diagnostics_page import findings, page
from oodbench.run.workspace import Workspace

RNG = np.random.default_rng(0)


def test_a_parzen_window_is_a_mean_of_gaussians():
    x, centres, s = RNG.random((5, 3)), RNG.random((7, 3)), 0.3
    expected = [np.log(np.mean([multivariate_normal(c, s**2).pdf(one) for c in centres])) for one in x]
    np.testing.assert_allclose(parzen(x, centres, s), expected, rtol=1e-10)


def test_noise_costs_a_model_at_most_log_100_nats_and_less_where_noise_is_likelier():
    log_p = np.array([900.0, 10.0, 0.0, -50.0, -900.0])
    found = mixing(log_p, (1, 28, 28))
    by_hand = [log(0.01 * np.exp(one) + 0.99) if one < 600 else one + log(0.01) for one in log_p]
    assert found["log_density_mixed"] == pytest.approx(np.mean(by_hand))
    assert found["largest_cost"] == pytest.approx(log(100))
    assert found["largest_cost"] <= found["bound"] + 1e-9
    assert mixing(log_p[2:], (1, 28, 28))["largest_cost"] == pytest.approx(0)
    assert found["bits"] == pytest.approx(8 - log_p.mean() / (784 * log(2)))  # uniform noise costs 8 bits


def test_pixels_have_a_density_and_round_back_to_themselves():
    grey = RNG.integers(0, 256, (4, 1, 3, 3))
    y = dequantised(ArrayImages((grey / 255).astype(np.float32)), seed=0, part=0)
    assert (np.floor(256 * y) == grey.reshape(4, -1)).all()
    assert (y >= 0).all()
    assert (y < 1).all()


def test_a_bandwidth_is_the_likeliest_on_what_is_held_out():
    centres, held = RNG.normal(0, 0.1, (40, 2)), RNG.normal(0, 0.1, (50, 2))
    means = [parzen(held, centres, s).mean() for s in density_evaluation.BANDWIDTHS]
    assert bandwidth(held, centres) == density_evaluation.BANDWIDTHS[int(np.argmax(means))]


def test_k_means_lowers_the_squared_error_and_keeps_a_centre_that_no_point_is_nearest_to():
    x = RNG.normal(0, 1, (200, 2))
    start = np.vstack([x[:5], [[50.0, 50.0]]])
    centres = kmeans(x, start)
    errors = [squared_distances(x, each).min(axis=1).sum() for each in (start, centres)]
    assert errors[1] < errors[0]
    assert centres[5].tolist() == [50.0, 50.0]
    nearest = squared_distances(x, centres).argmin(axis=1)
    for at in range(5):
        np.testing.assert_allclose(centres[at], x[nearest == at].mean(axis=0))


def test_parzen_windows_prefer_centres_to_true_samples():
    """Gaussian data in 50 dimensions: the samples are the truth, and the means of many are likelier."""
    y, held, test = (RNG.normal(0.5, 0.15, (n, 50)) for n in (2000, 200, 200))
    found = compared(y, held, test, 100, seed=0)
    assert found["centres"] > found["samples"] + 3
    assert found["n"] == 100


def test_a_moved_image_is_no_longer_its_own_neighbour():
    """Stripes of a pixel, each image with its own: moved by one, an image is nearest to another."""
    images = np.zeros((6, 1, 4, 8), dtype=np.float32)
    for at in range(6):
        images[at, ..., at + 1] = 1
    assert still_nearest(images, 6, 0) == 1
    assert still_nearest(images, 6, 1) == 0
    np.testing.assert_array_equal(moved(images, 1)[0], images[1])
    assert still_nearest(np.repeat(images[:1], 1, axis=0), 1, 3) == 1


def test_each_divergence_has_its_own_best_gaussian():
    fits = one_gaussian.fits()
    for name, divergence in DIVERGENCES.items():
        values = {other: divergence(MIXTURE, q) for other, q in fits.items()}
        assert min(values, key=values.__getitem__) == name
        assert sorted(values.values())[1] > values[name] + 1e-3
    mean = MIXTURE.w @ MIXTURE.mu
    spread = (MIXTURE.w * (MIXTURE.s**2 + ((MIXTURE.mu - mean) ** 2).sum(axis=1) / 2)).sum()
    np.testing.assert_allclose(fits["KLD"].mu[0], mean, atol=1e-3)
    assert fits["KLD"].s[0] == pytest.approx(spread**0.5, rel=1e-3)
    np.testing.assert_allclose(fits["JSD"].mu[0], MIXTURE.mu[0], atol=0.05)  # one mode, and nothing of the other
    assert fits["JSD"].s[0] < fits["MMD"].s[0] < fits["KLD"].s[0]


def test_divergences_are_as_defined():
    p, q = MIXTURE, Gaussians(np.ones(1), np.array([[0.5, 0.0]]), np.array([1.2]))
    rng = np.random.default_rng(1)

    def drawn(of, n):
        which = rng.choice(len(of.w), n, p=of.w)
        return of.mu[which] + of.s[which, None] * rng.normal(size=(n, 2))

    x, y = drawn(p, 4000), drawn(q, 4000)
    ratio = p.log_density(x) - q.log_density(x)
    assert one_gaussian.kld(p, q) == pytest.approx(ratio.mean(), abs=5 * ratio.std() / 4000**0.5)
    m = [np.logaddexp(p.log_density(z), q.log_density(z)) - log(2) for z in (x, y)]
    sampled = ((p.log_density(x) - m[0]).mean() + (q.log_density(y) - m[1]).mean()) / 2
    assert one_gaussian.jsd(p, q) == pytest.approx(sampled, abs=0.02)
    axis = one_gaussian.AXIS
    k = np.exp(-((axis[:, None] - axis) ** 2) / (2 * one_gaussian.BANDWIDTH**2))
    difference = (np.exp(p.log_density(grid())) - np.exp(q.log_density(grid()))).reshape(len(axis), -1)
    assert one_gaussian.mmd(p, q) == pytest.approx((k @ difference @ k * difference).sum() * (axis[1] - axis[0]) ** 4)
    assert one_gaussian.jsd(p, p) == pytest.approx(0, abs=1e-12)
    assert one_gaussian.mmd(p, p) == pytest.approx(0, abs=1e-12)
    assert np.exp(p.log_density(grid())).sum() * (one_gaussian.AXIS[1] - one_gaussian.AXIS[0]) ** 2 == pytest.approx(1)


def test_the_facts_hold_on_real_digits_and_the_page_says_them(tmp_path, monkeypatch):
    monkeypatch.setattr(density_evaluation, "draw_all", lambda *_: [])
    out = tmp_path / "diagnostics" / "tiny-v1" / "data" / "0"
    first = analyse("data", "tiny-v1", Workspace(data=None, cache=tmp_path / "cache", device="cpu"), 0, 100, out)
    study = json.loads((out / "density-evaluation.json").read_text())
    assert 4 < study["mixing"]["largest_cost"] <= log(100) + 1e-9
    assert study["parzen"]["centres"] > study["parzen"]["samples"]
    shares = list(study["neighbours"].values())
    assert shares[0] == 1 > shares[1] > shares[2]
    assert "k-means" in first.table
    text = page(tmp_path)
    assert "## What evaluations of a density say on tiny-v1 (seed 0)" in text
    assert "at most log 100 = 4.61 nats" in text
    found = {(method, metric) for method, _, metric, *_ in findings(tmp_path, "tiny-v1")}
    assert found == {("data", "mixing_cost"), ("data", "centres_gain"), ("data", "same_neighbour")}


def test_it_needs_images_and_no_method(tmp_path, capsys):
    workspace = Workspace(data=None, cache=tmp_path, device="cpu")
    with pytest.raises(BadSetting, match="expected a matrix of images"):
        analyse("data", "toy-words-v1", workspace, 0, 10, tmp_path)
    assert main(["diagnose", "density-evaluation", "tiny-v1", "--method", "msp"]) != 0
    assert "needs no trained model: leave out --method msp" in capsys.readouterr().err
