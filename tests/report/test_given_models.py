"""Pages of a matrix that is given its classifiers: a row a method and model, a page a method."""

from pathlib import Path

import pytest
from made import Drawn, put, scores

from oodbench.data.matrix import find_matrix
from oodbench.measure.kinds import averaged
from oodbench.report.leaderboard import leaderboard, table
from oodbench.report.standings import read_matrices
from oodbench.report.summary import summary

NAME = "cifar10-resnet-v1"
MATRIX = find_matrix(NAME)
SHIFTED = "cifar-10-jpeg-1k"
SETS = tuple(one.card for one in MATRIX.ood)
ATTACKS = tuple(one.attack for one in MATRIX.attacks)


def said(shift: float, wrong: int) -> Drawn:
    made = scores(0, shift, sets=SETS, attacks=ATTACKS)
    made.correct[:] = True
    made.correct[:wrong] = False
    for hit in made.adversarial.values():
        hit.fooled[:] = made.correct[hit.index]
    return made


@pytest.fixture
def results(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    for method, shift in (("msp", 1.0), ("odin", 2.0)):
        for model, wrong in (("resnet-20", 40), ("resnet-32", 4)):
            fields = {"matrix": NAME, "model": model, "scale": "cpu", "in_set": MATRIX.in_set}
            named = {"recipe": {"name": "given", "model": {"name": model}}, "title": f"{method.upper()}, {model}"}
            put(results, f"{method}@{model}", 0, said(shift, wrong), **fields, **named)
    put(results, "msp", 0, scores(0, 1.0))
    return results


def test_each_model_has_its_rows_and_its_accuracy_and_none_is_anothers_twin(results: Path) -> None:
    matrix = next(one for one in read_matrices(results) if one.name == NAME)
    for standings in matrix.kinds:
        assert set(standings.entries) == {"msp@resnet-20", "msp@resnet-32", "odin@resnet-20", "odin@resnet-32"}
        for method, accuracy in (("msp@resnet-20", 0.80), ("odin@resnet-32", 0.98)):
            spread = standings.accuracy(method)
            assert spread is not None and spread.mean == pytest.approx(accuracy)
            assert not standings.falls_behind(method)
    text = leaderboard(results)[f"docs/leaderboard/{NAME}/README.md"]
    assert "[`msp@resnet-20`](../methods/msp.md)" in text
    for model in MATRIX.model:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{model.name}` | `{model.network}`")]
        assert model.weights[0].sha256[:16] in row and model.licence in row
    assert "loaded as they were published" in text
    assert "small networks trained" not in text
    assert "small networks trained" not in summary(results, NAME)


def test_the_rows_of_a_method_stand_on_its_page(results: Path) -> None:
    pages = leaderboard(results)
    methods = sorted(name for name in pages if "/methods/" in name)
    assert methods == ["docs/leaderboard/methods/msp.md", "docs/leaderboard/methods/odin.md"]
    for method in ("msp", "odin"):
        text = pages[f"docs/leaderboard/methods/{method}.md"]
        assert f"# `{method}`: {method.upper()}\n" in text
        headings = [line for line in text.splitlines() if line.startswith("## ")]
        rows = [f"## [{NAME}](../{NAME}/README.md), `{method}@{model}`" for model in ("resnet-20", "resnet-32")]
        assert [line for line in headings if NAME in line] == rows
    assert "## [made-v1]" in pages["docs/leaderboard/methods/msp.md"]


def test_a_covariate_shift_has_a_column_and_is_in_no_mean(results: Path) -> None:
    """Nor in a rank: rows that differ there alone have equal ones."""
    matrix = next(one for one in read_matrices(results) if one.name == NAME)
    ood = matrix.kinds[0]
    assert SHIFTED in {column.name for column in ood.columns}
    assert SHIFTED not in averaged(ood.columns)
    before, ranks = ood.over_sets("auroc", "odin@resnet-20", averaged(ood.columns)), ood.ranks
    moved = said(2.0, 40)
    moved.ood[SHIFTED][:] += 9
    fields = {"matrix": NAME, "model": "resnet-20", "scale": "cpu", "in_set": MATRIX.in_set}
    put(results, "odin@resnet-20", 0, moved, **fields, recipe={"name": "given", "model": {"name": "resnet-20"}})
    frame = table(results, NAME)
    own = frame[(frame["method"] == "odin@resnet-20") & (frame["metric"] == "auroc") & (frame["set"] == SHIFTED)]
    assert own["value"].item() < 0.01
    after = next(one for one in read_matrices(results) if one.name == NAME).kinds[0]
    assert after.over_sets("auroc", "odin@resnet-20", averaged(after.columns)) == before
    assert after.ranks == ranks
    assert "covariate" in leaderboard(results)[f"docs/leaderboard/{NAME}/ood.md"]
