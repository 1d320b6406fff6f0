"""Resamples of the inputs: the vectorised metric against a naive loop."""

import numpy as np
import pytest

from oodbench.errors import UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.resamples import _accepted, _remeasured, _threshold_95, _weights, drawn_mean


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
    for metric in ("fpr95", "aupr_in", "auroc"):
        slow = _remeasured(cell, of_good, of_bad, metric)
        np.testing.assert_allclose(slow, [measured[metric] for measured in again], atol=1e-14)


def test_an_unlucky_resample_still_finds_its_threshold():
    """All draws fall on the best input: the threshold is far above the few lowest that are looked at first."""
    good = np.arange(100.0)
    weights = np.zeros((100, 2), dtype=np.int32)
    weights[99, 0], weights[40:60, 1] = 100, 5
    np.testing.assert_array_equal(_threshold_95(good, weights), [99, 41])


def test_an_unknown_metric_offers_the_nearest():
    cell = Cell("ood", "x", np.arange(3.0), np.arange(3.0))
    with pytest.raises(UnknownName, match="did you mean 'aupr_in'"):
        drawn_mean([cell], "aupr-in")
