"""Boards of many rows: the best of each family and what may be the best stand open, everything else is folded."""

from pathlib import Path
from typing import get_args

import pytest
from made import put, scores

from oodbench import listed
from oodbench.contract import Family
from oodbench.report.families import (
    FAMILIES,
    MOST_MARKED,
    MOST_ROWS,
    family_of,
    of_families,
    short_board,
    short_board_said,
)
from oodbench.report.leaderboard import leaderboard
from oodbench.report.standings import Standings, read_matrices

METHODS = {line.name: line.family for line in listed.rows()}
MANY = sorted({*sorted(METHODS)[: MOST_ROWS + 8], "bin", "energy"})


def made(results: Path, methods: list[str], shift_of: dict[str, float]) -> Standings:
    for method in methods:
        for seed in (0, 1, 2):
            put(results, method, seed, scores(seed, shift_of.get(method, 1.0)), scale="cpu")
    return next(one for one in read_matrices(results)[0].kinds if one.kind.name == "ood")


def test_families_have_words_and_methods_have_families() -> None:
    assert tuple(FAMILIES) == get_args(Family)
    assert set(METHODS.values()) <= set(FAMILIES) - {"other"}
    assert family_of("knn@resnet-20") == family_of("knn") == "features"
    assert family_of("of-a-package") == "other"


def test_few_rows_are_all_shown(tmp_path: Path) -> None:
    standings = made(tmp_path / "results", MANY[:5], {})
    assert short_board(standings) == list(standings.ranks)
    assert short_board_said(standings) == ""


def test_a_short_board_has_the_best_of_each_family_and_all_that_may_be_the_best(tmp_path: Path) -> None:
    best = MANY[3]
    standings = made(tmp_path / "results", MANY, {one: place / 20 for place, one in enumerate(MANY)} | {best: 5.0})
    shown, rows = short_board(standings), list(standings.ranks)
    assert rows[0] == best
    assert [one.method for one in standings.ranked if one.may_be_best] == [best]
    firsts = {family: next(row for row in rows if METHODS[row] == family) for family in {METHODS[row] for row in rows}}
    assert set(shown) == {best, *firsts.values()}
    assert shown == [row for row in rows if row in shown], "in their order"
    assert short_board_said(standings) == (
        f"Shown are {len(shown)} of {len(rows)} rows: the best of each family, and every row marked ★."
    )


def test_where_most_may_be_the_best_the_first_stand_for_them(tmp_path: Path) -> None:
    standings = made(tmp_path / "results", MANY, {})
    marked = [one.method for one in standings.ranked if one.may_be_best]
    assert len(marked) == len(MANY) > MOST_MARKED, "equal scores"
    assert set(short_board(standings)) == {rows[0] for rows in of_families(marked).values()}
    assert f"the first of the {len(marked)} ★" in short_board_said(standings)


def test_of_many_that_may_be_the_best_all_at_the_first_place_stand_there(tmp_path: Path) -> None:
    alike = [MANY[1], MANY[4]]
    standings = made(tmp_path / "results", MANY, dict.fromkeys(alike, 1.01))
    marked = [one.method for one in standings.ranked if one.may_be_best]
    assert len(marked) > MOST_MARKED
    assert {one.method for one in standings.ranked if one.place == 1} == set(alike) <= set(short_board(standings))
    assert f"the 2 at place 1 of the {len(marked)} ★" in short_board_said(standings)


def test_rows_by_family_are_all_rows_once() -> None:
    rows = ["odin", "msp", "of-a-package", "knn@a", "knn@b"]
    assert of_families(rows) == {
        "logits": ["msp"],
        "features": ["knn@a", "knn@b"],
        "perturbation": ["odin"],
        "other": ["of-a-package"],
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    results = tmp_path_factory.mktemp("many") / "results"
    made(results, MANY, {one: place / 20 for place, one in enumerate(MANY)})
    return leaderboard(results)


def test_a_long_page_folds_its_tables_and_loses_no_row(pages: dict[str, str]) -> None:
    text = pages["docs/leaderboard/made-v1/ood.md"]
    assert text.count("<details>") == text.count("</details>") > len({METHODS[one] for one in MANY})
    folded = text.split("<summary>", 1)[1]
    assert all(f"[`{method}`]" in folded for method in MANY)
    assert f"<summary>All {len(MANY)} rows</summary>" in text


def test_a_page_of_a_method_documents_it(pages: dict[str, str]) -> None:
    text = pages["docs/leaderboard/methods/energy.md"]
    assert "s(x) = -E(x; T) = T log sum_i exp(z_i / T)" in text
    assert 'methods=["energy"]' in text
    assert "Family: logits" in text
    trained = pages["docs/leaderboard/methods/bin.md"]
    assert "$ oodbench run made-v1 --methods bin" in trained
