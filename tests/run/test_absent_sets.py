"""A matrix whose data are not here: its plan is shown whole, and a run says all that it lacks."""

import pytest

from oodbench.data.matrix import find_matrix
from oodbench.errors import MissingData
from oodbench.run.absent import wanted
from oodbench.run.context import Context
from oodbench.run.forecast import forecast
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.workspace import Workspace


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setattr("oodbench.data.places.SYSTEM", tmp_path / "system")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    return Context(find_matrix("cifar10-v1"), Workspace(tmp_path / "results", None, tmp_path / "cache", "cpu"))


def test_the_plan_of_a_matrix_without_data_is_whole(context):
    matrix = context.matrix
    text = forecast(context, plan(matrix, find(["msp", "energy", "oe-scratch"]), matrix.seeds))
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines if "run" in line and "0," in line] == ["msp", "energy", "oe-scratch"]
    assert {line[0] for line in lines if "here" in line or "absent" in line} >= set(matrix.cards)
    assert next(line for line in lines if line[:1] == ["svhn"])[-4:] == ["oodbench", "data", "get", "svhn"]
    assert "15 records to make on 10 models" in text
    assert "nothing can run before cifar-10, isun, tiny-images-300k are here" in text


def test_a_run_names_all_that_it_lacks(context):
    with pytest.raises(MissingData) as error:
        context.sets  # noqa: B018
    for name in ("cifar-10", "isun", "tiny-images-300k"):
        assert f"  {name}: oodbench data get {name}" in str(error.value)
    assert "svhn" not in str(error.value), "an absent out-set stops nothing"


def test_what_is_drawn_is_here():
    assert all(one.here for one in wanted(find_matrix("toy-v1"), None))
