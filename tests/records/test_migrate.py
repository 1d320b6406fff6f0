"""Results of oodbench 0.1 in today's layout: every number as it was, nothing taken on trust."""

import hashlib
import json
from pathlib import Path

import pytest

from oodbench.errors import BadRecord
from oodbench.migrate import main, migrate, registered_names
from oodbench.records import read_model, read_outcomes, read_record, read_scores, record_paths
from oodbench.report.entries import collect
from oodbench.report.numbers import numbers
from oodbench.upgrade import cells_of_1

FIXTURE = Path(__file__).parents[1] / "fixtures" / "records" / "schema-1"


def old(results: Path, method: str = "odin", **changes) -> Path:
    """Put the record of schema 1 into a folder, as a method's."""
    folder = results / "tiny-v1" / method
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads(FIXTURE.with_suffix(".json").read_text()) | {"method": method} | changes
    (folder / "3.json").write_text(json.dumps(content))
    (folder / "3.npz").write_bytes(FIXTURE.with_suffix(".npz").read_bytes())
    return folder


def names(content):
    return "plain", None


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_number_is_as_it_was(tmp_path):
    old(tmp_path)
    said = migrate(tmp_path, names)
    assert "1 records and 1 models" in said
    assert "equal to the last bit" in said
    assert set(files(tmp_path)) == {
        *("tiny-v1/odin/3.json", "tiny-v1/odin/3.parquet"),
        *("tiny-v1/models/plain/3.json", "tiny-v1/models/plain/3.parquet"),
    }
    content = json.loads(FIXTURE.with_suffix(".json").read_text())
    (entry,) = collect(tmp_path)
    frame = numbers(tmp_path, [entry]).frame.set_index(["kind", "set", "metric"])
    cells = cells_of_1(content)
    out_sets = sum(cell.failure == "ood" for cell in cells)
    # What old records had not: the Mann-Whitney test and four numbers of selective prediction, and one of each out-set.
    assert len(frame) == 9 * len(cells) + 5 + out_sets == 9 * 6 + 5 + out_sets
    for cell in cells:
        for metric, value in cell.metrics.items():
            row = frame.loc[(cell.failure, cell.name, metric)]
            assert (row.n_good, row.n_bad) == (cell.n_good, cell.n_bad)
            assert row.value == pytest.approx(value, abs=1e-12)
    assert entry.reference.quality.accuracy == content["subject"]["accuracy"]
    assert entry.reference.attacks["fgsm-8"].fooled == content["attacks"]["fgsm-8"]["fooled"]


def test_methods_on_one_model_share_its_files(tmp_path):
    for method in ("odin", "msp"):
        old(tmp_path, method)
    assert "2 records and 1 models" in migrate(tmp_path, names)
    records = [read_record(record_paths(tmp_path, "tiny-v1", method, 3).record) for method in ("odin", "msp")]
    assert records[0].model == records[1].model == records[0].reference


def test_a_density_has_a_record_of_its_own_and_one_of_the_classifier_that_it_judges(tmp_path):
    old(tmp_path)
    old(tmp_path, "glow", recipe={"name": "glow"}, bits_per_dimension={"test": 3.0})
    migrate(tmp_path, lambda content: ("glow", "plain") if content["method"] == "glow" else ("plain", None))
    glow, plain = (read_model(tmp_path / "tiny-v1" / "models" / name / "3.json") for name in ("glow", "plain"))
    assert (glow.bits_per_dimension, glow.outcomes_sha256, glow.attacks) == ({"test": 3.0}, None, {})
    assert plain.bits_per_dimension == {}
    assert plain.recipe["name"] == "plain"
    outcomes = read_outcomes(tmp_path / "tiny-v1" / "models" / "plain" / "3.parquet", plain.outcomes_sha256)
    assert len(outcomes.correct) == len(read_scores(tmp_path / "tiny-v1" / "glow" / "3.parquet").test)


def test_methods_that_disagree_on_their_model_stop_it_and_nothing_is_changed(tmp_path):
    old(tmp_path)
    content = json.loads(FIXTURE.with_suffix(".json").read_text())
    old(tmp_path, "msp", subject=content["subject"] | {"accuracy": 0.5})
    before = files(tmp_path)
    with pytest.raises(BadRecord, match=r"odin/3\.json: says otherwise of the model plain, seed 3, .*\(quality\)"):
        migrate(tmp_path, names)
    assert files(tmp_path) == before


def test_a_number_that_would_change_stops_it_and_nothing_is_changed(tmp_path):
    content = json.loads(FIXTURE.with_suffix(".json").read_text())
    cells = json.loads(json.dumps(content["cells"]))
    cells[1]["metrics"]["auroc"] += 1e-9
    old(tmp_path, cells=cells)
    before = files(tmp_path)
    with pytest.raises(BadRecord, match=r"ood/blobs would change"):
        migrate(tmp_path, names)
    assert files(tmp_path) == before


def test_scores_that_are_not_the_records_stop_it(tmp_path, capsys):
    folder = old(tmp_path)
    (folder / "3.npz").write_bytes((folder / "3.npz").read_bytes()[:-1])
    assert main([str(tmp_path)]) == 2
    assert "is not the scores file that 3.json names" in capsys.readouterr().err


def test_a_second_time_there_is_nothing_to_do(tmp_path):
    old(tmp_path)
    migrate(tmp_path, names)
    before = files(tmp_path)
    assert "nothing to migrate" in migrate(tmp_path, names)
    assert files(tmp_path) == before


def test_a_record_without_scores_stays_readable_where_it_is(tmp_path):
    folder = old(tmp_path, status="skipped", reason="needs labels", scores_sha256=None, cells=[])
    (folder / "3.npz").unlink()
    assert "nothing to migrate" in migrate(tmp_path, names)
    (entry,) = collect(tmp_path)
    assert (entry.record.status, entry.record.reason) == ("skipped", "needs labels")


def test_an_old_folder_is_named_with_the_command_that_moves_it(tmp_path):
    old(tmp_path)
    with pytest.raises(BadRecord, match=rf"written by oodbench 0\.1.*python -m oodbench\.migrate {tmp_path}"):
        collect(tmp_path)


def test_names_are_those_of_a_run_or_tell_recipes_apart():
    name_of = registered_names()
    content = json.loads(FIXTURE.with_suffix(".json").read_text())
    foreign = content | {"recipe": {"name": "plain", "training": {"epochs": 77}}}
    other = content | {"recipe": {"name": "plain", "training": {"epochs": 78}}}
    assert name_of(foreign)[0] != name_of(other)[0]
    assert all(name_of(one)[0].startswith("plain-") for one in (foreign, other))
    assert hashlib.sha256(FIXTURE.with_suffix(".npz").read_bytes()).hexdigest() == content["scores_sha256"]
