"""A matrix that reproduces a paper's table holds the cells of `results/reported`, under the paper's conventions."""

from pathlib import Path

import pytest

from oodbench.data.matrix import Matrix, find_matrix, load_matrices
from oodbench.measure.metrics import METRICS
from oodbench.networks import TRUNKS
from oodbench.report.reported import load_reported
from oodbench.run.plan import Job, plan, tuning_access
from oodbench.run.registry import find

REPORTED = load_reported(Path(__file__).parents[2] / "results" / "reported")

PAPERS = [matrix for matrix in load_matrices().values() if matrix.reproduces and not matrix.model]

TWINS = [name for name in load_matrices() if name.endswith("-tiny-v1") and name != "tiny-v1"]

NETWORKS = {
    "densenet-bc-100-12-tanh": {"DenseNet-BC-100-12", "PixelCNN++"},
    "densenet-bc-100-12": {"DenseNet-BC-100-12"},
    "wrn-28-10": {"WRN-28-10", "TE-WRN-28-10"},
    "resnet-34": {"ResNet-34"},
}
"""The papers' names of a network's rows."""

CARDS = {
    ("shao2020", "tiny-imagenet"): {"tiny-imagenet-crop", "tiny-imagenet-resize"},
    ("shao2020", "gaussian"): {"gaussian-odin"},
}
"""Cards that stand for a set which a paper does not define."""


def cells(matrix: Matrix):
    """Return the paper's OOD numbers that a matrix is to reproduce."""
    out = {one.card for one in matrix.ood}
    return [
        one
        for one in REPORTED
        if one.file == matrix.reproduces
        and one.failure == "ood"
        and one.in_set == matrix.in_set
        and one.network in NETWORKS[matrix.training.network]
        and cards(matrix, one.out_set) & out
    ]


def cards(matrix: Matrix, name: str) -> set[str]:
    return CARDS.get((matrix.reproduces, name), {name})


@pytest.mark.parametrize("matrix", PAPERS, ids=lambda matrix: matrix.name)
def test_a_matrix_holds_the_cells_of_its_paper(matrix: Matrix) -> None:
    found = cells(matrix)
    held = {one.card: one for one in matrix.ood}
    assert {one.method for one in found} <= set(matrix.methods)
    assert set().union(*(cards(matrix, one.out_set) for one in found)) == set(held)
    assert {one.metric for one in found} >= {"fpr95" if matrix.tuning_same else "aupr_in", "auroc"}
    assert {one.metric for one in found} <= set(METRICS), "each under the convention that it obeys"
    assert matrix.training.network in TRUNKS
    assert len(matrix.seeds) >= max(one.n_runs or 1 for one in found)
    for one in found:
        sizes = {
            held[card].n + (matrix.tuning_same or 0 if one.file == "lee2018" else 0)
            for card in cards(matrix, one.out_set)
        }
        assert one.n_bad is None or sizes == {one.n_bad}, "AUPR depends on how many there are"
        assert one.n_good is None or one.n_good == matrix.n_test


@pytest.mark.parametrize("matrix", PAPERS, ids=lambda matrix: matrix.name)
def test_a_row_is_tuned_as_its_paper_tuned_it(matrix: Matrix) -> None:
    """A row of VIB has its paper's weight, which the paper chose on the out-set: nothing is tuned here."""
    fixed = {"vib", "viby-1", "viby-2"}
    for one in cells(matrix):
        if one.method not in fixed:
            ours = tuning_access(matrix, find([one.method])[0].method)
            assert one.tuning in (None, ours), (one.method, one.tuning, ours)


@pytest.mark.parametrize("matrix", PAPERS, ids=lambda matrix: matrix.name)
def test_every_row_of_the_paper_would_run(matrix: Matrix) -> None:
    assert all(isinstance(item, Job) for item in plan(matrix, find(matrix.methods), matrix.seeds))


def test_every_ood_cell_of_these_papers_has_a_matrix() -> None:
    reproduced = {id(cell) for matrix in PAPERS for cell in cells(matrix)}
    files = {matrix.reproduces for matrix in PAPERS}
    lacking = [one for one in REPORTED if one.file in files and one.failure == "ood" and id(one) not in reproduced]
    assert not lacking


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_has_the_structure_of_its_matrix(name: str) -> None:
    twin, matrix = find_matrix(name), find_matrix(name.replace("-tiny-v1", "-v1"))
    assert twin.methods == matrix.methods
    assert [one.group for one in twin.ood] == [one.group for one in matrix.ood]
    assert [one.attack for one in twin.attacks] == [one.attack for one in matrix.attacks]
    assert (twin.tuning_same is None) == (matrix.tuning_same is None)
    assert (twin.adversarial_validation is None) == (matrix.adversarial_validation is None)
    assert twin.tuning_ood == matrix.tuning_ood == twin.outliers == matrix.outliers == ()
    assert (matrix.scale, twin.scale, twin.reproduces) == ("paper", "tiny", None)
