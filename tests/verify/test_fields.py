"""Every field of every file is sorted, and what is said to be verified is."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.verify.catalogue import CATALOGUE
from tests.verify.made import make, record_at, set_all, set_field, set_model

from oodbench.outcomes import Outcomes
from oodbench.records import SEAL, read_model, read_record
from oodbench.report.numbers import COLUMNS
from oodbench.report.rank_table import COLUMNS as RANK_COLUMNS
from oodbench.reruns import COLUMNS as RERUN_COLUMNS
from oodbench.verify.sorting import SCHEMAS, SORTED, counts, leaves, only_by_running
from oodbench.verify.state import State
from oodbench.verify.verified import told, verify
from oodbench.verify.walk import PLACES


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_of_a_schema_is_sorted(kind: str) -> None:
    """A new field of a record comes to nobody's page before somebody has said how it is verified."""
    assert set(SORTED[kind]) - {SEAL} == set(leaves(SCHEMAS[kind])), f"sort it in oodbench.verify.sorting: {kind}"


def test_every_kind_of_file_and_every_column_is_sorted() -> None:
    assert set(SORTED) == set(PLACES)
    assert set(SORTED["metrics"]) == {*COLUMNS, "inputs"}
    assert set(SORTED["ranks"]) == set(RANK_COLUMNS)
    assert set(SORTED["reruns"]) == set(RERUN_COLUMNS)
    assert set(SORTED["scores"]) == {"kind", "set", "index", "score", SEAL}
    assert set(SORTED["outcomes"]) == {"kind", "set", "index", "wrong", SEAL}
    assert Outcomes.__dataclass_fields__.keys() == {"correct", "attacks"}


def test_leaves_go_into_models_in_dicts_and_tuples() -> None:
    found = list(leaves(SCHEMAS["record"]))
    assert {"data.*.n", "cells.*.failure", "citation.url", "model.sha256"} <= set(found)
    assert not {"data", "cells", "citation", "model"} & set(found)


def test_a_report_names_what_only_a_re_run_verifies_with_its_command() -> None:
    found = only_by_running()
    assert "scores.score" in found["oodbench verify {matrix} --rerun 0.02"]
    assert sum(map(len, found.values())) == counts()["re-runnable"]
    assert sum(counts().values()) == sum(map(len, SORTED.values()))


OTHER: dict[type, Any] = {str: "edited", bool: True, int: 3, float: 0.123, list: [7], dict: {"edited": 1}}
SKIPPED = {
    "record.schema_version": "another is refused as newer or foreign: the catalogue has it",
    "record.cells.*.failure": "the clean folder has no cells: the catalogue has it",
    "record.cells.*.name": "likewise",
    "record.seal": "it is what makes an edit visible: the catalogue has it",
    "model.schema_version": "as that of a record",
    "model.seal": "likewise",
    "model.corruptions.*.n": "the clean folder has no corruptions: test_corruptions has it",
    "model.corruptions.*.clean_error": "likewise",
    "record.adaptive.*.n": "the clean folder has no adaptive attacks: test_adaptive_faults has it",
    "record.adaptive.*.fooled": "likewise",
    "record.adaptive.*.success_rate": "likewise",
}
"""Fields that this law does not edit, and why."""

EDITED = [
    f"{kind}.{name}"
    for kind in ("record", "model")
    for name, one in SORTED[kind].items()
    if one.how != "re-runnable" and f"{kind}.{name}" not in SKIPPED
]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clean") / "results")


@pytest.fixture(scope="module")
def state(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    assert verify(clean, state=State(folder)).faults == ()
    return folder


@pytest.mark.parametrize("name", EDITED)
def test_an_edit_of_a_field_that_is_verified_is_found(name: str, clean: Path, state: Path, tmp_path: Path) -> None:
    """The forger seals the file again, and names the model anew in all records."""
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    kind, _, field = name.partition(".")
    model = "glow" if field.startswith("bits") else "plain"
    path = record_at(root) if kind == "record" else root / record_at(root).parts[-3] / "models" / model / "0.json"
    way = concrete(json.loads(path.read_text()), field.split("."))
    if kind == "record":
        set_field(root, "|".join(way[:-1]), way[-1])
    else:
        set_model(root, "|".join(way[:-1]), way[-1], model)
    faults = verify(root, state=State(state)).faults
    assert faults, f"{name} was edited, and nobody noticed"


def concrete(content: Any, way: list[str]) -> list[Any]:
    """Return the way to a field with the first key in place of *, and at its end another value of its type."""
    found: list[Any] = []
    for step in way:
        key = next(iter(content)) if step == "*" else step
        content = content[key]
        found.append(key)
    if content is None:
        return [*found, "edited"]
    if isinstance(content, dict):
        first = next(iter(content), "edited")
        inner = content.get(first, 0)
        return [*found, {**content, first: not inner if isinstance(inner, bool) else edited(inner)}]
    return [*found, edited(content)]


def edited(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str) and len(value) == 64:
        return "f" * 64
    if isinstance(value, list):
        return [*value, 1.5] if value else [7]
    other = OTHER[type(value)]
    return other if other != value else value + 1


def test_what_is_only_re_runnable_passes_and_is_told(clean: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    set_all(root, "facts", {"T": 17.0}, "odin-tuned")
    report = verify(root)
    assert report.faults == ()
    assert "record.facts" in told(report)


def test_the_state_is_not_believed_over_bytes(clean: Path, state: Path, tmp_path: Path) -> None:
    """An entry is examined again when its record, its scores, its cost, or any of its models has changed."""
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    assert verify(root, state=State(state)).examined == 0
    for file in ("msp/0.json", "msp/0.parquet", "msp/0.cost.json"):
        path = root / "mnist5k-v1" / file
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        assert verify(root, state=State(state)).examined >= 1, file
        path.write_bytes(before)
    set_model(root, "quality|nll", 0.14)
    assert verify(root, state=State(state)).examined == 4


def test_models_and_records_of_the_clean_folder_are_those_of_the_schema(clean: Path) -> None:
    assert read_record(record_at(clean)).model == read_record(record_at(clean)).reference
    assert read_model(clean / "mnist5k-v1" / "models" / "glow" / "0.json").bits_per_dimension
    assert CATALOGUE
