"""The matrix of two public classifiers, on the real images, where these are here: OODBENCH_DATA names their folder."""

from pathlib import Path

import numpy as np
import pytest

from oodbench.data.matrix import find_matrix
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

MATRIX = find_matrix("cifar10-resnet-v1")


@pytest.mark.slow
def test_public_networks_on_public_images_are_as_good_as_published(tmp_path: Path) -> None:
    """On the first 1,000 test images ResNet-20 gets 915 right, ResNet-32 928; published: 91.7 and 92.6 % of 10,000."""
    if absent := [one for one in wanted(MATRIX, None) if one.stops_a_run]:
        pytest.skip(f"{absent[0].card} is not here: {absent[0].how_to_get}")
    far = tuple(one.model_copy(update={"n": 200}) for one in MATRIX.ood if one.card in ("notmnist-10k", "uniform"))
    small = MATRIX.model_copy(update={"attacks": (), "adversarial_validation": None, "ood": far})
    context = Context(small, Workspace(tmp_path / "results", None, tmp_path / "cache", "cpu"))
    planned = plan(small, rows(small, ["msp", "energy", "oe-finetune"]), (0,))
    made = execute(context, planned, InProcess([context.workspace]))
    assert [record.status for record in made.records] == ["ok"] * 4 + ["skipped"]
    for model, right in (("resnet-20", 0.915), ("resnet-32", 0.928)):
        quality = read_model(tmp_path / "results" / small.name / "models" / model / "0.json").quality
        assert quality.accuracy == pytest.approx(right, abs=1e-9)
        scores = read_scores(record_paths(tmp_path / "results", small.name, f"energy@{model}", 0).scores)
        for name, bad in scores.ood.items():
            auroc = ranking(scores.test.astype(np.float64), bad.astype(np.float64))["auroc"]
            assert auroc > 0.7, f"{model} {name}"
