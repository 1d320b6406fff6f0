"""Matrices of public classifiers, on the real images, where these are here: OODBENCH_DATA names their folder."""

from pathlib import Path

import numpy as np
import pytest

from oodbench.data.matrix import Matrix, find_matrix
from oodbench.measure.ranking import ranking
from oodbench.records import read_model, record_paths
from oodbench.run.absent import wanted
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.rows import rows
from oodbench.run.workspace import Workspace
from oodbench.scorefile import read_scores

pytestmark = pytest.mark.slow


def run(folder: Path, name: str, methods: list[str], sets: dict[str, int]) -> tuple[Matrix, list[str]]:
    """Run methods of a matrix on some of its out-sets, without attacks; skip where what it needs is not here."""
    matrix = find_matrix(name)
    if absent := [one for one in wanted(matrix, None) if one.stops_a_run or (not one.here and one.card in sets)]:
        pytest.skip(f"{absent[0].card} is not here: {absent[0].how_to_get}")
    ood = tuple(one.model_copy(update={"n": sets[one.card]}) for one in matrix.ood if one.card in sets)
    small = matrix.model_copy(update={"attacks": (), "adversarial_validation": None, "ood": ood})
    context = Context(small, Workspace(folder / "results", None, folder / "cache", "cpu"))
    made = execute(context, plan(small, rows(small, methods), (0,)), InProcess([context.workspace]))
    return small, [record.status for record in made.records]


def aurocs(folder: Path, matrix: Matrix, row: str) -> dict[str, float]:
    scores = read_scores(record_paths(folder / "results", matrix.name, row, 0).scores)
    good = scores.test.astype(np.float64)
    return {name: ranking(good, bad.astype(np.float64))["auroc"] for name, bad in scores.ood.items()}


def test_residual_networks_are_as_good_as_published(tmp_path: Path) -> None:
    """On the first 1,000 test images ResNet-20 gets 915 right, ResNet-32 928; published: 91.7 and 92.6 % of 10,000."""
    sets = {"notmnist-10k": 200, "uniform": 200}
    matrix, status = run(tmp_path, "cifar10-resnet-v1", ["msp", "energy", "oe-finetune"], sets)
    assert status == ["ok"] * 4 + ["skipped"]
    for model, right in (("resnet-20", 0.915), ("resnet-32", 0.928)):
        quality = read_model(tmp_path / "results" / matrix.name / "models" / model / "0.json").quality
        assert quality.accuracy == pytest.approx(right, abs=1e-9)
        found = aurocs(tmp_path, matrix, f"energy@{model}")
        assert set(found) == set(sets)
        assert min(found.values()) > 0.7


LOGGED = {
    "oe-before": {"fashion-mnist": 0.9931, "gaussian-oe-pixel": 0.9996, "bernoulli": 0.9981},
    "oe-tuned": {"fashion-mnist": 0.9990, "gaussian-oe-pixel": 1.0, "bernoulli": 1.0},
}
"""AUROC of the authors' own log, on MNIST's test images."""


def test_networks_of_outlier_exposure_give_what_their_authors_logged(tmp_path: Path) -> None:
    """MNIST-5k is of training images, so that the networks are a little surer of it: 0.4 points are the tolerance."""
    sets = {"fashion-mnist": 1000, "gaussian-oe-pixel": 300, "bernoulli": 300}
    matrix, status = run(tmp_path, "mnist-oe-v1", ["msp"], sets)
    assert status == ["ok", "ok"]
    for model, logged in LOGGED.items():
        found = aurocs(tmp_path, matrix, f"msp@{model}")
        assert found == {name: pytest.approx(value, abs=0.004) for name, value in logged.items()}
