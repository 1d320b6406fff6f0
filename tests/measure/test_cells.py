"""Cells: what is good and what is bad in each kind of failure."""

import numpy as np
import pytest

from oodbench.errors import BadData
from oodbench.measure.cells import Cell, cells, measure
from oodbench.measure.ranking import ranking
from oodbench.records import Attacked, Scores


def scores():
    return Scores(
        test=np.array([0, 1, 2, 3, 4], np.float32),
        correct=np.array([True, True, False, True, True]),
        ood={"mnist": np.array([9, 8], np.float32), "blobs": np.array([7], np.float32)},
        adversarial={
            "bim-8": Attacked(
                scores=np.array([10, 11, 12], np.float32),
                index=np.array([4, 0, 3], np.int32),
                fooled=np.array([True, False, True]),
            )
        },
        corruption={"fog-3": np.array([5, 5, 6, 6, 7], np.float64)},
    )


def test_every_failure_has_its_good_and_its_bad():
    found = {(cell.failure, cell.name): (cell.good.tolist(), cell.bad.tolist()) for cell in cells(scores())}
    assert found == {
        ("misclassification", "misclassified"): ([0, 1, 3, 4], [2]),
        ("ood", "blobs"): ([0, 1, 2, 3, 4], [7]),
        ("ood", "mnist"): ([0, 1, 2, 3, 4], [9, 8]),
        ("adversarial", "bim-8"): ([4, 0, 3], [10, 12]),
        ("corruption", "fog-3"): ([0, 1, 2, 3, 4], [5, 5, 6, 6, 7]),
    }
    assert all(cell.good.dtype == cell.bad.dtype == np.float64 for cell in cells(scores()))


def test_an_attacked_image_that_was_wrong_before_is_not_good():
    attacked = Attacked(np.array([1.0, 2.0]), np.array([2, 1], np.int32), np.array([False, True]))
    (cell,) = (
        cell
        for cell in cells(Scores(scores().test, scores().correct, adversarial={"fgsm": attacked}))
        if cell.failure == "adversarial"
    )
    assert cell.good.tolist() == [1]


def test_without_a_classifier_there_are_no_mistakes():
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
    perfect = Scores(test=np.arange(3.0), correct=np.ones(3, bool))
    with pytest.raises(BadData, match="misclassification/misclassified: bad: no scores, a one-class set"):
        measure(cells(perfect)[0])
