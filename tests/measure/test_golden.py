"""The golden vectors: exact fractions by naive loops, as files that any project can run."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import BadData
from oodbench.measure.calibration import every_class, report
from oodbench.measure.ranking import RANKING, count, ranking
from oodbench.measure.selective import SELECTIVE, selective

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}


def scores(case, group):
    return np.array([float(score) for score in case[group]])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "expected" in case])
def test_every_metric_is_the_exact_one(name):
    case = CASES[name]
    assert case["expected"].keys() == RANKING.keys()
    measured = ranking(scores(case, "good"), scores(case, "bad"))
    for metric, expected in case["expected"].items():
        assert measured[metric] == pytest.approx(expected, rel=1e-14, abs=1e-15), metric
    assert (measured["n_good"], measured["n_bad"]) == (len(case["good"]), len(case["bad"]))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "expected" in case])
def test_every_metric_of_selective_prediction_is_the_exact_one(name):
    case = CASES[name]
    assert case["selective"].keys() == SELECTIVE.keys()
    measured = selective(count(scores(case, "good"), scores(case, "bad")))
    for metric, expected in case["selective"].items():
        assert measured[metric] == pytest.approx(expected, rel=1e-13, abs=1e-15), metric


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "refused" in case])
def test_what_has_no_answer_is_refused_by_name(name):
    case = CASES[name]
    refused = case["refused"]
    with pytest.raises(BadData) as caught:
        ranking(scores(case, "good"), scores(case, "bad"))
    message = str(caught.value)
    assert message.startswith(f"{refused['group']}: ")
    if refused["first_index"] is None:
        assert "one-class" in message
    else:
        assert f"{refused['count']} of " in message
        assert f"first at index {refused['first_index']} " in message


def made_by(script):
    spec = importlib.util.spec_from_file_location(f"golden_{script}", GOLDEN / f"{script}.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    return make.contents()


def test_the_files_are_what_the_script_makes():
    assert made_by("make") == {path.name: path.read_text() for path in GOLDEN.glob("*.json")}


CALIBRATION = {path.name: json.loads(path.read_text()) for path in sorted((GOLDEN / "calibration").glob("*.json"))}


@pytest.mark.parametrize("name", CALIBRATION)
def test_every_number_of_calibration_is_that_of_the_loops(name):
    case = CALIBRATION[name]
    logits, labels = np.array(case["logits"]), np.array(case["labels"])
    measured = report(logits, labels) | every_class(logits, labels)
    assert measured.keys() == case["expected"].keys()
    for number, expected in case["expected"].items():
        assert measured[number] == near(expected), number


def near(number):
    """The last bit of exp and log differs between machines."""
    return None if number is None else pytest.approx(number, rel=1e-12, abs=1e-12)


def test_the_files_of_calibration_are_what_the_script_makes():
    made = {name: json.loads(text) for name, text in made_by("make_calibration").items()}
    assert made.keys() == CALIBRATION.keys()
    for name, fresh in made.items():
        kept = dict(CALIBRATION[name])
        expected = kept.pop("expected")
        assert fresh.pop("expected") == {number: near(value) for number, value in expected.items()}
        assert fresh == kept
