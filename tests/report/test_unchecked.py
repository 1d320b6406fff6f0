"""A row that ran unchecked has no rank anywhere, takes none from others, and says why."""

import csv
from pathlib import Path

import pytest
from made import put, scores

from oodbench.report.leaderboard import leaderboard
from oodbench.report.rank_table import NOT_CHECKED, ranks_csv, ranks_said
from oodbench.report.standings import UNCHECKED, read_matrices
from oodbench.reruns import Sample, append

SHIFTS = {"best": 4.0, "good": 2.0, "poor": 0.5}


def folder(root: Path, **checked: bool | None) -> Path:
    for method, shift in SHIFTS.items():
        for seed in range(2):
            put(root, method, seed, scores(seed, shift), checked=checked.get(method))
    return root


def out_sets(root: Path):
    (matrix,) = read_matrices(root)
    return next(one for one in matrix.kinds if one.kind.name == "ood")


def test_it_has_no_rank_and_takes_none(tmp_path: Path) -> None:
    standings = out_sets(folder(tmp_path, best=False, good=True))
    assert standings.ranks["best"] == UNCHECKED
    assert [(one.method, one.place) for one in standings.ranked] == [("good", 1), ("poor", 2)]
    assert standings.ranked[0].may_be_best
    assert f"A row that is unchecked has none: {NOT_CHECKED}." in ranks_said(standings)


@pytest.mark.parametrize("checked", [True, None])
def test_what_was_checked_or_is_older_is_ranked(checked: bool | None, tmp_path: Path) -> None:
    standings = out_sets(folder(tmp_path, best=checked))
    assert [one.method for one in standings.ranked] == ["best", "good", "poor"]
    assert "unchecked" not in ranks_said(standings)


def test_one_seed_that_ran_unchecked_is_enough(tmp_path: Path) -> None:
    put(folder(tmp_path), "good", 1, scores(1, 2.0), checked=False)
    assert out_sets(tmp_path).ranks["good"] == UNCHECKED


def test_where_no_row_has_a_rank_the_sentence_says_so_too(tmp_path: Path) -> None:
    standings = out_sets(folder(tmp_path, best=False, good=False, poor=False))
    assert ranks_said(standings) == f"No method has a rank. A row that is unchecked has none: {NOT_CHECKED}."


def test_ranks_as_data_leave_its_place_open(tmp_path: Path) -> None:
    matrices = read_matrices(folder(tmp_path, best=False))
    lines = [line for line in csv.DictReader(ranks_csv(matrices).splitlines()) if line["method"] == "best"]
    assert lines
    assert {line["place"] for line in lines} == {""}


def test_its_page_says_why(tmp_path: Path) -> None:
    pages = leaderboard(folder(tmp_path, best=False))
    (own,) = (text for path, text in pages.items() if path.endswith("methods/best.md"))
    assert f"- unchecked: {NOT_CHECKED}" in own
    assert "no rank, unchecked" in own
    (other,) = (text for path, text in pages.items() if path.endswith("methods/good.md"))
    assert NOT_CHECKED not in other


def test_the_page_of_a_matrix_says_what_re_runs_came_to(tmp_path: Path) -> None:
    root = folder(tmp_path)
    before = leaderboard(root)
    assert not any("**Re-runs.**" in text for text in before.values())
    own = {"date": "2026-11-28", "matrix": "made-v1", "commit": "", "draw": "5f", "share": 0.5, "records": 3}
    came = {"same_bytes": 3, "within_tolerance": 0, "drifted": 0, "failed": 0, "auroc": 0.0, "machine": "cpu AVX512"}
    append(root / "reruns.csv", Sample.model_validate(own | came))
    shown = [path for path, text in leaderboard(root).items() if "**Re-runs.** 3 randomly drawn records" in text]
    assert [path.rpartition("/")[0].rpartition("/")[2] for path in shown] == ["made-v1"]
