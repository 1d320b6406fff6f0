"""Changes between two runs: laws against plain loops, edges, and how often chance raises an alarm."""

import numpy as np
import pytest
from scipy import stats

from oodbench.measure import changes
from oodbench.measure.cells import Cell
from oodbench.measure.changes import (
    ACCURACY,
    AREA,
    AREAS,
    ROUNDING,
    SHARES_AT_A_THRESHOLD,
    Drawn,
    astray,
    at_seed,
    drawn,
    mean_of,
    other_model,
    pooled_variance,
    ratio,
    right_or_wrong,
    same_model,
    tolerance,
)
from oodbench.measure.intervals import delong_test
from oodbench.measure.paired import comparison, variance
from oodbench.measure.ranking import RANKING, ranking


def cell(rng, shift, n=60, m=40) -> Cell:
    return Cell("ood", "glyphs", rng.normal(shift, 1, n), rng.normal(0, 1, m))


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    made = []
    for _ in range(4):
        before = cell(rng, 1.0)
        after = Cell("ood", "glyphs", before.good + rng.normal(0.3, 0.2, 60), before.bad + rng.normal(0, 0.2, 40))
        made.append((before, after))
    return made


def test_every_ranking_metric_has_a_tolerance_of_one_kind() -> None:
    assert set(RANKING) == SHARES_AT_A_THRESHOLD | AREAS
    assert not SHARES_AT_A_THRESHOLD & AREAS


def test_tolerances() -> None:
    assert {tolerance(metric, True, 0.5) for metric in [*RANKING, "accuracy"]} == {ROUNDING}
    assert tolerance("auroc", False, 0.5) == AREA
    assert tolerance("accuracy", False, 0.5) == ACCURACY
    assert tolerance("fpr95", False, 0.01) == pytest.approx(stats.norm.ppf(0.975) * 0.01)
    assert tolerance("fpr95", False, 0.0) == AREA


@pytest.mark.parametrize("metric", ["auroc", "fpr95", "aupr_in"])
def test_values_and_draws_are_those_of_the_cells(pairs, metric) -> None:
    found = drawn(pairs, metric)
    for seed, (before, after) in enumerate(pairs):
        assert found.before[seed] == ranking(before.good, before.bad)[metric]
        assert found.after[seed] == ranking(after.good, after.bad)[metric]
        one = comparison(after, before, metric)
        assert found.difference[seed] == pytest.approx(one.difference)
        assert same_model(drawn([(before, after)], metric)).p == pytest.approx(one.p)


def test_the_same_model_varies_over_inputs_alone(pairs) -> None:
    found = drawn(pairs, "fpr95")
    change = same_model(found)
    mean = np.mean(found.difference)
    sd = np.std([np.mean(found.drawn[:, r]) for r in range(200)], ddof=1)
    assert change.difference == pytest.approx(mean)
    assert change.p == pytest.approx(2 * stats.t.sf(abs(mean) / sd, 199))
    assert (change.low, change.high) == pytest.approx(stats.t.interval(0.95, 199, mean, sd))


def test_another_model_varies_over_seeds_too(pairs) -> None:
    found = drawn(pairs, "auroc")
    change, sure = other_model(found), variance(found.difference, found.drawn)
    assert change.p == pytest.approx(2 * stats.t.sf(abs(change.difference) / sure.value**0.5, sure.df))
    again, inputs = other_model(found, again=True), found.drawn.mean(axis=0).var(ddof=1)
    both = (found.drawn.var(axis=1, ddof=1).mean() - inputs) / (len(pairs) - 1)
    whole = inputs + max(0, (found.before.var(ddof=1) + found.after.var(ddof=1)) / len(pairs) - both)
    assert again.p == pytest.approx(2 * stats.t.sf(abs(again.difference) / whole**0.5, 2 * len(pairs) - 2))
    one = drawn(pairs[:1], "auroc")
    assert other_model(one) == same_model(one)


def test_one_seed_is_tested_by_delong(pairs) -> None:
    found = drawn(pairs, "auroc")
    before, after = pairs[2]
    change = at_seed(pairs[2], found, 2, "auroc")
    assert change.p == delong_test((after.good, after.bad), (before.good, before.bad)).p
    assert change.difference == pytest.approx(found.difference[2])
    apart = at_seed(pairs[2], drawn(pairs, "auroc", apart=True), 2, "auroc", apart=True)
    assert apart.p > change.p


def test_inputs_that_are_others_are_drawn_apart(pairs) -> None:
    before, _ = pairs[0]
    together, apart = (drawn([(before, before)], "auroc", apart=one) for one in (False, True))
    assert not together.drawn.any()
    alone = together.before_drawn.var(ddof=1)
    assert apart.drawn.var(ddof=1) == pytest.approx(2 * alone, rel=0.25)


def test_the_mean_over_sets_weighs_them_alike(pairs) -> None:
    one, other = drawn(pairs, "auroc"), drawn(pairs[::-1], "auroc")
    mean = mean_of([one, other, other])
    assert mean.before == pytest.approx((one.before + 2 * other.before) / 3)
    assert mean.after_drawn == pytest.approx((one.after_drawn + 2 * other.after_drawn) / 3)


def test_a_seed_beside_the_others_by_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(0.9, 0.01, 5)
    after = before + np.array([0.01, -0.02, -0.4, 0.0, 0.015])
    noise = rng.normal(0, 0.01, (2, 5, 200))
    found = Drawn(before, after, before[:, None] + noise[0], after[:, None] + noise[1], 50)
    p = []
    for seed in range(5):
        sides = [[side[k] for k in range(5) if k != seed] for side in (before, after)]
        centre = sum(sides[1]) / 4 - sum(sides[0]) / 4
        square = sum(sum((x - sum(side) / 4) ** 2 for x in side) / 3 for side in sides)
        of_seeds = square * (1 + 1 / 4)
        whole = of_seeds + np.var(noise[1][seed] - noise[0][seed], ddof=1)
        t = (after[seed] - before[seed] - centre) / whole**0.5
        p.append(2 * stats.t.sf(abs(t), 6))
    assert [one.p for one in astray(found)] == pytest.approx(p)
    assert [one.difference for one in astray(found)] == pytest.approx([*found.difference])
    assert min(p) == p[2] < 1e-4
    assert astray(Drawn(*(part[:2] for part in found[:4]), 50)) == []


def test_what_no_input_tells_apart_is_judged_by_pairs() -> None:
    same = np.full((1, 200), 0.5)
    nothing = Drawn(np.array([0.5]), np.array([0.5]), same, same, 10)
    assert same_model(nothing).p == 1.0
    assert same_model(nothing).low == pytest.approx(0.025 ** (1 / 10) - 1)
    certain = Drawn(np.array([0.0]), np.array([1.0]), 0 * same, 2 * same, 10)
    assert same_model(certain).p == 2.0**-9


def test_accuracy_is_judged_on_the_same_images() -> None:
    rng = np.random.default_rng(5)
    before = [rng.random(300) < 0.8 for _ in range(5)]
    found = right_or_wrong(before, [one.copy() for one in before])
    assert found.before == pytest.approx([one.mean() for one in before])
    assert not found.drawn.any()
    after = [one & (np.arange(300) > 60) for one in before]
    worse = other_model(right_or_wrong(before, after), again=True)
    assert worse.difference < 0
    assert worse.p < 1e-4


def test_a_ratio_is_a_t_test_of_logarithms() -> None:
    logarithms = np.log([1.1, 1.08, 1.13, 1.09])
    found = ratio(logarithms.tolist())
    law = stats.ttest_1samp(logarithms, 0)
    assert found.ratio == pytest.approx(stats.gmean([1.1, 1.08, 1.13, 1.09]))
    assert found.p == pytest.approx(law.pvalue)
    assert (found.low, found.high) == pytest.approx(np.exp([*law.confidence_interval()]))
    few = ratio(logarithms[:2].tolist())
    assert (few.low, few.high, few.p, few.n) == (None, None, None, 2)


def test_the_variance_of_a_unit_is_pooled_over_rows() -> None:
    groups = [[0.1, 0.3], [1.0, 1.1, 1.5], [7.0]]
    squares = 2 * 0.1**2 + sum((x - 1.2) ** 2 for x in groups[1])
    pooled = pooled_variance(groups)
    assert pooled == pytest.approx((squares / 3, 3))
    assert pooled_variance([[1.0], [2.0]]) is None
    assert ratio([0.1, 0.1, 0.1], pooled).p == pytest.approx(2 * stats.t.sf(0.1 / (pooled.value / 3) ** 0.5, 3))


def test_equal_units_without_any_spread_are_certain_and_finite() -> None:
    found = ratio([0.1, 0.1, 0.1])
    assert found.p is not None
    assert 0 <= found.p < 1e-6
    assert ratio([0.0, 0.0, 0.0]).p == 1.0


def test_chance_raises_an_alarm_about_as_often_as_the_level_says() -> None:
    """1,000 pairs of equal trainings: p below 5 % in 5 %, within four standard errors and not above."""
    rng = np.random.default_rng(9)
    alarms = {"other": 0, "astray": 0}
    for _ in range(1000):
        truth = rng.normal(0.9, 0.02, (2, 5))
        inputs = rng.normal(0, 0.01, 5 + 0)
        before, after = (one + shared for one, shared in zip(truth, (inputs, inputs), strict=True))
        wiggle = rng.normal(0, 0.003, (2, 5, 50))
        found = Drawn(before, after, before[:, None] + wiggle[0], after[:, None] + wiggle[1], 50)
        alarms["other"] += other_model(found, again=True).p < 0.05
        alarms["astray"] += min(one.p for one in astray(found)) * 5 < 0.05
    slack = 4 * (0.05 * 0.95 / 1000) ** 0.5
    assert alarms["other"] / 1000 < 0.05 + slack
    assert alarms["astray"] / 1000 < 0.05 + slack
    assert alarms["other"] > 0
    assert changes.FEWEST == 3


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("of_seeds", [1.0, 3.0, 10.0])
def test_chance_raises_no_alarm_among_many_tests(seeds: int, of_seeds: float) -> None:
    """Comparisons of twenty rows trained again that are all alike, seeds' sd in units of inputs'; at most 5 % of them.

    By Welch's and Satterthwaite's degrees of freedom it was up to 96 % (three seeds astray) and 31 % (means).
    """
    rng = np.random.default_rng(seeds)
    alarms = {"astray": 0, "mean": 0}
    for _ in range(100):
        rows = []
        for _ in range(20):
            sides = of_seeds * rng.normal(size=(2, seeds)) + rng.normal(size=(2, 1))
            resampled = sides[..., None] + rng.normal(size=(2, 1, 100))
            rows.append(Drawn(*sides, *resampled, 50))
        alarms["astray"] += min(one.p for row in rows for one in astray(row)) < 0.05 / (20 * seeds)
        alarms["mean"] += min(other_model(row, again=True).p for row in rows) < 0.05 / 20
    assert max(alarms.values()) <= 5 + 3 * (100 * 0.05 * 0.95) ** 0.5
