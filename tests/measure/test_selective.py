"""Selective prediction against brute force, worked values, and the numbers of two public libraries."""

from fractions import Fraction
from itertools import pairwise, permutations
from math import log

import numpy as np
import pytest

from oodbench.errors import BadData
from oodbench.measure.cells import Cell, measure
from oodbench.measure.kinds import KINDS
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import auroc, count
from oodbench.measure.selective import (
    SELECTIVE,
    augrc,
    aurc,
    coverage_at_risk_5,
    e_aurc,
    risk_coverage,
    selective,
)


def over_all_orders(good, bad):
    """Return AURC and AUGRC as means over every order that the scores allow, in exact fractions."""
    inputs = [(s, 0) for s in good] + [(s, 1) for s in bad]
    n, areas, generalised, orders = len(inputs), Fraction(0), Fraction(0), 0
    for order in permutations(range(n)):
        scores = [inputs[i][0] for i in order]
        if any(a < b for a, b in pairwise(scores)):
            continue
        wrong = np.cumsum([0] + [inputs[i][1] for i in order]).tolist()
        areas += sum(Fraction(wrong[k], k) for k in range(1, n + 1)) / n
        generalised += sum(Fraction(wrong[k] + wrong[k + 1], 2 * n) for k in range(n)) / n
        orders += 1
    return float(areas / orders), float(generalised / orders)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ([3, 2, 1], [0, 2]),
        ([1, 1, 1], [1, 1]),
        ([0, 1], [2, 3, 3, 1]),
        ([5, 4, 4], [4, 3, 0]),
        ([0], [1]),
        ([1], [0]),
        ([2, 2, 7], [2, 7, 7]),
    ],
)
def test_areas_are_means_over_the_orders_of_ties(good, bad):
    expected = over_all_orders(good, bad)
    assert (aurc(count(good, bad)), augrc(count(good, bad))) == pytest.approx(expected, rel=1e-14)


def test_equal_scores_are_accepted_together():
    coverage, risk = risk_coverage(count([2.0, 1], [1.0, 0]))
    np.testing.assert_allclose(coverage, [0.25, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 3, 1 / 2])


def loop(good, bad):
    """Return the curve and coverage at 5 % risk by one pass over all inputs for each threshold, in float64."""
    points, best = [], 0.0
    for t in sorted({*good, *bad}, reverse=True):
        right, wrong = sum(s >= t for s in good), sum(s >= t for s in bad)
        points.append(((right + wrong) / (len(good) + len(bad)), wrong / (right + wrong)))
        if Fraction(int(wrong), int(right + wrong)) <= Fraction(1, 20):
            best = points[-1][0]
    return points, best


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_curve_and_the_coverage_equal_a_loop(decimals):
    rng = np.random.default_rng(decimals)
    good, bad = np.round(rng.normal(1, 1, 150), decimals), np.round(rng.normal(-1.5, 1, 30), decimals)
    counts = count(good, bad)
    points, best = loop(good, bad)
    np.testing.assert_allclose(np.transpose(risk_coverage(counts)), points, rtol=1e-15)
    assert coverage_at_risk_5(counts) == best
    assert 0 < best < 1


def test_areas_of_many_inputs_equal_a_loop():
    rng = np.random.default_rng(1)
    good, bad = rng.normal(1, 1, 300), rng.normal(0, 1, 100)
    wrong = np.repeat([0, 1], [300, 100])[np.argsort(-np.concatenate((good, bad)))]
    expected, total, generalised = 0.0, 0, 0.0
    for k, is_wrong in enumerate(wrong, start=1):
        generalised += (total + is_wrong / 2) / 400**2
        total += is_wrong
        expected += total / k / 400
    counts = count(good, bad)
    assert aurc(counts) == pytest.approx(expected, rel=1e-13)
    assert augrc(counts) == pytest.approx(generalised, rel=1e-13)
    assert e_aurc(counts) == pytest.approx(expected - sum((k - 300) / k for k in range(301, 401)) / 400, rel=1e-13)


def test_augrc_is_what_traub_says_of_auroc_and_accuracy():
    rng = np.random.default_rng(2)
    counts = count(np.round(rng.normal(1, 1, 90), 1), np.round(rng.normal(0, 1, 30), 1))
    assert augrc(counts) == pytest.approx((1 - auroc(counts)) * 0.75 * 0.25 + 0.25**2 / 2, rel=1e-14)


def test_a_perfect_a_constant_and_the_worst_ranking():
    perfect, constant, worst = count(range(20, 40), range(5)), count([1] * 20, [1] * 5), count(range(20), range(20, 25))
    assert e_aurc(perfect) == 0
    assert aurc(constant) == pytest.approx(0.2, rel=1e-15)
    assert augrc(constant) == pytest.approx(0.1)
    assert coverage_at_risk_5(perfect) == pytest.approx(21 / 25)  # one error in 21 accepted is 4.8 %
    assert (coverage_at_risk_5(constant), coverage_at_risk_5(worst)) == (0, 0)
    for name in ("aurc", "e_aurc", "augrc"):
        assert SELECTIVE[name](perfect) < SELECTIVE[name](constant) < SELECTIVE[name](worst)


def test_the_perfect_ranking_tends_to_geifmans_limit():
    r = 0.1
    assert aurc(count(np.arange(9000) + 1000, np.arange(1000))) == pytest.approx(r + (1 - r) * log(1 - r), abs=1e-4)


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        (range(1, 20), [0], 1.0),  # one of 20 is exactly 5 %
        (range(1, 19), [0], 18 / 19),  # one of 19 is more
        ([2] * 18 + [1], [2, 0], 20 / 21),  # 18 and 1 are tied, 5.3 %; with one more it is 5 %
        (range(2, 40), [100, 1], 1.0),  # above 5 % at small coverages, at 5 % in the end
        ([1] * 10, [1], 0.0),
    ],
)
def test_five_percent_is_meant_exactly(good, bad, expected):
    assert coverage_at_risk_5(count(list(good), list(bad))) == pytest.approx(expected, rel=1e-15)


def test_the_numbers_of_public_libraries():
    """fd-shifts at c4467ae and torch-uncertainty 0.13.0 (float32), on scores without a tie, by the stated relations."""
    rng = np.random.default_rng(77)
    good, bad = np.round(rng.normal(1, 1, 60), 5), np.round(rng.normal(0, 1, 20), 5)
    counts, n, error = count(good, bad), 80, 0.25
    first, last = risk_coverage(counts).risk[[0, -1]]
    area, generalised = aurc(counts), augrc(counts)
    assert (first, last) == (1, error)
    # fd-shifts
    assert area + (first - last) / (2 * n) == pytest.approx(0.16874892655261698, rel=1e-12)
    assert generalised == pytest.approx(0.08578125, rel=1e-12)
    limit = error + (1 - error) * log(1 - error)
    assert area + (first - last) / (2 * n) - limit == pytest.approx(0.13451048089145246, rel=1e-12)
    # torch-uncertainty
    assert (n * area - (first + last) / 2) / (n - 1) == pytest.approx(0.15822676222256088, rel=1e-6)
    assert (n * generalised - first / n / 2) / (n - 1) == pytest.approx(0.08678797516657828, rel=1e-6)
    assert coverage_at_risk_5(counts) == pytest.approx(0.25)
    # fd-shifts, with ties
    assert augrc(count(np.round(good), np.round(bad))) == pytest.approx(0.085703125, rel=1e-12)


def test_only_misclassifications_are_selective_predictions():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 40), rng.normal(0, 1, 10)
    found = measure(Cell("misclassification", "misclassified", good, bad))[0]
    assert selective(count(good, bad)) == {name: found[name] for name in SELECTIVE}
    others = {kind: measure(Cell(kind, "set", good, bad))[0] for kind in KINDS if kind != "misclassification"}
    assert not any(set(SELECTIVE) & set(values) for values in others.values())


def test_out_set_inputs_count_as_wrong():
    test, wrong, far = np.array([5.0, 4, 3, 2]), np.array([False, True, False, False]), np.array([4.5, 1, 0])
    found = measure(Cell("ood", "far", test, far, wrong))[0]
    #  5 right, 4.5 out, 4 wrong, 3 right, 2 right, 1 out, 0 out
    assert found["scod_aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4 + 2 / 5 + 3 / 6 + 4 / 7) / 7, rel=1e-15)
    assert "aurc" not in found


def test_without_a_right_answer_there_is_no_selective_prediction():
    test, far = np.array([1.0, 2.0]), np.array([0.0])
    assert "scod_aurc" not in measure(Cell("ood", "far", test, far))[0]
    assert "scod_aurc" not in measure(Cell("ood", "far", test, far, np.array([True, True])))[0]
    with pytest.raises(BadData, match="bad: no scores"):
        aurc(count([1.0], []))


def test_every_number_is_within_its_range():
    rng = np.random.default_rng(4)
    for _ in range(50):
        n, m = rng.integers(1, 12, 2)
        for name, value in selective(count(rng.integers(0, 5, n), rng.integers(0, 5, m))).items():
            assert METRICS[name].lowest <= value <= METRICS[name].highest
