"""README's table: made between its marks, and nothing else of the file touched."""

from pathlib import Path

import pytest
from made import put, scores

from oodbench.errors import UnknownName
from oodbench.report.leaderboard import compare, write
from oodbench.report.readme import END
from oodbench.report.standings import read_matrices

BEGIN = "<!-- oodbench table writes what stands from here: made-v1 -->"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (0, 1):
        for place in range(12):
            cite = {"authors": "A", "title": f"Paper {place // 2}", "year": 2020, "url": None}
            put(tmp_path / "results", f"method-{place}", seed, scores(seed, 1 + place / 4), citation=cite)
        put(tmp_path / "results", "msp", seed, scores(seed, 0.5))
    (tmp_path / "README.md").write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n")
    return tmp_path / "results"


def test_a_few_rows_one_a_paper_and_the_baseline(results: Path) -> None:
    write(results, results.parent / "leaderboard.md")
    text = (results.parent / "README.md").read_text()
    assert text.startswith(f"# Title\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nThe rest.\n")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| [")]
    papers = [int(row.removeprefix("method-")) // 2 for row in rows if row != "msp"]
    assert sorted(papers) == list(range(6))
    assert "msp" in rows
    firsts = [standings.ranked[0].method for matrix in read_matrices(results) for standings in matrix.kinds]
    assert {int(method.removeprefix("method-")) // 2 for method in firsts} <= set(papers)
    assert firsts[0] in rows
    assert "(docs/leaderboard/methods/msp.md)" in text


def test_check_compares_it(results: Path) -> None:
    index, readme = results.parent / "leaderboard.md", results.parent / "README.md"
    write(results, index)
    assert compare(results, index) == []
    readme.write_text(readme.read_text().replace("`method-11`", "`method-12`"))
    assert "README.md is not what the scores make" in compare(results, index)[0]


def test_a_readme_without_the_marks_is_left_alone(results: Path) -> None:
    readme = results.parent / "README.md"
    readme.write_text("# Mine\n")
    write(results, results.parent / "leaderboard.md")
    assert readme.read_text() == "# Mine\n"


def test_the_table_is_of_the_matrix_that_the_mark_names(results: Path) -> None:
    put(results, "msp", 0, scores(0, 0.5), matrix="a-first-v1", scale="paper")
    write(results, results.parent / "leaderboard.md")
    text = (results.parent / "README.md").read_text()
    assert "`made-v1`" in text
    assert "a-first-v1" not in text


def test_a_matrix_without_results_is_an_error(results: Path) -> None:
    readme = results.parent / "README.md"
    readme.write_text(readme.read_text().replace("made-v1", "made-v2"))
    with pytest.raises(UnknownName, match="made-v2"):
        write(results, results.parent / "leaderboard.md")
