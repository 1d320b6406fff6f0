"""Ranking metrics: equal to scikit-learn where the definitions agree, and the laws that they obey."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oodbench.errors import BadData
from oodbench.measure.ranking import Counts, at_least_95_percent, auroc, count, evaluate, ranking

# Whole numbers in a small range: ties within and between groups in almost every example.
TIED = st.lists(st.integers(-8, 8), min_size=1, max_size=40)
REAL = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=40)
GROUPS = st.one_of(st.tuples(TIED, TIED), st.tuples(REAL, REAL))


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("sizes", [(500, 500), (50, 900), (900, 50)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_scikit_learn(decimals, sizes, dtype):
    n, m = sizes
    good = np.round(rng(1).normal(0.7, 1, n), decimals).astype(dtype)
    bad = np.round(rng(2).normal(0, 1, m), decimals).astype(dtype)
    scores, truth = np.concatenate((good, bad)), np.repeat([1, 0], sizes)
    measured = ranking(good, bad)
    assert measured["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert measured["aupr_in"] == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert measured["aupr_out"] == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)
    balance = np.repeat([1 / n, 1 / m], sizes)
    in_balanced = average_precision_score(truth, scores, sample_weight=balance)
    out_balanced = average_precision_score(1 - truth, -scores, sample_weight=balance)
    assert measured["aupr_in_balanced"] == pytest.approx(in_balanced, abs=1e-12)
    assert measured["aupr_out_balanced"] == pytest.approx(out_balanced, abs=1e-12)
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    first = np.flatnonzero(tpr >= 0.95)[0]
    assert measured["fpr95"] == pytest.approx(fpr[first], abs=1e-15)
    assert measured["detection_error"] == pytest.approx((1 - tpr[first] + fpr[first]) / 2, abs=1e-15)
    assert measured["min_detection_error"] == pytest.approx(((1 - tpr + fpr) / 2).min(), abs=1e-15)
    false_alarms, flagged, _ = roc_curve(1 - truth, -scores, drop_intermediate=False)
    assert measured["fpr95_ood_positive"] == pytest.approx(false_alarms[np.flatnonzero(flagged >= 0.95)[0]], abs=1e-15)


def test_equal_to_scikit_learn_across_many_blocks_of_thresholds():
    good, bad = rng(1).normal(0.5, 1, 40_000), rng(2).normal(0, 1, 30_000)
    scores, truth = np.concatenate((good, bad)), np.repeat([1, 0], [len(good), len(bad)])
    measured = ranking(good, bad)
    assert measured["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert measured["aupr_out"] == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert measured["min_detection_error"] == pytest.approx(((1 - tpr + fpr) / 2).min(), abs=1e-15)


@given(GROUPS)
def test_the_opposite_score_has_the_opposite_auroc(groups):
    good, bad = np.array(groups[0], float), np.array(groups[1], float)
    assert ranking(-good, -bad)["auroc"] == pytest.approx(1 - ranking(good, bad)["auroc"], abs=1e-15)


@given(GROUPS)
def test_swapping_the_groups_of_the_opposite_score_swaps_in_and_out(groups):
    good, bad = np.array(groups[0], float), np.array(groups[1], float)
    one, other = ranking(good, bad), ranking(-bad, -good)
    assert one["auroc"] == other["auroc"]
    for a, b in [("fpr95", "fpr95_ood_positive"), ("aupr_in", "aupr_out"), ("aupr_in_balanced", "aupr_out_balanced")]:
        assert one[a] == pytest.approx(other[b], abs=1e-15)
        assert one[b] == pytest.approx(other[a], abs=1e-15)
    assert one["min_detection_error"] == pytest.approx(other["min_detection_error"], abs=1e-15)


@given(st.tuples(TIED, TIED))
def test_an_increasing_map_changes_nothing(groups):
    good, bad = np.array(groups[0], float), np.array(groups[1], float)
    assert ranking(np.exp(good) - 5e4, np.exp(bad) - 5e4) == ranking(good, bad)


@given(GROUPS, st.randoms())
def test_the_order_of_the_inputs_changes_nothing(groups, random):
    good, bad = list(groups[0]), list(groups[1])
    before = ranking(good, bad)
    random.shuffle(good)
    random.shuffle(bad)
    assert ranking(good, bad) == before


@given(GROUPS)
def test_every_metric_keeps_its_bounds(groups):
    measured = ranking(*groups)
    for name in measured.keys() - {"n_good", "n_bad"}:
        assert 0 <= measured[name] <= 1 + 1e-15, name
    assert measured["min_detection_error"] <= min(0.5, measured["detection_error"] + 1e-15)
    assert measured["detection_error"] <= 0.025 + 0.5 * measured["fpr95"] + 1e-15
    assert measured["aupr_in"] > 0


@given(TIED, TIED)
def test_at_equal_sizes_balanced_is_unbalanced(good, bad):
    size = min(len(good), len(bad))
    measured = ranking(good[:size], bad[:size])
    assert measured["aupr_in_balanced"] == measured["aupr_in"]
    assert measured["aupr_out_balanced"] == measured["aupr_out"]


@given(TIED, TIED, st.integers(2, 5))
def test_repeating_a_group_changes_no_balanced_metric(good, bad, times):
    once, often = ranking(good, bad), ranking(good, bad * times)
    for name in ("auroc", "fpr95", "fpr95_ood_positive", "detection_error", "aupr_in_balanced", "aupr_out_balanced"):
        assert often[name] == pytest.approx(once[name], abs=1e-14), name


@pytest.mark.parametrize("ratio", [0.5, 1, 2.6, 6])
def test_the_lowest_possible_aupr_in(ratio):
    n = 20_000
    reversed_scores = ranking(np.arange(n), np.arange(n, n + int(ratio * n)))
    assert reversed_scores["aupr_in"] == pytest.approx(1 - ratio * log(1 + 1 / ratio), abs=1e-4)
    better = ranking(np.append(np.arange(n - 1), 10 * n), np.arange(n, n + int(ratio * n)))
    assert better["aupr_in"] > reversed_scores["aupr_in"]


def test_float32_scores_are_compared_as_they_are():
    step = np.nextafter(np.float32(1), np.float32(2))
    assert ranking(np.array([step]), np.array([1], dtype=np.float32))["auroc"] == 1
    # The good score in float64 lies between two float32 numbers: it must not be rounded to the bad one.
    assert ranking(np.array([1 + 1e-9]), np.array([1], dtype=np.float32))["auroc"] == 1


def test_half_precision_and_whole_numbers_are_scores():
    assert ranking(np.array([2, 3], dtype=np.float16), np.array([1, 2], dtype=np.uint8))["auroc"] == 0.875


@pytest.mark.parametrize("scores", [np.zeros((3, 1)), np.array(["a"]), np.array([True, False]), np.array(1.0)])
def test_what_is_no_vector_of_numbers_is_refused(scores):
    with pytest.raises(BadData, match=r"bad: got .*expected a vector of real scores"):
        ranking(np.zeros(3), scores)


def test_whole_numbers_beyond_32_bits_do_not_overflow():
    # 100,000 x 100,000 pairs: their number needs 34 bits, the counts themselves are kept in 32.
    good, bad = np.arange(100_000.0) + 0.5, np.arange(100_000.0)
    counts = count(good, bad)
    assert counts.good_upto.dtype == np.int32
    assert auroc(counts) == 0.5 + 0.5 / 100_000
    wide = Counts(counts.good_upto.astype(np.int64), counts.bad_upto.astype(np.int64))
    assert evaluate(wide) == evaluate(counts)


@given(st.integers(1, 10**9))
def test_95_percent_is_the_least_whole_number_that_is_enough(n):
    k = at_least_95_percent(n)
    assert 20 * k >= 19 * n > 20 * (k - 1)
