"""Resamples of the inputs: the vectorised metric against a naive loop."""

import numpy as np
import pytest

from oodbench.errors import UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.resamples import _accepted, _auroc, _cumulated, _remeasured, _threshold_95, _weights, drawn_mean


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 5), (19, 20), (400, 90)])
def test_weighted_resamples_equal_a_naive_loop(n, m, decimals):
    rng = np.random.default_rng(n)
    cell = Cell("ood", "x", np.round(rng.normal(1, 1, n), decimals), np.round(rng.normal(0, 1, m), decimals))
    of_good, of_bad = _weights(rng, n, 60), _weights(rng, m, 60)
    assert (of_good.sum(axis=0) == n).all()
    again = [ranking(np.repeat(cell.good, of_good[:, r]), np.repeat(cell.bad, of_bad[:, r])) for r in range(60)]
    fast = _accepted(cell.bad, of_bad, _threshold_95(cell.good, of_good))
    np.testing.assert_array_equal(fast, [measured["fpr95"] for measured in again])
    swift = _auroc(cell.bad, of_bad, _cumulated(cell.good, of_good))
    np.testing.assert_allclose(swift, [measured["auroc"] for measured in again], atol=1e-14)
    for metric in ("fpr95", "aupr_in", "auroc"):
        slow = _remeasured(cell, of_good, of_bad, metric)
        np.testing.assert_allclose(slow, [measured[metric] for measured in again], atol=1e-14)


def test_an_unlucky_resample_still_finds_its_threshold():
    """All draws fall on the best input: the threshold is far above the few lowest that are looked at first."""
    good = np.arange(100.0)
    weights = np.zeros((100, 2), dtype=np.int32)
    weights[99, 0], weights[40:60, 1] = 100, 5
    np.testing.assert_array_equal(_threshold_95(good, weights), [99, 41])


@pytest.mark.parametrize("metric", ["fpr95", "auroc"])
def test_sets_that_share_their_good_inputs_are_drawn_as_each_by_itself(metric):
    """Good scores are prepared once for all sets of the same array, and not for those of another."""
    rng = np.random.default_rng(1)
    good, other = rng.normal(1, 1, 50), rng.normal(2, 1, 50)
    cells = [
        Cell("ood", name, scores, rng.normal(0, 1, 20)) for name, scores in (("x", good), ("y", good), ("z", other))
    ]
    apart = [drawn_mean([Cell("ood", one.name, one.good.copy(), one.bad)], metric) for one in cells]
    np.testing.assert_allclose(drawn_mean(cells, metric), np.mean(apart, axis=0), atol=1e-14)


def test_all_inputs_count_where_there_are_many():
    """The sums over inputs and over pairs do not fit into the integers that counts are kept in."""
    for n in (20_000, 50_000):  # counts of 16 bits and of 32
        weights = _weights(np.random.default_rng(0), n, 1)
        alike = np.arange(n) % 5.0
        assert _auroc(alike, weights, _cumulated(alike, weights)) == pytest.approx([0.5], abs=0.02)


def test_an_unknown_metric_offers_the_nearest():
    cell = Cell("ood", "x", np.arange(3.0), np.arange(3.0))
    with pytest.raises(UnknownName, match="did you mean 'aupr_in'"):
        drawn_mean([cell], "aupr-in")
