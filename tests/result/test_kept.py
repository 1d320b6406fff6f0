"""A result in a folder is the same result, and nothing else is one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_result import result

from oodbench import load
from oodbench.errors import BadRecord, NewerRecord
from oodbench.result import Result, kept

FOUND = result()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FOUND.save(tmp_path_factory.mktemp("kept") / "deep" / "report")


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    (to / "scores.parquet").write_bytes((folder / "scores.parquet").read_bytes())
    return to


def same(a: Result, b: Result) -> None:
    assert a.accuracy == b.accuracy
    pd.testing.assert_frame_equal(a.table, b.table)
    assert {m: [*sets] for m, sets in a.scores.items()} == {m: [*sets] for m, sets in b.scores.items()}
    for method, sets in a.scores.items():
        for name, values in sets.items():
            np.testing.assert_array_equal(values, b.scores[method][name])
    np.testing.assert_array_equal(a.correct, b.correct)
    assert [*a.attacks] == [*b.attacks]
    for name, one in a.attacks.items():
        np.testing.assert_array_equal(one.index, b.attacks[name].index)
        np.testing.assert_array_equal(one.fooled, b.attacks[name].fooled)


def test_what_is_loaded_is_what_was_saved(folder: Path) -> None:
    again = load(str(folder))
    same(FOUND, again)
    pd.testing.assert_frame_equal(FOUND.metrics, again.metrics)
    pd.testing.assert_frame_equal(FOUND.compare("msp", "knn"), again.compare("msp", "knn"))


def test_a_result_without_methods_is_kept_too(tmp_path: Path) -> None:
    empty = result(judged=[], doubts=[])
    same(empty, load(empty.save(tmp_path / "report")))
    assert "has no" not in (tmp_path / "report" / "report.md").read_text()


def test_others_read_the_scores(folder: Path) -> None:
    rows = pd.read_parquet(folder / "scores.parquet")
    assert [*rows.columns] == ["method", "kind", "set", "index", "score"]
    mine = rows[(rows["method"] == "knn") & (rows["set"] == "my own set")]
    np.testing.assert_array_equal(mine["score"], FOUND.scores["knn"]["my own set"])
    pd.testing.assert_frame_equal(pd.read_csv(folder / "metrics.csv"), FOUND.metrics)


def test_the_page_has_the_accuracy_on_top_the_numbers_and_the_notes(folder: Path) -> None:
    page = (folder / "report.md").read_text()
    assert f"**{FOUND.accuracy['test']:.2%}** of 120 test images right" in page.splitlines()[2]
    row = FOUND.table.set_index(["method", "set"]).loc[("knn", "far")]
    assert f"{100 * row['fpr95']:.2f} ({100 * row['fpr95_low']:.1f} to {100 * row['fpr95_high']:.1f})" in page
    assert "- `temperature`: needs validation" in page
    assert "**Doubtful:** the model is doubtful." in page
    for line in page.splitlines():
        if line.startswith("!["):
            assert (folder / line.rpartition("(")[2].rstrip(")")).is_file()


def test_saving_again_replaces_the_result_and_leaves_the_users_own_files(tmp_path: Path) -> None:
    result(seed=1).save(tmp_path)
    (tmp_path / "my notes.txt").write_text("mine")
    FOUND.save(tmp_path)
    same(FOUND, load(tmp_path))
    assert (tmp_path / "my notes.txt").read_text() == "mine"


def test_a_save_that_is_cut_off_leaves_the_result_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FOUND.save(tmp_path)

    def cut(table: pa.Table, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"PAR1 half of")
        raise KeyboardInterrupt

    monkeypatch.setattr(kept.pq, "write_table", cut)
    with pytest.raises(KeyboardInterrupt):
        result(seed=1).save(tmp_path)
    same(FOUND, load(tmp_path))


def test_folders_without_a_result_are_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BadRecord, match=r"no such folder; expected one that result\.save"):
        load(tmp_path / "nowhere")
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(BadRecord, match=r"holds no scores\.parquet, but other\.txt"):
        load(tmp_path)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(foreign / "scores.parquet")
    for call in (load, FOUND.save):
        with pytest.raises(BadRecord, match=r"no result of oodbench\.evaluate wrote it: columns \['a'\]"):
            call(foreign)
    whole = (folder / "scores.parquet").read_bytes()
    for n in (0, 10, len(whole) // 2, len(whole) - 1):
        (foreign / "scores.parquet").write_bytes(whole[:n])
        with pytest.raises(BadRecord, match="is truncated or damaged"):
            load(foreign)


def test_a_change_by_hand_and_a_newer_layout_are_told(tmp_path: Path, folder: Path) -> None:
    table = pq.read_table(copied(folder, tmp_path / "a") / "scores.parquet")
    said = json.loads(table.schema.metadata[b"oodbench.result"])

    def put(table: pa.Table, said: dict[str, object]) -> None:
        metadata = {b"oodbench.result": json.dumps(said).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a" / "scores.parquet")

    put(table, said)
    same(FOUND, load(tmp_path / "a"))
    scores = table.column("score").to_numpy().copy()
    scores[7] += 1e-9
    changed = table.set_column(4, "score", pa.array(scores))
    for parts in ((changed, said), (table, said | {"accuracy": {"train": 1.0, "test": 1.0}})):
        put(*parts)
        with pytest.raises(BadRecord, match="is damaged: its content has sha256"):
            load(tmp_path / "a")
    put(table, said | {"version": 2})
    with pytest.raises(NewerRecord, match="of layout 2, and this oodbench reads up to 1"):
        load(tmp_path / "a")
