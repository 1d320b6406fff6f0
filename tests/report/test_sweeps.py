"""Sweeps: found in the records, each value with its own numbers, the papers' beside."""

import re
from statistics import mean

import pytest
from tests.report.made import put, scores

from oodbench.records import Quality
from oodbench.report.leaderboard import leaderboard, write
from oodbench.report.models import points, reported_sweep, sweep_table, sweeps
from oodbench.report.reported import papers
from oodbench.report.standings import read_matrices

BETAS = (0, 2, 16, "inf")


def made(results, betas=BETAS, **more):
    for seed in (0, 1):
        put(results, "msp", seed, scores(seed, 1.0))
        for place, beta in enumerate(betas):
            said = scores(seed, 0.5 + place / 2)
            fields = {"recipe": {"name": "ibinn", "beta": beta, "m": 5} | more}
            if beta == 0:  # judged on the errors of the plain classifier
                fields["density"] = "ibinn-beta-0"
            else:
                fields["model"] = f"ibinn-beta-{beta}"
                fields["quality"] = Quality(
                    accuracy=0.5 + place / 10 + seed / 100, n_test=len(said.test), oce=0.0, oce_share=place / 100
                )
            put(results, f"ib-inn-{beta}", seed, said, bits_per_dimension={"test": 2.0 + place + seed}, **fields)
        recipe = {"name": "ibinn", "beta": 2, "m": 5} | more
        put(results, "ib-inn-2-class-likelihood", seed, scores(seed, 9.0), model="other", recipe=recipe)
    return read_matrices(results)[0]


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_recipes_alike_but_for_one_field_are_a_sweep_in_order_of_its_values(tmp_path):
    (sweep,) = sweeps(made(tmp_path))
    assert (sweep.recipe, sweep.field) == ("ibinn", "beta")
    assert [(value, method) for value, method, _ in sweep.values] == [(b, f"ib-inn-{b}") for b in BETAS]


def test_three_values_or_two_fields_are_none(tmp_path):
    assert sweeps(made(tmp_path / "three", BETAS[:3])) == []
    matrix = made(tmp_path / "two")
    for seed in (0, 1):
        put(tmp_path / "two", "ib-inn-4", seed, scores(seed, 1.0), recipe={"name": "ibinn", "beta": 4, "m": 6})
    assert sweeps(read_matrices(tmp_path / "two")[0]) == []
    assert len(sweeps(matrix)) == 1


def augmented(results, *words):
    plain = {"name": "plain", "training": {"augment": []}}
    for seed in (0, 1):
        put(results, "msp", seed, scores(seed, 1.0), recipe=plain)
        put(results, "energy", seed, scores(seed, 1.5), recipe=plain)
        for place, word in enumerate(words):
            recipe = {"name": "augmented", "more": [word], "training": {"augment": [word]}}
            put(results, f"{word}-msp", seed, scores(seed, 2.0 + place), recipe=recipe, model=word)
    return read_matrices(results)[0]


def test_words_stand_beside_none_which_is_the_plain_recipe(tmp_path):
    matrix = augmented(tmp_path, "mixed", "cut", "noisy")
    (sweep,) = sweeps(matrix)
    assert [(value, method) for value, method, _ in sweep.values] == [
        ([], "msp"),
        (["cut"], "cut-msp"),
        (["mixed"], "mixed-msp"),
        (["noisy"], "noisy-msp"),
    ]
    assert (sweep.title, sweep.ordered) == ("What cut, mixed, noisy change", False)
    table = sweep_table(sweep, matrix, lambda method: f"`{method}`")
    assert "Bits per dimension" not in table  # which nothing has
    assert [row[:2] for row in rows(table)] == [
        ["none", "`msp`"],
        ["cut", "`cut-msp`"],
        ["mixed", "`mixed-msp`"],
        ["noisy", "`noisy-msp`"],
    ]
    write(tmp_path, tmp_path / "leaderboard.md")
    assert "## What cut, mixed, noisy change" in (tmp_path / "docs/leaderboard/made-v1/README.md").read_text()
    assert not list(tmp_path.rglob("*more*.svg"))  # no curve runs over words
    assert sweeps(augmented(tmp_path / "two", "cut", "mixed")) == []


def test_a_value_has_its_own_numbers_and_no_accuracy_where_it_does_not_classify(tmp_path):
    matrix = made(tmp_path)
    (sweep,) = sweeps(matrix)
    first, second, *_ = points(sweep, matrix)
    assert (first.accuracy, second.accuracy) == ([], pytest.approx([0.6, 0.61]))
    assert second.bits == [3.0, 4.0]
    table = rows(sweep_table(sweep, matrix, lambda method: f"`{method}`"))
    assert table[0][:5] == ["0", "`ib-inn-0`", "2.50 ± 0.71", "–", "–"]
    assert table[1][:6] == ["2", "`ib-inn-2`", "3.50 ± 0.71", "60.50 ± 0.71", "0.00 ± 0.00", "1.00 ± 0.00"]
    assert float(table[1][6].split()[0]) == pytest.approx(100 * mean(second.auroc["ood"]), abs=0.005)


def test_the_papers_sweep_stands_below_in_their_own_digits(tmp_path):
    matrix = made(tmp_path)
    (sweep,) = sweeps(matrix)
    theirs = {row[0]: row[1:6] for row in rows(reported_sweep(sweep, papers(tmp_path)))}
    assert theirs["`ib-inn-2`"] == ["imagenet", "6.14", "71.73", "4.13", "73.6"]
    assert theirs["`ib-inn-0`"] == ["imagenet", "2.59", "–", "–", "77.51"]
    assert reported_sweep(sweep, []) is None


def test_the_page_of_the_matrix_shows_the_sweep_and_its_picture(tmp_path):
    made(tmp_path)
    write(tmp_path, tmp_path / "leaderboard.md")
    page = tmp_path / "docs" / "leaderboard" / "made-v1" / "README.md"
    text = page.read_text()
    assert "## What beta changes in ibinn" in text
    picture = re.search(r"!\[beta of ibinn\]\((\S+)\)", text)
    assert picture and picture[1].endswith("/made-v1/figures/ibinn-beta.svg")
    assert (tmp_path / "made-v1" / "figures" / "ibinn-beta.svg").read_text().startswith("<?xml")
    assert leaderboard(tmp_path)["docs/leaderboard/made-v1/README.md"] == text
