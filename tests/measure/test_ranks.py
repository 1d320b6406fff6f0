"""Shared ranks: the vectorised resamples against a naive loop, false alarms under the null, and what shares a rank."""

import numpy as np
import pytest

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.ranks import _accepted, _remeasured, _threshold_95, _variance, _weights, shared_ranks


def world(seed, skills, seeds=1, sets=2, n=300, m=150, own=0.7, between_seeds=0.0):
    """Return cells of methods that score the same inputs: a shared part, an own part, and a shift by skill and seed."""
    rng = np.random.default_rng(seed)
    good, bad = rng.normal(1, 1, n), rng.normal(0, 1, (sets, m))
    return {
        method: {run: _cells(rng, good + skill + rng.normal(0, between_seeds), bad, own) for run in range(seeds)}
        for method, skill in skills.items()
    }


def _cells(rng, good, bad, own):
    judged = good + rng.normal(0, own, len(good))
    return {f"set{i}": Cell("ood", f"set{i}", judged, b + rng.normal(0, own, len(b))) for i, b in enumerate(bad)}


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


def test_clearly_different_methods_get_their_own_ranks_and_equal_ones_share():
    rows = shared_ranks(world(0, {"worst": -1.0, "twin-a": 1.0, "twin-b": 1.0, "best": 3.0}, n=2000, m=1000))
    assert rows[0].method == "best"
    assert [row.rank for row in rows] == [1, 2, 2, 4]
    assert rows[0].p is None
    assert rows[0].p_holm is None
    assert [row.mean for row in rows] == sorted(row.mean for row in rows)


def test_a_long_row_of_small_steps_is_not_one_rank():
    """No step is significant, but the last is far from the first: ties are with the first row of the rank too."""
    rows = shared_ranks(world(4, {f"m{i:02}": i / 12 for i in range(12)}, n=400, m=250))
    assert all(row.p_holm > 0.05 for row in rows[1:])
    assert rows[0].rank == 1
    assert rows[-1].rank > 1
    first = {row.rank: row for row in reversed(rows)}
    assert all(row.rank == place + 1 for place, row in enumerate(rows) if first[row.rank] is row)


def test_the_means_are_over_sets_and_seeds():
    results = world(1, {"a": 0.0, "b": 1.0}, seeds=3)
    rows = {row.method: row for row in shared_ranks(results)}
    expected = [ranking(c.good, c.bad)["fpr95"] for cells in results["a"].values() for c in cells.values()]
    assert rows["a"].mean == pytest.approx(np.mean(expected), abs=1e-15)


def test_a_metric_that_is_better_when_higher_is_ranked_downwards():
    rows = shared_ranks(world(0, {"worse": 0.0, "better": 2.0}, n=100, m=80), metric="auroc", resamples=100)
    assert [row.method for row in rows] == ["better", "worse"]
    assert [row.rank for row in rows] == [1, 2]


@pytest.mark.parametrize("metric", ["fpr95", "auroc"])
def test_pairing_tells_apart_what_separate_inputs_cannot(metric):
    """Two methods that agree on almost all inputs: the difference is small, but so is its variance."""
    paired = world(2, {"a": 0.0, "b": 0.08}, n=800, m=800, own=0.01)
    rng = np.random.default_rng(0)
    cells = {s: Cell("ood", s, rng.permutation(c.good), rng.permutation(c.bad)) for s, c in paired["b"][0].items()}
    apart = {"a": paired["a"], "b": {0: cells}}
    p_paired, p_apart = (shared_ranks(w, metric, resamples=100)[1].p for w in (paired, apart))
    assert p_paired < 0.01 < 0.1 < p_apart


@pytest.mark.parametrize(("seeds", "between_seeds"), [(1, 0.0), (3, 0.1), (5, 0.5)])
def test_equal_methods_are_seldom_told_apart(seeds, between_seeds):
    alarms = [
        shared_ranks(world(s, {"a": 0.0, "b": 0.0}, seeds, between_seeds=between_seeds), resamples=100)[1].p < 0.05
        for s in range(150)
    ]
    assert np.mean(alarms) <= 0.09


def test_a_difference_is_found_over_inputs_and_seeds():
    skills = {"a": 0.0, "b": 0.5}
    found = [shared_ranks(world(s, skills, 5, between_seeds=0.1), resamples=60)[1].p < 0.05 for s in range(30)]
    assert np.mean(found) > 0.8


@pytest.mark.parametrize(("of_input", "of_seed", "of_both"), [(1, 0.2, 0), (1, 0.2, 2), (0, 0.2, 3)])
def test_the_variance_of_crossed_inputs_and_seeds_counts_each_part_once(of_input, of_seed, of_both):
    """Differences that are means of input effects, seed effects and their interaction, of known variances."""
    rng, n, seeds, resamples = np.random.default_rng(0), 50, 5, 60
    estimates = []
    for _ in range(300):
        effects = rng.normal(0, of_input, n) + rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, of_both, (seeds, n))
        estimates.append(_variance(effects.mean(axis=1), effects @ _weights(rng, n, resamples) / n)[0])
    true = of_input**2 / n + of_seed**2 / seeds + of_both**2 / (n * seeds)
    assert np.mean(estimates) == pytest.approx(true, rel=0.25)


def test_degrees_of_freedom_are_those_of_the_larger_part():
    rng = np.random.default_rng(0)
    inputs_alone = rng.normal(0, 1, (1, 4000)) + np.zeros((4, 1))
    assert _variance(np.zeros(4), inputs_alone) == (pytest.approx(1, rel=0.1), np.inf)
    assert _variance(np.array([0.0, 1, 2, 3]), np.zeros((4, 10))) == (pytest.approx(5 / 12), pytest.approx(3))


def test_seeds_that_disagree_widen_the_difference():
    """With five trainings each, one lucky pair of trainings does not make a rank."""
    alarms = [
        shared_ranks(world(s, {"a": 0.0, "b": 0.0}, 5, n=2000, m=1000, between_seeds=0.5), resamples=60)[1].p < 0.05
        for s in range(30)
    ]
    alone = [
        shared_ranks(world(s, {"a": 0.0, "b": 0.0}, 1, n=2000, m=1000, between_seeds=0.5), resamples=60)[1].p < 0.05
        for s in range(30)
    ]
    assert np.mean(alarms) < 0.2 < np.mean(alone)


def test_identical_scores_share_a_rank():
    results = world(0, {"a": 0.0}, seeds=2)
    rows = shared_ranks({"b": results["a"], "a": results["a"]})
    assert [(row.method, row.rank, row.p) for row in rows] == [("a", 1, None), ("b", 1, 1.0)]


def test_perfect_against_hopeless_is_certain_only_with_enough_inputs():
    def sure(n):
        good, bad = np.arange(n) + 100.0, np.arange(n) + 0.0
        cells = {"yes": Cell("ood", "x", good, bad), "no": Cell("ood", "x", bad, good)}
        return [row.rank for row in shared_ranks({method: {0: {"x": cell}} for method, cell in cells.items()})]

    assert sure(2) == [1, 1]
    assert sure(20) == [1, 2]


def test_methods_without_a_common_seed_are_not_told_apart():
    results = world(0, {"a": 0.0, "b": 3.0})
    rows = shared_ranks({"a": {0: results["a"][0]}, "b": {1: results["b"][0]}})
    assert [(row.rank, row.p) for row in rows] == [(1, None), (1, 1.0)]


def test_the_same_seed_gives_the_same_ranks():
    results = world(0, {"a": 0.0, "b": 0.1}, seeds=3)
    assert shared_ranks(results, seed=1) == shared_ranks(results, seed=1)
    assert shared_ranks(results, seed=1)[1].p != shared_ranks(results, seed=2)[1].p


def test_a_missing_set_is_named():
    results = world(0, {"a": 0.0, "b": 0.0})
    del results["b"][0]["set1"]
    with pytest.raises(BadData, match=r"b, seed 0: no scores of set1"):
        shared_ranks(results)
    with pytest.raises(BadData, match=r"c: no seed"):
        shared_ranks({"a": results["a"], "c": {}})


def test_an_unknown_metric_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'aupr_in'"):
        shared_ranks(world(0, {"a": 0.0}), metric="aupr-in")


def test_nothing_to_rank_is_no_error():
    assert shared_ranks({}) == ()
