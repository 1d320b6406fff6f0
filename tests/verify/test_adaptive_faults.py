"""Attacks on a model and its detector at once, in scores and in the records of methods."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from oodbench.data.matrix import Matrix, find_matrix
from oodbench.outcomes import Outcomes
from oodbench.schema import AdaptiveAttack, ModelRecord
from oodbench.scorefile import Adapted, Changed, Scores
from oodbench.verify.examine import score_faults, sizes

NAME, N = "pgd-8@score-1", 12


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    toy = find_matrix("toy-v1").model_dump(mode="json", exclude_defaults=True)
    asked = {"attacks": [{"attack": "pgd-8", "n": N}], "adaptive": [{"attack": NAME, "n": N}]}
    return Matrix.model_validate({**toy, "name": "toy-adaptive-v1", **asked})


@pytest.fixture(scope="module")
def outcomes(matrix: Matrix) -> Outcomes:
    return Outcomes(np.random.default_rng(0).random(matrix.n_test) < 0.7)


def first(outcomes: Outcomes) -> np.ndarray:
    return np.flatnonzero(outcomes.correct)[:N].astype(np.int32)


def adapted(index: np.ndarray) -> Adapted:
    return Adapted(np.random.default_rng(1).normal(size=len(index)), index, np.arange(len(index)) % 3 > 0)


SAID = AdaptiveAttack(n=N, fooled=8, success_rate=8 / N, mean_linf=0.03, mean_l2=0.2, unmoved=1, flat=2, mean=0, std=1)


def faults(matrix: Matrix, outcomes: Outcomes, found: Adapted, said: dict[str, AdaptiveAttack]) -> list[str]:
    rng = np.random.default_rng(2)
    ood = {one.card: rng.normal(size=one.n) for one in matrix.ood}
    known = {name: Changed(rng.normal(size=N), first(outcomes)) for name in ("pgd-8", "pgd-8@uint8")}
    acted = {name: SimpleNamespace(index=first(outcomes), fooled=np.ones(N, bool)) for name in known}
    scores = Scores(rng.normal(size=matrix.n_test), ood, known, adaptive={NAME: found})
    record: Any = SimpleNamespace(cells=(), adaptive=said)
    model = ModelRecord(matrix=matrix.name, name="plain", seed=0, recipe={})
    return list(score_faults(record, scores, model, replace(outcomes, attacks=acted), matrix))


def test_of_a_set_with_a_twin_the_own_images_alone_have_scores(matrix: Matrix) -> None:
    assert sizes(matrix)["adaptive", NAME] == N
    assert ("adaptive", "pgd-8@known") not in sizes(matrix)


def test_what_is_right_has_no_fault(matrix: Matrix, outcomes: Outcomes) -> None:
    assert faults(matrix, outcomes, adapted(first(outcomes)), {NAME: SAID}) == []


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        ({"n": N + 1}, f"adaptive.{NAME}.n is 13, and the scores come to 12"),
        ({"fooled": 9}, f"adaptive.{NAME}.fooled is 9, and the scores come to 8"),
        ({"success_rate": 0.9}, f"adaptive.{NAME}.success_rate is 0.9, and the scores come to 0.66"),
        ({"success_rate": None}, f"adaptive.{NAME}.success_rate is None, and the scores come to 0.66"),
        ({"unmoved": 5}, f"adaptive.{NAME}.unmoved is 5, and 8 of 12 fooled it, which were right as they were"),
        ({"flat": N}, f"adaptive.{NAME}.flat is 12 of 12: where all are flat, nothing is attacked"),
        (
            {"mean_linf": 0.05},
            f"adaptive.{NAME}.mean_linf is 0.05, and the attack changes a pixel by 0.0313729 at most",
        ),
        ({"mean_l2": 0.001}, f"adaptive.{NAME}.mean_l2 is 0.001, expected 0.03 to"),
    ],
)
def test_what_an_attack_is_said_to_have_achieved(
    matrix: Matrix, outcomes: Outcomes, edited: dict[str, Any], says: str
) -> None:
    (fault,) = faults(matrix, outcomes, adapted(first(outcomes)), {NAME: SAID.model_copy(update=edited)})
    assert fault.startswith(says)


def test_scores_of_other_images_and_scores_or_a_record_alone(matrix: Matrix, outcomes: Outcomes) -> None:
    wrong = np.flatnonzero(~outcomes.correct)[:N].astype(np.int32)
    (fault,) = faults(matrix, outcomes, adapted(wrong), {NAME: SAID})
    assert fault == f"adaptive.{NAME}: attacked are not the first 12 test images that the model gets right"
    (fault,) = faults(matrix, outcomes, adapted(first(outcomes)), {})
    assert fault == f"adaptive: {NAME} stands in the scores alone"
    other = faults(matrix, outcomes, adapted(first(outcomes)), {NAME: SAID, "apgd-ce-8@score-1": SAID})
    assert other == ["adaptive: apgd-ce-8@score-1 stands in the record alone"]
