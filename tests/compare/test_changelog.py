"""The changelog of the leaderboard: what came, went and moved, with the reasons that records give."""

import shutil
from pathlib import Path

import pytest
from planted import lost, run

from oodbench.cli import main
from oodbench.compare.changelog import CAUSES, NO_CAUSES, changes
from oodbench.errors import BadSetting
from oodbench.records import Record, read_record, record_paths, write_record
from oodbench.report.leaderboard import write

FEW = {"seeds": (0, 1)}


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    folder = run(tmp_path_factory.mktemp("before") / "results", **FEW)
    write(folder, folder.parent / "leaderboard.md")
    return folder


def test_every_field_of_a_record_is_sorted() -> None:
    assert set(Record.model_fields) == set(CAUSES) | NO_CAUSES
    assert not set(CAUSES) & NO_CAUSES


def changed(before: Path, after: Path) -> list[str]:
    return [line for line in changes(str(before), str(after)).splitlines() if line.startswith("- ")]


def test_nothing_has_changed(before, tmp_path) -> None:
    assert changes(str(before), str(before)).endswith("Nothing has changed.\n")


def test_a_version_that_moved_is_the_reason_and_ranks_move(before, tmp_path) -> None:
    after = run(tmp_path / "results", lost(version=2, sign=-1), **FEW)
    write(after, tmp_path / "leaderboard.md")
    (after / "superseded.toml").write_text(
        '[[superseded]]\nmatrix = "made-v1"\nmethods = ["msp-t"]\nchange = "the sign was put right"\n'
    )
    lines = changed(before, after)

    assert lines[0].startswith("- `mahalanobis` version 1 → 2: version: detector 1 → 2")
    assert "the sign was put right" in lines[1]
    assert "ood by auroc: 1 → 2" in lines[0]


def test_other_scores_of_one_version_name_what_differs(before, tmp_path) -> None:
    lines = changed(before, run(tmp_path / "results", lost(noise=0.01, threads=4), **FEW))
    assert lines == [
        "- `mahalanobis` other scores: machine: threads 1 → 4.",
        "- `msp-t` other scores: machine: threads 1 → 4.",
    ]
    silent = changed(before, run(tmp_path / "silent", lost(noise=0.01), **FEW))
    assert silent[0] == "- `mahalanobis` other scores: nothing that records say."


def test_rows_seeds_and_matrices_come_and_go(before, tmp_path) -> None:
    after = tmp_path / "results"
    shutil.copytree(before, after)
    shutil.rmtree(after / "made-v1" / "msp-t")
    for path in (after / "made-v1" / "mahalanobis").glob("1.*"):
        path.unlink()
    other = run(tmp_path / "other", **FEW)
    for path in sorted((other / "made-v1").rglob("*.json")):
        if not path.name.endswith(".cost.json") and "models" not in path.parts:
            record = read_record(path).model_copy(update={"matrix": "made-v2", "status": "failed", "reason": "no disk"})
            empty = record.model_copy(update={"scores_sha256": None, "model": None, "reference": None})
            write_record(record_paths(after, "made-v2", record.method, record.seed).record, empty)

    forth, back = changes(str(before), str(after)), changed(after, before)

    assert "- Matrix `made-v2` added: 2 rows." in forth
    assert "- `mahalanobis` seeds: without seeds 1." in forth
    assert "- `msp-t` removed: version 1, seeds 0, 1." in forth
    assert "- Matrix `made-v2` removed: it had 2 rows." in back
    assert "- `mahalanobis` seeds: with seeds 1." in back
    assert "- `msp-t` added: version 1, seeds 0, 1." in back


def test_a_row_is_no_release(before) -> None:
    with pytest.raises(BadSetting, match="a changelog is of two folders"):
        changes("made-v1/msp-t", str(before), before)


def test_the_command_prints_it(before, capsys) -> None:
    assert main(["changes", str(before), str(before)]) == 0
    assert capsys.readouterr().out == changes(str(before), str(before))
