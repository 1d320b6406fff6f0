"""Rows of a method's scores: what is in each, what the axis leaves out, and what is said of that."""

import numpy as np
import pytest
from small_result import result

from oodbench.errors import BadData, UnknownName
from oodbench.measure.kinds import KINDS
from oodbench.outcomes import Fooled, Outcomes
from oodbench.records import Adapted, Changed, Scores
from oodbench.result.ridges import DARK, LIGHT, Row, accepted, beyond, figure, rows, threshold, view

INDEX = np.array([0, 1, 3], np.int32)
SCORES = Scores(
    np.array([5, 4, 3, 2], np.float32),
    {"near": np.array([1.0, 2.0]), "far": np.array([0.0, -1.0, -2.0, -3.0]), "other": np.array([9.0])},
    {"bim": Changed(np.array([7.0, 8.0, 6.0]), INDEX)},
    {"fog-1": Changed(np.ones(4), np.arange(4, dtype=np.int32)), "fog-2": Changed(np.zeros(3), INDEX)},
    {"bim@score-1": Adapted(np.array([7.5, 6.5, 5.5]), INDEX, np.array([True, True, False]))},
)
OUTCOMES = Outcomes(np.array([True, True, False, True]), {"bim": Fooled(INDEX, np.array([True, False, True]))})
GROUPS = {("ood", "near"): "a group", ("ood", "far"): "a group"}


def test_right_and_wrong_inputs_come_first_then_every_kind_by_group() -> None:
    found = rows(SCORES, OUTCOMES, GROUPS)
    assert {row.label: row.values.tolist() for row in found} == {
        "right": [5, 4, 2],
        "wrong": [3],
        "out-set, a group": [0, -1, -2, -3, 1, 2],
        "out-set, other": [9],
        "attacked": [7, 6],
        "attacked, adaptive": [7.5, 6.5],
        "attacked, known": [7, 6],
        "corrupted": [1, 1, 1, 1, 0, 0, 0],
    }
    assert [row.label for row in found][:2] == ["right", "wrong"]
    assert {row.kind for row in found} == {"", *(kind.name for kind in KINDS.values() if not kind.made_of)}


def test_sets_of_a_row_weigh_the_same() -> None:
    row = next(row for row in rows(SCORES, OUTCOMES, GROUPS) if row.label == "out-set, a group")
    assert row.weights.sum() == pytest.approx(1)
    assert row.weights.tolist() == pytest.approx([1 / 8] * 4 + [1 / 4] * 2)
    assert accepted(row, 1.0) == pytest.approx(1 / 2)
    assert accepted(row, 1.5) == pytest.approx(1 / 4)


def test_a_model_that_is_never_wrong_and_one_that_says_nothing_of_it() -> None:
    right = rows(SCORES, Outcomes(np.ones(4, bool), OUTCOMES.attacks), {})
    assert [row.label for row in right][:2] == ["right", "out-set, far"]
    test = Scores(SCORES.test, SCORES.ood)
    assert [row.label for row in rows(test, None, {})] == ["in-set", "out-set, far", "out-set, near", "out-set, other"]


def test_the_threshold_is_that_of_fpr95() -> None:
    assert threshold(np.arange(20.0)) == 1
    assert threshold(np.arange(19.0)) == 0


def row(values) -> Row:
    values = np.asarray(values, float)
    return Row("ood", "x", values, np.full(len(values), 1 / len(values)))


def test_a_far_set_does_not_flatten_the_right_inputs() -> None:
    right, far = np.linspace(0, 1, 1001), row([-1e9, -1, 0.5, 0.5])
    low, high = view([Row("", "right", right, np.full(1001, 1 / 1001)), far])
    assert (low, high) == pytest.approx((0.005 - 2 * 0.99, 0.995))  # two spans below, as far as needed above
    assert beyond(far, (low, high)) == (0.25, 0)
    assert beyond(row([2.0, 2, 0.5, -9, 0.5]), (low, high)) == pytest.approx((0.2, 0.4))


def test_one_score_for_all_has_an_axis() -> None:
    assert view([row([3.0, 3.0])]) == (2.5, 3.5)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_picture_says_what_it_leaves_out_and_what_is_accepted(theme) -> None:
    pytest.importorskip("matplotlib")
    test = np.linspace(0, 1, 1000)
    far = Row("ood", "far", np.array([-1e9, -1, 0.5, 0.5]), np.full(4, 0.25))
    (axes,) = figure([Row("", "right", test, np.full(1000, 1e-3)), far], test, "title", theme).axes
    told = [text.get_text() for text in axes.texts]
    assert "◂ 25.0 %" in told
    assert {"95.0 %", "50.0 %"} <= set(told)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["right  1,000", "far  4"]
    assert axes.lines[0].get_xdata()[0] == threshold(test)
    bars = [patch.get_data() for patch in axes.patches]
    assert len(bars) == 4
    assert all((bar.baseline - bar.values).max() == pytest.approx(0.85) for bar in bars)


def test_there_is_something_to_draw() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(BadData, match="nothing to draw"):
        figure([], np.ones(3), "title", LIGHT)


def test_ones_own_classifier_has_the_same_picture() -> None:
    pytest.importorskip("matplotlib")
    (axes,) = result().plot.ridges("knn").axes
    labels = [label.get_text().split("  ")[0] for label in axes.get_yticklabels()]
    assert labels == ["right", "wrong", "out-set, far", "out-set, my own set", "attacked"]
    with pytest.raises(UnknownName, match="method with scores in this result 'kn'"):
        result().plot.ridges("kn")
