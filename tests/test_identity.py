"""Content addresses: what they depend on, and all that they do not."""

from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any, ClassVar

import pytest
from oodbench.methods.knn import NearestNeighbours
from oodbench.methods.odin import Odin

from oodbench import identity
from oodbench.contract import FEATURES, LOGITS, Stateless
from oodbench.data.attack_cards import find_attack
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.identity import address, declared
from oodbench.recipes import Plain
from oodbench.run import keys
from oodbench.run.plan import plan
from oodbench.run.registry import find, registry
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace
from oodbench.training import Training


@dataclass(frozen=True)
class Thing:
    a: int = 1
    b: float = 2.0

    version: ClassVar[int] = 1


def of(*fields: tuple[str, type, Any], version: int = 1) -> Any:
    """Return a thing whose class has these fields, as an edit of a file would give it."""
    made = [(name, kind, field(default=value)) for name, kind, value in fields]
    return make_dataclass("Thing", made, frozen=True, namespace={"version": version, "__module__": __name__})()


def test_a_new_field_with_a_default_leaves_an_address_as_it_was() -> None:
    assert address(of(("a", int, 1), ("b", float, 2.0), ("new", str, "as ever"))) == address(Thing())


def test_a_default_may_be_written_out() -> None:
    assert address(Thing(1, 2.0)) == address(Thing())
    assert address(Odin(T=1000.0)) == address(Odin())


@pytest.mark.parametrize("other", [Thing(a=2), Thing(b=2.5), of(("a", int, 1), ("b", float, 2.0), version=2)])
def test_a_value_or_a_version_makes_another_address(other: Any) -> None:
    assert address(other) != address(Thing())


def test_things_of_two_packages_are_two() -> None:
    elsewhere = type(of(("a", int, 1), ("b", float, 2.0)))
    elsewhere.__module__ = "a_plugin.detectors"
    assert address(elsewhere()) != address(Thing())


def test_where_in_its_package_a_thing_stands_says_nothing() -> None:
    moved = type(of(("a", int, 1), ("b", float, 2.0)))
    moved.__module__ = f"{Thing.__module__.split('.')[0]}.another.file"
    assert address(moved()) == address(Thing())


def test_needs_are_no_parameters() -> None:
    one, other = (Stateless(frozenset(reads), score) for reads in ({LOGITS}, {LOGITS, FEATURES}))
    assert address(one) == address(other)
    assert address(one) != address(replace(one, version=2))
    assert address(one) != address(replace(one, formula=another_score))


def score(outputs: Any) -> Any:
    return outputs.logits.amax(dim=1)


def another_score(outputs: Any) -> Any:
    return outputs.logits.amin(dim=1)


def test_nested_values_are_declared_one_by_one() -> None:
    assert declared({"x": (Thing(a=3), frozenset({2, 1}))}) == {
        "x": [{"name": f"{__name__.split('.')[0]}:Thing", "version": 1, "a": 3}, [1, 2]]
    }


def test_a_training_is_its_departures_from_the_defaults() -> None:
    assert declared(Training(network="resnet-small", epochs=3, lr=0.1)) == {
        "name": "oodbench:Training",
        "network": "resnet-small",
        "epochs": 3,
    }


# Keys of records.


def key_of(method: str, matrix: Matrix | None = None, seed: int = 0, **changes: Any) -> str:
    matrix = matrix or find_matrix("toy-v1")
    (entry,) = find([method])
    entry = replace(entry, method=replace(entry.method, **changes))
    context = guarded(matrix, Workspace())
    (job,) = plan(matrix, [entry], [seed])
    return keys.record_key(context, job)  # type: ignore[arg-type]


def test_harmless_edits_leave_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release, another torch, words for people, a new attack beside those of the matrix, its default methods."""
    before = {name: key_of(name) for name in ("msp", "odin", "knn", "glow", "deep-ensemble")}
    import numpy
    import torch

    import oodbench

    monkeypatch.setattr(oodbench, "__version__", "9.0.0")
    monkeypatch.setattr(torch, "__version__", "99.0")
    monkeypatch.setattr(numpy, "__version__", "99.0")
    toy = find_matrix("toy-v1")
    told = toy.model_copy(update={"title": "Other words", "methods": ("msp",)})
    monkeypatch.setattr(keys, "find_attack", lambda name: find_attack(name).model_copy(update={"title": "words"}))
    assert {name: key_of(name, told) for name in before} == before
    assert key_of("msp", title="Other words") == before["msp"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"detector": Odin(eps=0.001)},
        {"detector": NearestNeighbours()},
        {"recipe": Plain(), "search": find(["odin-tuned"])[0].method.search},
        {"matrix": {"n_validation": 60}},
        {"matrix": {"attacks": ()}},
        {"matrix": {"training": replace(find_matrix("toy-v1").training, lr=0.01)}},
    ],
    ids=str,
)
def test_what_numbers_depend_on_makes_another_key(change: dict[str, Any]) -> None:
    matrix = find_matrix("toy-v1")
    changed = matrix.model_copy(update=change.pop("matrix", {}))
    assert key_of("odin", changed, **change) != key_of("odin", matrix)


@pytest.mark.parametrize("what", ["PROTOCOL", "TRAINING"])
def test_the_pipelines_versions_are_in_every_key(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from oodbench.run import models

    before = key_of("msp")
    monkeypatch.setattr(keys if what == "PROTOCOL" else models, what, getattr(identity, what) + 1)
    assert key_of("msp") != before


def test_an_attack_is_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of("msp")
    monkeypatch.setattr(keys, "find_attack", lambda name: find_attack(name).model_copy(update={"eps": 0.5}))
    assert key_of("msp") != before


def test_no_two_rows_are_one_to_a_key() -> None:
    """A function is its name in its package: two rows on one recipe whose functions share a name would share a key."""
    rows: dict[str, list[str]] = {}
    for name, entry in registry().items():
        method = entry.method
        rows.setdefault(address(method.recipe, method.detector, method.search), []).append(name)
    assert [names for names in rows.values() if len(names) > 1] == []
