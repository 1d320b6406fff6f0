"""DeLong, the bootstrap and Holm: against naive loops, hand-worked values, and simulated data."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from oodbench.errors import BadData, UnknownName
from oodbench.measure.intervals import (
    _fpr95_drawn,
    bootstrap,
    delong,
    delong_df,
    delong_test,
    delong_variance,
    fpr95_interval,
    holm,
    p_value,
    placements,
)
from oodbench.measure.ranking import RANKING, auroc, count, ranking

SCORES = st.lists(st.integers(-5, 5), min_size=2, max_size=25)


def naive_placements(good, bad):
    """O(n m): how each good input does against the bad ones, and how each bad one does against the good."""
    wins = np.array([[1.0 if g > b else 0.5 if g == b else 0.0 for b in bad] for g in good])
    return wins.mean(axis=1), wins.mean(axis=0)


def naive_variance(good, bad):
    v10, v01 = naive_placements(good, bad)
    return np.var(v10, ddof=1) / len(good) + np.var(v01, ddof=1) / len(bad)


@given(SCORES, SCORES)
def test_delong_variance_is_that_of_the_placements(good, bad):
    assert delong_variance(count(good, bad)) == pytest.approx(naive_variance(good, bad), abs=1e-14)


@given(SCORES, SCORES)
def test_placements_are_shares_of_pairs(good, bad):
    for fast, naive in zip(placements(good, bad), naive_placements(good, bad), strict=True):
        np.testing.assert_allclose(fast, naive, atol=1e-15)


def naive_df(good, bad):
    """Welch and Satterthwaite, with each group's fourth moment; see `delong_df`."""
    v10, v01 = naive_placements(good, bad)
    area, v, of_v = v10.mean(), naive_variance(good, bad), 0.0
    for group in (v10, v01):
        n, s2, m4 = len(group), group.var(ddof=1), ((group - group.mean()) ** 4).mean()
        of_v += (m4 - s2**2 * (n - 3) / (n - 1)) / n / n**2
    relative = of_v / v**2 - v / (2 * area * (1 - area)) ** 2
    return max(1, 1 / relative) if relative > 0 else np.inf


@pytest.mark.parametrize(("shift", "n", "m"), [(1, 80, 70), (3, 90, 25), (-2, 12, 40), (0.1, 30, 30)])
def test_delong_interval_is_students_on_the_logit_scale(shift, n, m):
    rng = np.random.default_rng(n)
    good, bad = rng.normal(shift, 1, n), rng.normal(0, 1, m)
    counts = count(good, bad)
    area, df = auroc(counts), naive_df(good, bad)
    assert delong_df(counts) == pytest.approx(df, rel=1e-9)
    reach = stats.t.ppf(0.95, df) * naive_variance(good, bad) ** 0.5 / (area * (1 - area))
    expected = [1 / (1 + np.exp(-np.log(area / (1 - area)) + side * reach)) for side in (1, -1)]
    assert delong(counts, level=0.9) == pytest.approx(tuple(expected), rel=1e-9)


@given(SCORES, SCORES)
def test_delong_interval_holds_the_estimate_stays_in_0_to_1_and_mirrors(good, bad):
    counts = count(good, bad)
    low, high = delong(counts)
    assert 0 <= low <= auroc(counts) + 1e-12
    assert auroc(counts) - 1e-12 <= high <= 1
    assert delong(count(bad, good)) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_delong_interval_without_overlap_is_that_of_pairs_which_all_agree():
    low, high = delong(count(np.arange(10, 40), np.arange(10)))
    exact = stats.binomtest(10, 10).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))
    assert delong(count(np.arange(10), np.arange(10, 40))) == pytest.approx((1 - exact.high, 1 - exact.low))
    assert delong(count([1.0], [0.0]))[0] == pytest.approx(0.025)


def test_delong_interval_where_one_input_stands_for_a_group():
    assert delong(count([1.0], [0.0, 2.0, 3.0])) == (0.0, 1.0)


def test_delong_interval_of_a_constant_is_a_point():
    assert delong(count([1.0] * 5, [1.0] * 7)) == (0.5, 0.5)


def coverage(interval, truth, seeds=300, n=120, m=100):
    hits = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        low, high = interval(count(rng.normal(1, 1, n), rng.normal(0, 1, m)), seed)
        hits += low <= truth <= high
    return hits / seeds


def test_delong_interval_covers():
    truth = stats.norm.cdf(1 / np.sqrt(2))
    assert 0.92 <= coverage(lambda counts, _: delong(counts), truth) <= 0.98


def test_bootstrap_interval_of_auroc_covers():
    truth = stats.norm.cdf(1 / np.sqrt(2))
    covered = coverage(lambda counts, seed: bootstrap(counts, "auroc", 100, seed), truth, seeds=150)
    assert 0.90 <= covered <= 0.99


def test_bootstrap_interval_of_fpr95_covers():
    truth = stats.norm.sf(stats.norm.ppf(0.05, loc=1))
    covered = coverage(lambda counts, seed: bootstrap(counts, "fpr95", 400, seed), truth, n=1000, m=1000)
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize(
    ("truth", "n", "m"), [(0.5, 1000, 300), (0.02, 582, 40), (0.005, 1000, 300), (0.001, 1000, 300)]
)
def test_the_interval_of_fpr95_covers_where_hardly_any_bad_input_is_accepted(truth: float, n: int, m: int) -> None:
    """Of resampled bad inputs, of which none is above the threshold, none ever is: 29 % at a truth of 0.001."""
    rng, hits = np.random.default_rng(0), 0
    far = stats.norm.ppf(0.95) + stats.norm.isf(truth)
    for seed in range(200):
        low, high = fpr95_interval(count(rng.normal(far, 1, n), rng.normal(0, 1, m)), seed=seed)
        hits += low <= truth <= high
    assert hits >= 186


def test_no_interval_of_fpr95_is_without_width() -> None:
    """Clopper and Pearson's ends for none, and for all, of three."""
    good = np.arange(50.0, 100)
    assert fpr95_interval(count(good, np.arange(3.0)), 20_000) == pytest.approx((0, 0.7076), abs=0.01)
    assert fpr95_interval(count(good, 200 + np.arange(3.0)), 20_000) == pytest.approx((0.2924, 1), abs=0.01)


def test_fpr95_bootstrap_draws_from_the_distribution_of_all_resamples():
    """Four good and three bad inputs have 4^4 x 3^3 resamples: each counts once."""
    good, bad = [1.0, 2.0, 2.0, 4.0], [0.0, 2.0, 3.0]
    outcomes = [ranking(g, b)["fpr95"] for g in product(good, repeat=len(good)) for b in product(bad, repeat=len(bad))]
    for level in (0.2, 0.5, 0.8, 0.9):
        expected = np.quantile(outcomes, [(1 - level) / 2, (1 + level) / 2])
        drawn = bootstrap(count(good, bad), "fpr95", resamples=20_000, seed=3, level=level)
        assert drawn == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("n", [10, 57, 400])
def test_fpr95_bootstrap_equals_resampling_in_distribution(n):
    rng = np.random.default_rng(n)
    good, bad = np.round(rng.normal(1, 1, n), 2), np.round(rng.normal(0, 1, 80), 2)
    naive = [ranking(rng.choice(good, n), rng.choice(bad, 80))["fpr95"] for _ in range(2000)]
    for level in (0.5, 0.95):
        expected = np.quantile(naive, [(1 - level) / 2, (1 + level) / 2])
        assert bootstrap(count(good, bad), "fpr95", 20_000, 1, level) == pytest.approx(tuple(expected), abs=0.025)


def brute_fpr95(good, bad, resamples, rng):
    """Draw the resamples themselves, and judge each by the definition: t the largest score with TPR >= 0.95."""
    values = []
    for _ in range(resamples // 1000):
        g, b = rng.choice(good, (1000, len(good))), rng.choice(bad, (1000, len(bad)))
        accepted = (g[:, None, :] >= g[:, :, None]).sum(axis=2)
        t = np.where(20 * accepted >= 19 * len(good), g, -np.inf).max(axis=1)
        values.append((b >= t[:, None]).mean(axis=1))
    return np.concatenate(values)


def largest_gap(a, b):
    """Kolmogorov's distance between two samples."""
    at = np.union1d(a, b)
    shares = [np.searchsorted(np.sort(values), at, "right") / len(values) for values in (a, b)]
    return np.abs(shares[0] - shares[1]).max()


@pytest.mark.parametrize("digits", [6, 0], ids=["distinct", "tied"])
@pytest.mark.parametrize("n", [19, 20, 21, 40])
def test_fpr95_bootstrap_has_the_distribution_of_brute_force_resamples(n, digits):
    """One lost input more or less, at 20: Beta(2, 20), Beta(3, 19) and a place one off lie beyond the bound.

    Two samples of 50,000 from one distribution are less than 0.0124 apart in 99.9 % of the cases.
    """
    rng = np.random.default_rng(n)
    good, bad = np.round(rng.normal(1, 1, n), digits), np.round(rng.normal(0, 1, 100), digits)
    drawn = _fpr95_drawn(count(good, bad), 50_000, rng)
    assert largest_gap(drawn, brute_fpr95(good, bad, 50_000, rng)) < 0.0124


@pytest.mark.parametrize("metric", RANKING)
def test_bootstrap_of_any_metric_equals_resampling_in_distribution(metric):
    rng = np.random.default_rng(7)
    good, bad = np.round(rng.normal(1, 1, 60), 1), np.round(rng.normal(0, 1, 40), 1)
    naive = [ranking(rng.choice(good, 60), rng.choice(bad, 40))[metric] for _ in range(600)]
    expected = np.quantile(naive, [0.25, 0.75])
    assert bootstrap(count(good, bad), metric, 600, 1, level=0.5) == pytest.approx(tuple(expected), abs=0.03)


def test_bootstrap_is_seeded():
    counts = count(np.random.default_rng(0).normal(1, 1, 300), np.random.default_rng(1).normal(0, 1, 300))
    assert bootstrap(counts, "fpr95", seed=4) == bootstrap(counts, "fpr95", seed=4)
    assert bootstrap(counts, "fpr95", seed=4) != bootstrap(counts, "fpr95", seed=5)


def test_bootstrap_of_an_unknown_metric_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'fpr95'"):
        bootstrap(count([1.0], [0.0]), "fpr_95")


def correlated(seed, noise=0.7, n=90, m=110):
    rng = np.random.default_rng(seed)
    good, bad = rng.normal(1, 1, n), rng.normal(0, 1, m)
    again = rng.normal(0, noise, n + m)
    return (good, bad), (good + again[:n], bad + again[n:])


def test_paired_delong_is_the_variance_of_the_paired_placements():
    (good_a, bad_a), (good_b, bad_b) = correlated(0)
    difference = delong_test((good_a, bad_a), (good_b, bad_b))
    v10 = naive_placements(good_a, bad_a)[0] - naive_placements(good_b, bad_b)[0]
    v01 = naive_placements(good_a, bad_a)[1] - naive_placements(good_b, bad_b)[1]
    z = v10.mean() / np.sqrt(np.var(v10, ddof=1) / len(v10) + np.var(v01, ddof=1) / len(v01))
    assert difference.value == pytest.approx(v10.mean(), abs=1e-15)
    assert difference.p == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_paired_delong_holds_its_level_and_sees_a_difference():
    def same_skill(seed):
        rng = np.random.default_rng(seed)
        shared, noise = rng.normal(0, 1, 200), rng.normal(0, 0.7, (2, 200))
        shared[:100] += 1
        return tuple((scores[:100], scores[100:]) for scores in shared + noise)

    false_alarms = np.mean([delong_test(*same_skill(seed)).p < 0.05 for seed in range(400)])
    assert 0.02 <= false_alarms <= 0.08
    assert np.mean([delong_test(*correlated(seed, noise=2.0)).p < 0.05 for seed in range(50)]) > 0.8


def test_paired_delong_of_equal_and_of_opposite_scores():
    good, bad = np.arange(5, 15.0), np.arange(5.0)
    assert delong_test((good, bad), (2 * good, 2 * bad)) == (0.0, 1.0)
    # No variance is left: ten inputs agree, which chance does with 2 / 2^5 by the five of the smaller group.
    assert delong_test((good, bad), (-good, -bad)) == (1.0, 2 / 2**5)
    assert delong_test(([1.0], [0.0]), ([0.0], [1.0])) == (1.0, 1.0)


def test_paired_delong_needs_the_same_inputs():
    with pytest.raises(BadData, match="2 good, 1 bad against 3, 1"):
        delong_test(([1, 2], [0]), ([1, 2, 3], [0]))


def test_p_value_of_t_and_of_normal():
    assert p_value(1.96, 1.0, 100) == pytest.approx(0.05, abs=1e-4)
    assert p_value(-2.776, 1.0, 100, df=4) == pytest.approx(0.05, abs=1e-4)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; none may fall below the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))
    assert holm([0.9, 0.6]) == (1.0, 1.0)
    assert holm([0.2]) == (0.2,)
    assert holm([]) == ()
