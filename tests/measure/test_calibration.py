"""Calibration numbers against naive loops and hand-worked values."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from oodbench.errors import BadData
from oodbench.measure import calibration
from oodbench.measure.calibration import (
    ece,
    every_class,
    mad_calibration,
    oce,
    oce_share,
    predictions,
    report,
    rms_calibration,
    soft_f1,
)


def classifier(n=1234, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes)).astype(np.float32)
    labels = np.where(rng.random(n) < 0.7, logits.argmax(1), rng.integers(0, classes, n))
    return logits, labels


def naive_ece(confidence, correct, bins):
    total = 0.0
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if inside:
            gap = np.mean([correct[i] for i in inside]) - np.mean([confidence[i] for i in inside])
            total += len(inside) / len(confidence) * abs(gap)
    return total


def naive_neighbours(confidence, correct):
    order = sorted(range(len(confidence)), key=lambda i: confidence[i])
    full = max(1, len(order) // 100)
    bins = [order[100 * b : 100 * (b + 1) if b < full - 1 else len(order)] for b in range(full)]
    return [(len(b) / len(order), np.mean([correct[i] for i in b]) - np.mean([confidence[i] for i in b])) for b in bins]


@pytest.mark.parametrize("n", [40, 100, 199, 200, 1234])
def test_every_number_equals_a_naive_loop(n):
    logits, labels = classifier(n)
    p = softmax(logits.astype(np.float64), axis=1)
    confidence, correct = p.max(1), p.argmax(1) == labels
    measured = report(logits, labels)
    assert measured["accuracy"] == pytest.approx(correct.mean())
    assert measured["ece_10"] == pytest.approx(naive_ece(confidence, correct, 10))
    assert measured["ece_15"] == pytest.approx(naive_ece(confidence, correct, 15))
    bins = naive_neighbours(confidence, correct)
    assert measured["rms_calibration"] == pytest.approx(np.sqrt(sum(w * gap**2 for w, gap in bins)))
    assert measured["mad_calibration"] == pytest.approx(sum(w * abs(gap) for w, gap in bins))
    wrong = ~correct
    assert measured["soft_f1"] == pytest.approx(
        2
        * sum((1 - c) * w for c, w in zip(confidence, wrong, strict=True))
        / sum(1 - c + w for c, w in zip(confidence, wrong, strict=True))
    )
    assert measured["brier"] == pytest.approx(np.mean(((p - np.eye(7)[labels]) ** 2).sum(1)))
    assert measured["nll"] == pytest.approx(log_loss(labels, p, labels=range(7)))


def test_the_order_of_ties_has_no_part():
    """A hundred right ones before a hundred wrong ones, all sure, made 0.707 of what is 0.5 in any other order."""
    sure, right = np.ones(200), np.arange(200) < 100
    for correct in (right, ~right, np.random.default_rng(0).permutation(right)):
        assert rms_calibration(sure, correct) == pytest.approx(0.5)
        assert mad_calibration(sure, correct) == pytest.approx(0.5)


def naive_classwise(p, labels, bins=15):
    n, classes = p.shape
    total = 0.0
    for k in range(classes):
        for b in range(bins):
            inside = [i for i in range(n) if (b / bins < p[i, k] or b == 0) and p[i, k] <= (b + 1) / bins]
            if inside:
                gap = np.mean([labels[i] == k for i in inside]) - np.mean([p[i, k] for i in inside])
                total += len(inside) / n * abs(gap) / classes
    return total


def naive_ib_inn(p, labels):
    edges = [*np.linspace(-1e-6, 0.05, 5), *np.linspace(0.05, 0.95, 10)[1:-1], *(1 - np.linspace(0.05, -1e-6, 5))]
    assert len(edges) == 18
    pairs = [(p[i, k], labels[i] == k) for i in range(len(p)) for k in range(p.shape[1])]
    points = []
    for lo, hi in pairwise(edges):
        hits = [hit for value, hit in pairs if lo <= value < hi]
        if len(hits) > 20:
            points.append(((lo + hi) / 2, abs((lo + hi) / 2 - np.mean(hits)), len(hits)))
    gaps = [gap for _, gap, _ in points]
    ice = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    return np.average(gaps, weights=[size for *_, size in points]), max(gaps), ice


@pytest.mark.parametrize(("n", "rows"), [(150, 4096), (150, 64)])
def test_numbers_of_every_class_equal_naive_loops(n, rows, monkeypatch):
    monkeypatch.setattr(calibration, "_ROWS", rows)
    logits, labels = classifier(n)
    p = softmax(logits.astype(np.float64), axis=1)
    found = every_class(logits, labels)
    assert found["classwise_ece"] == pytest.approx(naive_classwise(p, labels))
    assert [found[f"ib_inn_{name}"] for name in ("ece", "mce", "ice")] == pytest.approx(naive_ib_inn(p, labels))


def test_classwise_ece_by_hand():
    """Two inputs at (0.6, 0.4), of class 0 and 1: the share of each class is 1/2, 0.1 off its probability."""
    logits = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert every_class(logits, np.array([0, 1]))["classwise_ece"] == pytest.approx(0.1)
    assert every_class(logits, np.array([0, 0]))["classwise_ece"] == pytest.approx(0.4)
    far = np.array([[1e4, 0.0], [0.0, 1e4]])  # probabilities of exactly 0 and 1 have bins, too
    assert every_class(far, np.array([0, 1]))["classwise_ece"] == 0
    assert every_class(far, np.array([1, 0]))["classwise_ece"] == 1


def test_ib_inn_leaves_out_bins_of_few_pairs():
    logits = np.log([[0.6, 0.4]])
    few = every_class(np.repeat(logits, 20, axis=0), np.zeros(20, int))
    assert [few[f"ib_inn_{name}"] for name in ("ece", "mce", "ice")] == [None] * 3
    many = every_class(np.repeat(logits, 21, axis=0), np.zeros(21, int))
    assert [many[f"ib_inn_{name}"] for name in ("ece", "mce", "ice")] == pytest.approx([0.4, 0.4, 0.2 * 0.4])


def test_bins_are_open_below_and_closed_above():
    # 0.1 falls in (0, 0.1], so the two inputs are in two bins, whose gaps do not cancel.
    confidence, correct = np.array([0.1, 0.15]), np.array([True, False])
    assert ece(confidence, correct, 10) == pytest.approx((0.9 + 0.15) / 2)
    # 0.15 and 0.2 share the bin (0.1, 0.2].
    assert ece(np.array([0.15, 0.2]), correct, 10) == pytest.approx((0.85 - 0.2) / 2)
    assert ece(np.array([1.0]), np.array([True]), 10) == 0


def test_the_most_confident_bin_counts():
    confidence = np.repeat([0.5, 0.9], 100)
    correct = np.concatenate((np.arange(100) < 50, np.zeros(100, bool)))
    assert rms_calibration(confidence, correct) == pytest.approx(np.sqrt(0.5 * 0.9**2))
    assert mad_calibration(confidence, correct) == pytest.approx(0.45)


def test_oce_by_hand():
    confidence = np.array([0.997, 0.999, 0.9969, 0.5])
    assert oce(confidence, np.array([True, False, False, False])) == pytest.approx(0.5 / 0.003)
    assert oce(confidence, np.array([True, True, False, False])) == 0
    assert oce(confidence[2:], np.array([False, False])) is None


def test_the_share_that_oce_is_about_by_hand():
    assert oce_share(np.array([0.997, 0.999, 0.9969, 0.5, 1.0])) == pytest.approx(0.6)
    assert oce_share(np.array([0.5])) == 0


def test_smoothed_labels_leave_oce_nothing_to_be_about():
    """The minimiser of cross-entropy with labels smoothed by 0.02 over 10 classes is the smoothed label, 0.982."""
    logits = np.log(np.where(np.eye(10) == 1, 0.982, 0.002))
    found = report(logits, np.arange(10))
    assert (found["accuracy"], found["oce"], found["oce_share"]) == (1.0, None, 0.0)


def test_soft_f1_by_hand():
    assert soft_f1(np.array([0.0, 1.0]), np.array([False, True])) == 1
    assert soft_f1(np.array([0.6, 0.8]), np.array([False, True])) == pytest.approx(2 * 0.4 / 1.6)
    assert soft_f1(np.array([1.0]), np.array([True])) is None


def test_large_logits_neither_overflow_nor_lose_the_truth():
    seen = predictions(np.array([[1e4, 0.0], [1e4, 0.0]]), np.array([0, 1]))
    np.testing.assert_array_equal(seen.confidence, [1, 1])
    np.testing.assert_array_equal(seen.nll, [0, 1e4])
    np.testing.assert_array_equal(seen.brier, [0, 2])


def test_many_rows_are_seen_in_parts():
    logits, labels = classifier(2 * calibration._ROWS + 3)
    expected = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    np.testing.assert_allclose(predictions(logits, labels).nll, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), r"logits \[3, 2\] and labels \[2\]"),
        (np.zeros((0, 2)), np.zeros(0, int), r"logits \[0, 2\]"),
        (np.zeros((2, 2)), np.array([0, 2]), r"label 2 at index 1 is out of range, expected 0 to 1"),
        (np.zeros((2, 2)), np.array([-1, 0]), r"label -1 at index 0"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), r"labels of float64, expected whole numbers"),
        (np.array([[0, 0], [0, np.nan]]), np.array([0, 1]), r"1 of 2 rows of logits are not finite.*index 1"),
    ],
)
def test_bad_input_is_named(logits, labels, message):
    with pytest.raises(BadData, match=message):
        report(logits, labels)
