"""The variance of a paired difference over inputs and training runs: against simulated truth and plain resampling."""

import numpy as np
import pytest
from scipy import stats

from oodbench.errors import UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import delong_variance
from oodbench.measure.paired import resampled_mean, variance
from oodbench.measure.ranking import count
from oodbench.measure.resamples import drawn_mean


def cell(seed, n=300, m=200, shift=1.0, name="glyphs"):
    rng = np.random.default_rng(seed)
    return Cell("ood", name, rng.normal(shift, 1, n), rng.normal(0, 1, m))


def test_without_inputs_it_is_that_of_a_paired_t_test():
    each = np.array([1.0, 2.5, 0.5, 1.5])
    assert variance(each, None) == pytest.approx((each.var(ddof=1) / 4, 3))


def crossed(rng, of_inputs, of_seeds, of_both, seeds=5, n=400):
    """A table of differences [seeds, inputs] whose true mean is 0."""
    return (
        of_inputs * rng.normal(size=(1, n))
        + of_seeds * rng.normal(size=(seeds, 1))
        + of_both * rng.normal(size=(seeds, n))
    )


@pytest.mark.parametrize(
    ("of_inputs", "of_seeds", "of_both"), [(1.0, 0.0, 1.0), (1.0, 0.05, 1.0), (1.0, 0.2, 0.5), (0.1, 0.2, 0.1)]
)
def test_the_interval_covers_whatever_varies(of_inputs, of_seeds, of_both):
    """400 tables: the standard error of a coverage of 95 % is 1.1 %."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        table = crossed(rng, of_inputs, of_seeds, of_both)
        weights = rng.multinomial(table.shape[1], np.full(table.shape[1], 1 / table.shape[1]), size=200).T
        value, df = variance(table.mean(axis=1), table @ weights / table.shape[1])
        hits += abs(table.mean()) <= stats.t.ppf(0.975, df) * value**0.5
    assert hits / 400 >= 0.92


def test_seeds_alone_would_miss_what_all_seeds_share():
    rng, hits = np.random.default_rng(1), 0
    for _ in range(300):
        table = crossed(rng, 1.0, 0.0, 0.3)
        value, df = variance(table.mean(axis=1), None)
        hits += abs(table.mean()) <= stats.t.ppf(0.975, df) * value**0.5
    assert hits / 300 < 0.6


def test_auroc_varies_over_resamples_as_delong_says():
    one = cell(0)
    drawn = drawn_mean([one], "auroc")
    assert drawn.var(ddof=1) == pytest.approx(delong_variance(count(one.good, one.bad)), rel=0.25)


def test_rows_are_judged_on_the_same_inputs():
    """A row and a copy of it with a little noise: the difference varies far less than either."""
    one = cell(3)
    other = Cell("ood", "glyphs", one.good + 0.01, one.bad - 0.01)
    assert np.std(drawn_mean([one], "auroc") - drawn_mean([other], "auroc")) < 0.1 * np.std(drawn_mean([one], "auroc"))


def test_of_metrics_that_nobody_knows_the_nearest_is_told():
    with pytest.raises(UnknownName, match="did you mean 'fpr95'"):
        drawn_mean([cell(4)], "fpr_95")


def test_a_mean_and_a_metric_are_of_the_same_drawn_inputs():
    """With one bad input below half of the good ones, AUROC is the share of good inputs above it."""
    good = np.arange(100.0)
    one = Cell("ood", "glyphs", good, np.array([49.5]))
    np.testing.assert_allclose(drawn_mean([one], "auroc"), resampled_mean(good > 49.5, "good"))


def test_a_mean_is_resampled_with_its_standard_error():
    right = np.arange(1000) % 10 > 0
    drawn = resampled_mean(right, "good")
    assert drawn.mean() == pytest.approx(0.9, abs=0.003)
    assert drawn.std() == pytest.approx((0.9 * 0.1 / 1000) ** 0.5, rel=0.15)
