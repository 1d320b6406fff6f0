"""Corrupted images in scores and in records of models, of a matrix that has some."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from oodbench.data.matrix import Matrix, find_matrix
from oodbench.data.splits import sample
from oodbench.outcomes import Outcomes
from oodbench.records import Changed, Corrupted, ModelRecord, Quality, Scores
from oodbench.verify.examine import corrupted_places, labels, model_faults, rounded, score_faults, sizes

NAME = "toy-corrupted-v1/models/plain/0.json"


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    toy = find_matrix("toy-v1").model_dump(mode="json", exclude_defaults=True)
    corruptions = [{"types": ["brightness"], "severities": [1, 3], "n": 20}]
    return Matrix.model_validate({**toy, "name": "toy-corrupted-v1", "corruptions": corruptions, "attacks": []})


@pytest.fixture(scope="module")
def outcomes(matrix: Matrix) -> Outcomes:
    return Outcomes(np.random.default_rng(0).random(matrix.n_test) < 0.7)


def said(matrix: Matrix, outcomes: Outcomes, **edited: Any) -> list[str]:
    """Return the faults of a model of which one set of corruptions was edited."""
    places = sample(matrix.n_test, 20, "toy-blobs", "test", "corrupted")
    clean = float(np.mean([not outcomes.correct[at] for at in places]))
    one = Corrupted(n=20, error=0.5, clean_error=clean, delta_entropy=0.1)
    found = {"brightness-1": one, "brightness-3": one.model_copy(update=edited)}
    return faults(matrix, outcomes, found)


def faults(matrix: Matrix, outcomes: Outcomes | None, found: dict[str, Corrupted] | None) -> list[str]:
    quality = Quality(accuracy=float(outcomes.correct.mean()), n_test=matrix.n_test) if outcomes else Quality()
    model = ModelRecord(matrix=matrix.name, name="plain", seed=0, recipe={}, quality=quality, corruptions=found)
    return list(model_faults(NAME, model, outcomes, matrix))


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        ({"n": 19}, "corruptions.brightness-3.n is 19, and toy-corrupted-v1 corrupts 20"),
        ({"clean_error": 0.9}, "corruptions.brightness-3.clean_error is 0.9, and the outcomes come to"),
        ({"error": 0.51}, "corruptions.brightness-3.error is 0.51, which no whole number of 20 images makes"),
        ({"delta_entropy": 9.0}, "corruptions.brightness-3.delta_entropy is 9, expected"),
    ],
)
def test_what_corruption_is_said_to_do(matrix: Matrix, outcomes: Outcomes, edited: dict[str, Any], says: str) -> None:
    assert said(matrix, outcomes) == []
    (fault,) = said(matrix, outcomes, **edited)
    assert fault.startswith(says)


def test_sets_that_lack_and_sets_too_many(matrix: Matrix, outcomes: Outcomes) -> None:
    assert faults(matrix, outcomes, None) == [
        "corruptions: brightness-1, brightness-3 of toy-corrupted-v1 are not there"
    ]
    assert faults(matrix, None, None) == [], "a density classifies nothing"
    one = Corrupted(n=20, error=0.5, clean_error=0.5, delta_entropy=0.1)
    assert any("fog-1 is none of toy-corrupted-v1" in one for one in faults(matrix, outcomes, {"fog-1": one}))
    assert faults(matrix, None, {"fog-1": one})[0].startswith("corruptions stand there")


def test_scores_are_of_the_images_that_the_matrix_corrupts(matrix: Matrix, outcomes: Outcomes) -> None:
    rng = np.random.default_rng(1)
    index = corrupted_places(matrix, 20).astype(np.int32)
    assert sizes(matrix)["corruption", "brightness-3"] == 20
    assert labels(matrix)["toy-blobs/corrupted"] == ("toy-blobs", "corruption", 40)

    def scores(places: np.ndarray) -> Scores:
        ood = {name: rng.normal(size=60) for name in ("toy-noise", "hflip")}
        corruption = {f"brightness-{one}": Changed(rng.normal(size=len(places)), places) for one in (1, 3)}
        return Scores(rng.normal(size=90), ood, {}, corruption)

    record: Any = SimpleNamespace(cells=(), adaptive={})
    model = ModelRecord(matrix=matrix.name, name="plain", seed=0, recipe={})
    assert list(score_faults(record, scores(index), model, outcomes, matrix)) == []
    others = np.arange(20, dtype=np.int32)
    found = list(score_faults(record, scores(others), model, outcomes, matrix))
    assert len(found) == 2
    assert "corruption/brightness-1 for other images than those that toy-corrupted-v1 corrupts" in found[0]
    assert "has 19 scores of corruption/brightness-1" in next(
        score_faults(record, scores(index[:19]), model, outcomes, matrix)
    )


def test_counts_and_clipped_scores_are_not_rounded_ones() -> None:
    """Few different scores are no fault by themselves: a method may count, sum over bins, or clip."""
    rng = np.random.default_rng(2)
    full = rng.normal(size=5000)
    assert rounded(full.round(1))
    assert rounded((full * 1e4).round(-3))
    assert rounded((full / 2).round(2).astype(np.float32))
    assert not rounded(full)
    assert not rounded(rng.integers(0, 320, 5000) / 320)
    assert not rounded((1 - rng.integers(0, 76, 5000) / 769).astype(np.float32))
    assert not rounded(np.where(np.arange(5000) % 20, 0.0, full))
