"""Cells: what is good and what is bad in each kind of failure."""

from dataclasses import replace

import numpy as np
import pytest

from oodbench.errors import BadData
from oodbench.measure.cells import Cell, cells, measure
from oodbench.measure.kinds import KINDS, Column, averaged, beside_of, excused, find_kind
from oodbench.measure.ranking import ranking
from oodbench.outcomes import Fooled, Outcomes
from oodbench.records import Adapted, Changed, Scores

INDEX = np.array([0, 3, 4], np.int32)


def scores():
    return Scores(
        test=np.array([0, 1, 2, 3, 4], np.float32),
        ood={"mnist": np.array([9, 8], np.float32), "blobs": np.array([7], np.float32)},
        adversarial={"bim-8": Changed(np.array([10, 11, 12], np.float32), INDEX)},
        corruption={"fog-3": Changed(np.array([5, 6, 7], np.float64), INDEX)},
        adaptive={"bim-8@score-1": adapted([20, 21], [4, 3], [True, False])},
    )


def adapted(scores, index, fooled):
    return Adapted(np.array(scores, np.float32), np.array(index, np.int32), np.array(fooled, dtype=bool))


def outcomes():
    correct = np.array([True, True, False, True, True])
    return Outcomes(correct, {"bim-8": Fooled(INDEX, np.array([True, False, True]))})


def test_every_failure_has_its_good_and_its_bad():
    made = cells(scores(), outcomes(), {"fog-3", "blobs"})
    assert {(cell.failure, cell.name): (cell.good.tolist(), cell.bad.tolist()) for cell in made} == {
        ("misclassification", "misclassified"): ([0, 1, 3, 4], [2]),
        ("ood", "blobs"): ([0, 1, 2, 3, 4], [7]),
        ("ood", "mnist"): ([0, 1, 2, 3, 4], [9, 8]),
        ("adversarial", "bim-8"): ([0, 3, 4], [10, 12]),
        ("adaptive", "bim-8@score-1"): ([4, 3], [20]),
        ("adaptive", "bim-8@known"): ([4, 3], [12]),
        ("corruption", "fog-3"): ([0, 1, 2, 3, 4], [5, 6, 7]),
        ("full-spectrum", "mnist"): ([0, 1, 2, 3, 4, 7, 5, 6, 7], [9, 8]),
    }
    assert all(cell.good.dtype == cell.bad.dtype == np.float64 for cell in made)
    assert {cell.failure for cell in made} == set(KINDS)


def test_an_attacked_image_that_was_wrong_before_is_not_good():
    index = np.array([1, 2], np.int32)
    attacked = {"fgsm": Changed(np.array([1.0, 2.0]), index)}
    known = Outcomes(outcomes().correct, {"fgsm": Fooled(index, np.array([True, False]))})
    made = cells(Scores(scores().test, adversarial=attacked), known)
    (cell,) = (cell for cell in made if cell.failure == "adversarial")
    assert cell.good.tolist() == [1]


def test_scores_of_other_images_than_those_attacked_are_refused():
    other = Outcomes(outcomes().correct, {"bim-8": Fooled(INDEX + np.int32(0), np.ones(3, bool))})
    assert cells(scores(), other)
    moved = Outcomes(other.correct, {"bim-8": Fooled(np.array([0, 1, 4], np.int32), np.ones(3, bool))})
    with pytest.raises(BadData, match="bim-8: the scores are of other images than those that were attacked"):
        cells(scores(), moved)
    with pytest.raises(BadData, match="bim-8: nothing is known of what this attack achieved"):
        cells(scores(), Outcomes(other.correct))


def test_without_a_classifier_there_are_no_misclassifications():
    found = cells(Scores(test=np.arange(3.0), ood={"a": np.arange(2.0)}))
    assert [(cell.failure, cell.name) for cell in found] == [("ood", "a")]


def test_measure_gives_metrics_and_intervals():
    rng = np.random.default_rng(0)
    cell = Cell("ood", "mnist", rng.normal(1, 1, 400), rng.normal(0, 1, 300))
    metrics, intervals = measure(cell, bootstrap=100, seed=1)
    expected = ranking(cell.good, cell.bad)
    assert metrics == {name: value for name, value in expected.items() if not name.startswith("n_")}
    assert intervals.keys() == {"auroc", "fpr95"}
    for name, (low, high) in intervals.items():
        assert low < metrics[name] < high
    assert measure(cell, bootstrap=100, seed=1) == (metrics, intervals)
    assert measure(cell, bootstrap=0)[1].keys() == {"auroc"}


def test_a_cell_without_bad_inputs_is_named():
    with pytest.raises(BadData, match="misclassification/misclassified: bad: no scores, a one-class set"):
        measure(cells(Scores(test=np.arange(3.0)), Outcomes(np.ones(3, bool)))[0])


def test_beside_several_adaptive_attacks_of_one_budget_the_other_stands_once():
    more = {"bim-8@score-10": adapted([22, 23], [3, 4], [True, True])}
    made = cells(replace(scores(), adaptive=scores().adaptive | more), outcomes())
    names = [cell.name for cell in made if cell.failure == "adaptive"]
    assert names == ["bim-8@score-1", "bim-8@known", "bim-8@score-10"]


@pytest.mark.parametrize(
    ("index", "known", "message"),
    [([0, 1], "bim-8", "bim-8 was not tried on image 1"), ([0, 3], "pgd-8", "nothing is known of pgd-8")],
)
def test_an_adaptive_attack_needs_the_other_beside_it(index, known, message):
    own = {f"{known}@score-1": adapted([1, 2], index, [True, True])}
    with pytest.raises(BadData, match=message):
        cells(replace(scores(), adaptive=own), outcomes())
    with pytest.raises(BadData, match="nothing is known of"):
        cells(replace(scores(), adversarial={}), None)


def test_known_and_adaptive_attacks_are_in_no_mean_together():
    kind = find_kind("adaptive")
    names = ["pgd-8@score-1", "cw@typicality-66", "pgd-8@known", "cw@known"]
    columns = [Column(name, kind.group(name)) for name in names]
    assert [column.group for column in columns] == ["adaptive", "adaptive", "known", "known"]
    assert averaged(columns) == ("pgd-8@score-1", "cw@typicality-66")
    assert beside_of("cw@typicality-66") == "cw@known"


def test_what_stands_beside_may_lack_where_no_attack_was_made():
    names = ["pgd-8@score-1", "cw@score-1", "pgd-8@known", "cw@known"]
    assert excused(names, []) == {"pgd-8@known", "cw@known"}
    assert excused(names, ["cw@score-1"]) == {"pgd-8@known"}
    assert excused(names, ["cw@score-1", "pgd-8@score-1"]) == set()
    assert excused(["hflip", "fgsm-8"], []) == set()
