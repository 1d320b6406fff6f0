"""What holds for every file in methods/, without the registry."""

import importlib
import json
import pkgutil
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import oodbench.methods
import pytest
import torch

from oodbench import declarations, listed
from oodbench.contract import Method
from oodbench.models.outputs import OF_EVERY_MODEL
from oodbench.recipes import Plain
from oodbench.report.method_notes import FAILS
from oodbench.run import declare
from oodbench.run.gallery import in_tree, path, renewed

FILES = sorted(info.name for info in pkgutil.iter_modules(oodbench.methods.__path__))
ROWS = [row for name in FILES for row in getattr(importlib.import_module(f"oodbench.methods.{name}"), "METHODS", ())]


def each(row: Method) -> str:
    return row.name


def small(row: Method) -> Any:
    """Return the detector, with its mixtures cut to what 90 images can fill, and the training of its networks cut."""
    cut = {name: value for name, value in (("K", 3), ("steps", 50)) if name in row.hyper_parameters}
    return replace(row.detector, **cut)


def parameters(detector: Any) -> dict[str, Any]:
    """Return the fields that are values: not the formula and needs of a `Stateless`."""
    values = {field.name: getattr(detector, field.name) for field in fields(detector)}
    return {k: v for k, v in values.items() if not callable(v) and not isinstance(v, frozenset)}


@pytest.mark.parametrize("name", FILES)
def test_every_file_ends_in_its_rows(name: str) -> None:
    module = importlib.import_module(f"oodbench.methods.{name}")
    assert module.METHODS
    assert all(isinstance(row, Method) for row in module.METHODS)
    with open(module.__file__) as file:
        lines = file.read().splitlines()
    assert lines[-1] == ")"
    assert not any(line.startswith(("from oodbench.methods", "import oodbench.methods")) for line in lines)


@pytest.mark.parametrize("name", FILES)
def test_every_file_says_when_its_detectors_fail(name: str) -> None:
    """On the page of the method it is a section of its own."""
    paragraphs = listed.docstring(f"oodbench.methods.{name}").split("\n\n")
    assert any(part.startswith(FAILS) for part in paragraphs)


def test_the_table_of_contents_is_that_of_the_files() -> None:
    text = path().read_text()
    assert renewed(text) == text, "methods/__init__.py is not up to date: make gallery"
    assert all(f"\n{name} " in text for name in FILES)


def test_the_rows_that_are_listed_are_those_of_the_files() -> None:
    made = in_tree()
    assert listed.read(listed.path().read_text("utf-8")) == made, "methods/rows.csv is not up to date: make gallery"
    assert listed.read(listed.written(made)) == made
    judging = {line.name: line for line in made if line.judges_mine}
    assert judging["mahalanobis-c"].needs == ("ood_validation", "validation")
    assert judging["odin"].needs == ()
    assert not {"deep-ensemble", "odin-fgsm", "glow"} & judging.keys()


def test_names_are_unique_and_all_there() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert set(names) >= {
        *("msp", "max-logit", "temperature", "baseline-t", "odin", "odin-tuned", "zheng", "gmm-100", "gmm-1000"),
        *("mahalanobis-a", "mahalanobis-b", "mahalanobis-c", "mahalanobis-d", "energy", "knn"),
        *("mahalanobis-d-fgsm", "odin-fgsm"),
    }


@pytest.mark.parametrize("row", ROWS, ids=each)
def test_detector_is_frozen_and_its_fields_survive_json(row: Method) -> None:
    detector = row.detector
    assert is_dataclass(detector)
    assert hash(detector) == hash(replace(detector))
    with pytest.raises(AttributeError):
        detector.anything = 0
    read = json.loads(json.dumps(parameters(detector)))
    again = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    assert replace(detector, **again) == detector


@pytest.mark.parametrize("row", ROWS, ids=each)
def test_needs_can_be_met(row: Method) -> None:
    assert row.detector.reads <= row.recipe.provides | OF_EVERY_MODEL
    assert row.paper.url
    assert row.paper.url.startswith("https://")


@pytest.mark.parametrize("row", [row for row in ROWS if row.search], ids=each)
def test_every_candidate_of_a_grid_reads_no_more_than_was_declared(row: Method) -> None:
    for name, values in row.search.over:
        for value in values:
            assert replace(row.detector, **{name: value}).reads <= row.detector.reads
            default = getattr(row.detector, name)  # None for one that is made of the data
            assert default is None or type(value) is type(default)


@pytest.mark.parametrize("row", [row for row in ROWS if row.recipe == Plain()], ids=each)
def test_needs_are_honest_and_scores_are_finite_floats(lab32, row: Method) -> None:
    detector = small(row)
    data, outputs = lab32.data(detector), lab32.outputs(detector, lab32.test)
    with torch.no_grad():
        state = detector.fit(data)
        score = detector.score(state, outputs)
    assert score.dtype in (torch.float32, torch.float64)
    assert score.shape == (15,)
    assert score.isfinite().all()
    opened = {name for part in (data.train, *data.materials.values(), outputs) for name in part._access.touched}
    assert opened - {"labels"} == {output.name for output in detector.reads}
    assert data.touched | (opened & {"labels"}) == detector.fits_on


def leaves(state: Any) -> list[Any]:
    return [leaf for part in state for leaf in leaves(part)] if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("row", [row for row in ROWS if row.recipe == Plain()], ids=each)
def test_state_is_tensors_and_numbers_and_the_same_each_time(lab32, row: Method) -> None:
    first, again = (leaves(lab32.fit(small(row))) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert isinstance(a, torch.Tensor | float | int)
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


@pytest.mark.parametrize("row", [row for row in ROWS if row.recipe == Plain()], ids=each)
def test_a_score_does_not_depend_on_the_rest_of_the_batch(lab32, row: Method) -> None:
    detector = small(row)
    state = lab32.fit(detector)
    many = lab32.test.repeat(40, 1, 1, 1)  # more than one forward pass holds
    alone = lab32.score(detector, lab32.test[4:5], state)
    np.testing.assert_allclose(lab32.score(detector, many, state)[4::15], alone.repeat(40), rtol=1e-4, atol=1e-4)


def test_what_is_declared_without_torch_is_what_the_registry_says() -> None:
    text = declarations.path().read_text("utf-8")
    assert text == declarations.written(declare.made()), "methods/declared.json is not up to date: make gallery"
    found = declarations.facts("cifar10-resnet-v1", "odin-tuned@resnet-20")
    assert found is not None
    assert found.of["search"].keys() == {"T", "eps"}
    assert found.row["recipe"] is not None
    found = declarations.facts("trec-v1", "glow")
    assert found is not None
    assert found.row["recipe"] is None, "a flow takes images"
    assert declarations.facts("tiny-v1", "msp@resnet-20") is None, "no such model in that matrix"
    assert declarations.facts("fashion-mnist-v1", "deep-ensemble").row["members"]["0"]
