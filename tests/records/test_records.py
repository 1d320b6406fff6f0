"""Records: round trips, equal bytes, and every way in which a record can be broken, foreign or too new."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from oodbench.errors import BadRecord
from oodbench.records import (
    AdaptiveAttack,
    Calibration,
    Cost,
    ModelRecord,
    Quality,
    Record,
    Scaled,
    model_paths,
    model_sha256,
    read_cost,
    read_model,
    read_record,
    record_paths,
    verify,
    write_cost,
    write_model,
    write_record,
    write_scores,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "records"


def test_what_is_written_comes_back(tmp_path, record):
    write_record(tmp_path / "deep" / "3.json", record)
    assert read_record(tmp_path / "deep" / "3.json") == record


def test_equal_records_make_equal_bytes_that_people_can_read(tmp_path, record):
    turned = record.model_copy(update={"packages": dict(reversed(record.packages.items()))})
    write_record(tmp_path / "a.json", record)
    write_record(tmp_path / "b.json", turned)
    text = (tmp_path / "a.json").read_text()
    assert (tmp_path / "b.json").read_text() == text
    assert text.endswith("}\n")
    assert text.splitlines()[1].startswith(' "behaviour"')
    assert json.loads(text)["schema_version"] == 2
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert len(json.loads(text)["seal"]) == 64


def test_what_adaptive_attacks_achieved_comes_back_and_stands_only_where_there_were_some(tmp_path, record):
    facts = {"n": 4, "fooled": 1, "success_rate": 0.25, "mean_linf": 0.1, "mean_l2": 0.2, "flat": 2}
    attacked = record.model_copy(update={"adaptive": {"pgd-8@score-1": AdaptiveAttack(**facts, mean=1.0, std=2.0)}})
    for name, one in (("a.json", record), ("b.json", attacked)):
        write_record(tmp_path / name, one)
        assert read_record(tmp_path / name) == one
        assert ("adaptive" in json.loads((tmp_path / name).read_text())) == (one is attacked)


def test_a_record_cannot_be_changed(record):
    with pytest.raises(ValidationError, match="frozen"):
        record.seed = 4


@pytest.mark.parametrize(
    "schema", sorted(path.stem for path in FIXTURES.glob("schema-*.json") if ".cost" not in path.name)
)
def test_old_schemas_stay_readable(schema):
    record = read_record(FIXTURES / f"{schema}.json")
    assert record.schema_version == 2
    read_cost(FIXTURES / f"{schema}.cost.json")


def test_records_from_before_checks_stay_valid_and_say_nothing_of_them(tmp_path, record):
    assert read_record(edit(tmp_path / "0.json", record, checked="absent")).checked is None
    for checked in (True, False, None):
        assert read_record(edit(tmp_path / "0.json", record, checked=checked)).checked is checked


def test_the_fixture_of_this_schema_says_what_it_always_said():
    record = read_record(FIXTURES / "schema-1.json")
    assert (record.matrix, record.method, record.seed, record.status) == ("tiny-v1", "odin", 3, "ok")
    assert record.parameters.chosen == {"eps": 0.002}
    (svhn,) = record.cells  # numbers are not kept: they follow from the scores
    assert (svhn.status, svhn.reason) == ("skipped", "not on this machine: oodbench data get svhn")


SKIPPED = {"failure": "ood", "name": "a", "status": "skipped", "reason": "not here"}


def edit(path, record, **changes):
    content = record.model_dump(mode="json") | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 3, "cells": "?"}, r"written by a newer oodbench; upgrade \(schema 3, .*up to 2\)"),
        ({"schema_version": "absent"}, r"not an oodbench record: schema_version is None"),
        ({"schema_version": 0}, r"schema_version is 0, expected 1 to 2"),
        ({"schema_version": "1"}, r"schema_version is '1'"),
        ({"surprise": 1}, r"surprise: Extra inputs are not permitted"),
        ({"matrix": "absent"}, r"matrix: Field required"),
        ({"seed": "3"}, r"seed: Input should be a valid integer"),
        ({"status": "failed"}, r"status 'failed' with reason None"),
        ({"reason": "late"}, r"status 'ok' with reason 'late'"),
        ({"scores_sha256": None}, r"status 'ok' without scores_sha256"),
        ({"scores_sha256": "abc"}, r"scores_sha256: String should match"),
        ({"recipe": {}}, r"recipe has no 'name'"),
        ({"tuning_access": "test"}, r"tuning_access: Input should be 'none', 'id_val'"),
        ({"passes": {"forward": -1.0, "gradient": 0.0}}, r"passes\.forward: Input should be greater"),
        ({"cells": [SKIPPED] * 2}, r"two cells of one failure and name"),
        ({"cells": [SKIPPED | {"metrics": {"auroc": 1.0}}]}, r"cells\.0\.metrics: Extra inputs are not permitted"),
        ({"cells": [SKIPPED | {"status": "ok"}]}, r"cells\.0\.status: Input should be 'skipped' or 'failed'"),
        ({"cells": [SKIPPED | {"reason": None}]}, r"status 'skipped' with reason None"),
        ({"model": {"name": "plain"}}, r"model\.sha256: Field required"),
    ],
)
def test_broken_records_are_named(tmp_path, record, changes, message):
    with pytest.raises(BadRecord, match=message) as caught:
        read_record(edit(tmp_path / "3.json", record, **changes))
    assert str(caught.value).startswith(str(tmp_path / "3.json"))


def test_many_faults_make_a_short_message(tmp_path, record):
    with pytest.raises(BadRecord, match=r"\(and 2 more\)$"):
        read_record(edit(tmp_path / "3.json", record, a=1, b=2, c=3, d=4, e=5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"{", "truncated or not JSON"),
        (b'{"schema_version": 2, "facts": {"T": 1e400}}', "1e400 is no finite number"),
        (b"[1]", "not an oodbench record"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_files_that_are_no_records_are_named(tmp_path, content, message):
    (tmp_path / "3.json").write_bytes(content)
    with pytest.raises(BadRecord, match=rf"3\.json: .*{message}"):
        read_record(tmp_path / "3.json")


def test_a_record_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadRecord, match=r"none\.json: no such record"):
        read_record(tmp_path / "none.json")


def test_a_truncated_record_is_named_wherever_it_ends(tmp_path, record):
    write_record(tmp_path / "3.json", record)
    text = (tmp_path / "3.json").read_text()
    for length in range(1, len(text) - 2, 97):
        (tmp_path / "3.json").write_text(text[:length])
        with pytest.raises(BadRecord, match="truncated or not JSON"):
            read_record(tmp_path / "3.json")


def test_no_flipped_bit_changes_a_record(tmp_path, record):
    path = tmp_path / "3.json"
    write_record(path, record)
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_record(path) == record
        except BadRecord:
            noticed += 1
    assert noticed > len(whole) / 11 / 2


def test_a_record_that_was_changed_by_hand_says_so(tmp_path, record):
    write_record(tmp_path / "3.json", record)
    text = (tmp_path / "3.json").read_text()
    (tmp_path / "3.json").write_text(text.replace('"forward": 2.0', '"forward": 1.0'))
    with pytest.raises(BadRecord, match="its seal does not fit its content"):
        read_record(tmp_path / "3.json")


def test_nan_has_no_place_in_a_record(tmp_path, record):
    with pytest.raises(ValidationError, match="finite number"):
        Quality(nll=float("nan"))
    lost = record.model_copy(update={"recipe": {"name": "plain", "lr": float("inf")}})
    with pytest.raises(BadRecord, match="finite numbers only"):
        write_record(tmp_path / "3.json", lost)
    assert list(tmp_path.iterdir()) == []


def test_paths_of_a_record():
    paths = record_paths(Path("results"), "tiny-v1", "msp", 0)
    assert paths == (
        Path("results/tiny-v1/msp/0.json"),
        Path("results/tiny-v1/msp/0.parquet"),
        Path("results/tiny-v1/msp/0.cost.json"),
        Path("results/tiny-v1/msp/0.failed.txt"),
    )
    for matrix, method in (("..", "msp"), ("tiny-v1", "a/b"), ("tiny-v1", "")):
        with pytest.raises(BadRecord, match="cannot name a folder of results"):
            record_paths(Path("results"), matrix, method, 0)
        with pytest.raises(BadRecord, match="cannot name a folder of results"):
            model_paths(Path("results"), matrix, method, 0)


def test_no_method_may_take_the_folder_of_the_models():
    with pytest.raises(BadRecord, match=r"no method may be named 'models': .*results/tiny-v1/models holds"):
        record_paths(Path("results"), "tiny-v1", "models", 0)
    for name in ("diagnostics", "methods", "reported"):
        with pytest.raises(BadRecord, match=f"no matrix may be named '{name}'"):
            record_paths(Path("results"), name, "msp", 0)


def test_verify_compares_the_scores_with_their_record(tmp_path, record, scores):
    path = tmp_path / "3.parquet"
    sha256 = write_scores(path, scores)
    assert verify(record.model_copy(update={"scores_sha256": sha256}), path).test.tolist() == scores.test.tolist()
    command = "oodbench run tiny-v1 --methods odin --seeds 3"
    with pytest.raises(BadRecord, match="does not match its record") as caught:
        verify(record, path)
    assert all(part in str(caught.value) for part in (str(path), sha256, "6" * 64, command))
    with pytest.raises(BadRecord, match=f"no such scores file.*{command}"):
        verify(record, tmp_path / "none.parquet")
    failed = Record.model_validate(
        record.model_dump() | {"status": "failed", "reason": "out of memory", "scores_sha256": None}
    )
    with pytest.raises(BadRecord, match=f"record of odin is failed.*{command}"):
        verify(failed, path)


CALIBRATION = Calibration(**dict.fromkeys(Calibration.model_fields, 0.5))
MODEL = ModelRecord(matrix="tiny-v1", name="plain", seed=3, recipe={"name": "plain"}, quality=Quality(accuracy=0.9))


def test_the_record_of_a_model_comes_back(tmp_path):
    write_model(tmp_path / "3.json", MODEL)
    assert read_model(tmp_path / "3.json") == MODEL
    (tmp_path / "3.json").write_text(
        (tmp_path / "3.json").read_text().replace('"schema_version": 2', '"schema_version": 9')
    )
    with pytest.raises(BadRecord, match="newer oodbench"):
        read_model(tmp_path / "3.json")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"key": "1" * 64}, True),
        ({"source_sha256": "1" * 64, "machine": "cpu AVX2"}, True),
        ({"recipe": {"name": "plain", "new_field": 0}}, True),  # a new field of recipes leaves every model as it is
        ({"calibration": Scaled(plain=CALIBRATION)}, True),  # measured later, of the same logits
        ({"quality": Quality(accuracy=0.91)}, False),
        ({"bits_per_dimension": {"test": 3.0}}, False),
        ({"outcomes_sha256": "2" * 64}, False),
        ({"seed": 4}, False),
    ],
)
def test_a_model_is_known_by_what_it_is_and_does(change, same):
    assert (model_sha256(MODEL.model_copy(update=change)) == model_sha256(MODEL)) is same


def test_a_new_optional_number_leaves_every_model_as_it_is():
    """What an older record does not say counts as absent, whatever today's schema knows besides."""
    content = MODEL.model_dump(mode="json", exclude_none=True)
    assert model_sha256(ModelRecord.model_validate(content)) == model_sha256(MODEL)


def test_cost_round_trip(tmp_path):
    cost = Cost(
        seconds={"train": 1.5, "score": 0.25}, peak_memory_mb=512.0, started_at=datetime(2025, 5, 1, tzinfo=UTC)
    )
    write_cost(tmp_path / "3.cost.json", cost)
    assert read_cost(tmp_path / "3.cost.json") == cost
    (tmp_path / "3.cost.json").write_text('{"seconds": {"train": -1}}')
    with pytest.raises(BadRecord, match=r"3\.cost\.json: seconds\.train: Input should be greater"):
        read_cost(tmp_path / "3.cost.json")
