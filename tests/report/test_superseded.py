"""Rows of earlier versions are marked: those, and no others."""

from pathlib import Path

import pytest
from tests.report.test_leaderboard import OOD, of, results  # noqa: F401

from oodbench.data.matrix import find_matrix
from oodbench.errors import BadCard, UnknownName
from oodbench.records import Record, read_record
from oodbench.report.leaderboard import leaderboard
from oodbench.report.superseded import superseded
from oodbench.run.records import declared_versions
from oodbench.run.registry import Registered
from oodbench.run.rows import on_models, rows

COMMITTED = Path(__file__).parents[2] / "results"


def of_other_versions() -> dict[str, set[str]]:
    """Every method whose committed scores were made under versions that it no longer declares, by matrix."""
    found: dict[str, set[str]] = {}
    for path in sorted(COMMITTED.glob("*/*/0.json")):
        if path.parts[-2] == "models" or path.parts[-3] in ("diagnostics", "models"):
            continue
        record = read_record(path)
        entry = entry_of(record)
        if record.status == "ok" and (
            entry is None or record.versions != declared_versions(entry.method) or of_other_members(record, entry)
        ):
            found.setdefault(record.matrix, set()).add(record.method)
    return found


def entry_of(record: Record) -> Registered | None:
    """Return the row of a record's matrix: of a method, or of a method on a model that the matrix is given."""
    matrix = find_matrix(record.matrix)
    try:
        (entry,) = on_models(matrix, rows(matrix, [record.method]))
    except UnknownName:
        return None
    return entry


def of_other_members(record: Record, entry: Registered) -> bool:
    """Whether an ensemble has other members than its recipe gives it now."""
    if "M" not in record.recipe:
        return False
    seeds = find_matrix(record.matrix).seeds
    members = [member for _, member in entry.method.recipe.parts(record.seed, seeds)]
    return sorted(members) != sorted(record.members)


def test_committed_rows_of_earlier_versions_are_those_that_the_file_names() -> None:
    assert {matrix: set(methods) for matrix, methods in superseded(COMMITTED).items()} == of_other_versions()


def test_such_a_row_is_marked_wherever_it_stands(results: Path) -> None:  # noqa: F811
    (results / "superseded.toml").write_text(
        '[[superseded]]\nmatrix = "made-v1"\nmethods = ["odin"]\nchange = "its step was longer"\n'
    )
    made = leaderboard(results)
    kind = made["docs/leaderboard/made-v1/ood.md"]
    assert of(kind, OOD, "odin")[1].endswith("†")
    assert not of(kind, OOD, "msp")[1].endswith("†")
    assert "- `odin`: its step was longer." in made["docs/leaderboard/made-v1/README.md"]
    assert "earlier version of the method: its step was longer." in made["docs/leaderboard/methods/odin.md"]
    assert "earlier version" not in made["docs/leaderboard/methods/msp.md"]


def test_a_broken_file_is_told(results: Path) -> None:  # noqa: F811
    (results / "superseded.toml").write_text('[[superseded]]\nmatrix = "made-v1"\nmethod = "odin"\n')
    with pytest.raises(BadCard, match=r"superseded\.toml"):
        leaderboard(results)
