"""A result says what its scores say."""

import numpy as np
import pytest
from small_result import result

from oodbench.errors import BadData, UnknownName
from oodbench.measure.cells import Cell
from oodbench.measure.intervals import delong_test
from oodbench.measure.paired import comparison
from oodbench.measure.ranking import RANKING, count, ranking
from oodbench.measure.selective import SELECTIVE, aurc, selective
from oodbench.result.report import report

FOUND = result()


def test_every_number_is_of_the_scores() -> None:
    table = FOUND.table.set_index(["method", "failure", "set"])
    long = FOUND.metrics.set_index(["method", "failure", "set", "metric"])
    scores, right = FOUND.scores["knn"], FOUND.correct
    attack = FOUND.attacks["fgsm-8"]
    groups = {
        ("ood", "far"): (scores["test"], scores["far"]),
        ("ood", "my own set"): (scores["test"], scores["my own set"]),
        ("misclassification", "misclassified"): (scores["test"][right], scores["test"][~right]),
        ("adversarial", "fgsm-8"): (scores["test"][attack.index], scores["fgsm-8"][attack.fooled]),
    }
    for key, (good, bad) in groups.items():
        expected = ranking(good, bad)
        row = table.loc[("knn", *key)]
        assert (row["n_good"], row["n_bad"]) == (len(good), len(bad))
        for name in RANKING:
            number = long.loc[("knn", *key, name)]
            assert number["value"] == expected[name]
            assert number["low"] <= number["value"] <= number["high"]
            assert name not in table or row[name] == expected[name]
        for name in ("auroc", "fpr95"):
            number = long.loc[("knn", *key, name)]
            assert (row[f"{name}_low"], row[f"{name}_high"]) == (number["low"], number["high"])
    tests = {"mann_whitney_log10_p", "scod_aurc", *SELECTIVE}
    assert set(long.index.get_level_values("metric")) == {*RANKING, *tests}
    for name, value in selective(count(scores["test"][right], scores["test"][~right])).items():
        assert long.loc[("knn", "misclassification", "misclassified", name), "value"] == value
    wrong = np.concatenate((scores["test"][~right], scores["far"]))
    assert long.loc[("knn", "ood", "far", "scod_aurc"), "value"] == aurc(count(scores["test"][right], wrong))
    assert long.query("metric in @tests")[["low", "high"]].isna().all(axis=None)


def test_the_report_says_what_abstaining_gains() -> None:
    told, long = report(FOUND, []), FOUND.metrics.set_index(["method", "set", "metric"])["value"]
    row = [long["knn", "misclassified", name] for name in SELECTIVE]
    assert "| method   | AURC ↓   | E-AURC ↓   | AUGRC ↓   | Coverage at 5 % risk ↑   |" in told
    assert [f"{100 * value:.2f}" for value in row] in [line.split()[3:-1:2] for line in told.splitlines()]
    assert [f"{100 * long['knn', name, 'scod_aurc']:.2f}" for name in ("far", "my own set")] in [
        line.split()[3:-1:2] for line in told.splitlines()
    ]


def test_doubts_and_reasons_stand_on_their_rows() -> None:
    notes = FOUND.table.set_index(["method", "set"])["note"]
    assert notes["msp", "far"] == "the model is doubtful; few images; 3 images twice"
    assert notes["msp", "fgsm-8"] == "the model is doubtful; few images"
    assert notes["knn", "broken"] == "2 of 30 scores are NaN or infinite"
    without = FOUND.table[FOUND.table["method"] == "temperature"]
    assert without["note"].tolist() == ["needs validation"]
    assert without["auroc"].isna().all()
    assert set(FOUND.table["accuracy"]) == {FOUND.accuracy["test"]}


def test_compared_is_what_both_methods_scored() -> None:
    compared = FOUND.compare("msp", "knn")
    assert list(zip(compared["set"], compared["metric"], strict=True)) == [
        (name, metric) for name in ("fgsm-8", "misclassified", "far", "my own set") for metric in ("auroc", "fpr95")
    ]
    table = FOUND.table.set_index(["method", "set"])
    for row in compared.to_dict("records"):
        assert row["msp"] == table.loc[("msp", row["set"]), row["metric"]]
        assert row["difference"] == row["msp"] - row["knn"]
        assert row["low"] <= row["difference"] <= row["high"]
    there, back = compared, FOUND.compare("knn", "msp")
    np.testing.assert_allclose(there["low"], -back["high"])
    np.testing.assert_allclose(there["p"], back["p"])


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(UnknownName, match="unknown method of this result 'kmn'; did you mean 'knn'"):
        FOUND.compare("msp", "kmn")
    with pytest.raises(BadData, match="temperature has no scores to compare: needs validation"):
        FOUND.compare("msp", "temperature")
    with pytest.raises(BadData, match="got 'msp' twice"):
        FOUND.compare("msp", "msp")


def drawn(rng: np.random.Generator, n: int = 150, m: int = 90) -> tuple[Cell, Cell]:
    """Return two methods of equal AUROC 0.76, whose scores are correlated."""
    both = [rng.normal(size=k) for k in (n, m)]
    cells = [(both[0] + rng.normal(size=n) + 1.4, both[1] + rng.normal(size=m)) for _ in range(2)]
    return Cell("ood", "far", *cells[0]), Cell("ood", "far", *cells[1])


def test_intervals_of_a_difference_cover_it() -> None:
    rng = np.random.default_rng(0)
    found = {metric: [comparison(*drawn(rng), metric) for _ in range(150)] for metric in ("auroc", "fpr95")}
    for metric, differences in found.items():
        covered = np.mean([one.low <= 0 <= one.high for one in differences])
        assert 0.88 <= covered <= 0.995, metric
        assert np.mean([one.p < 0.05 for one in differences]) == pytest.approx(1 - covered, abs=1e-9)


def test_the_interval_of_auroc_agrees_with_delongs_test() -> None:
    a, b = drawn(np.random.default_rng(1))
    assert comparison(a, b, "auroc").p == pytest.approx(delong_test((a.good, a.bad), (b.good, b.bad)).p, abs=0.06)


def test_what_no_input_shows_is_no_certainty() -> None:
    good, bad = np.arange(40) + 10.0, np.arange(20) - 30.0
    one = comparison(Cell("ood", "far", good, bad), Cell("ood", "far", good + 1, bad), "fpr95")
    assert one.difference == 0
    assert one.low < -0.1
    assert one.high > 0.1
    assert one.p == 1


def test_other_inputs_are_told() -> None:
    a, _ = drawn(np.random.default_rng(0))
    with pytest.raises(BadData, match=r"ood/far: a paired comparison needs the same inputs: got \(150, 90\) and"):
        comparison(a, Cell("ood", "far", a.good[1:], a.bad), "auroc")
    with pytest.raises(UnknownName, match="ranking metric"):
        comparison(a, a, "accuracy")
