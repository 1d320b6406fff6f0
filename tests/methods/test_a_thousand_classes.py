"""A thousand classes, four training inputs each, features of either sign: scores that need no pixels are finite."""

import numpy as np
import pytest
from brief import small

import oodbench
from oodbench import StoredModel, StoredOutputs, listed
from oodbench.run.registry import registry

CLASSES, WIDTH = 1000, 64
STORED = {"logits", "features", "head"}
SEARCHED_FOR_MINUTES = {"weiper-kld-tuned"}
"""Its grid projects on up to a hundred thousand directions a dozen times; the row of one value stands for it."""

NAMES = [
    line.name
    for line in listed.rows()
    if line.judges_mine
    and set(line.reads) <= STORED
    and "adversarial_validation" not in line.needs
    and line.name not in SEARCHED_FOR_MINUTES
]

SURE = {
    "msp",
    "temperature",
    "entropy",
    "doctor",
    "margin",
    "gen",
    "rmds",
    "mahalanobis-a",
    "fdbd",
    "nci",
    "vim",
    "relation",
}
"""Rows that tell inputs far from every class from inputs of one, whatever the number of classes."""


@pytest.fixture(scope="module")
def judged() -> dict[str, object]:
    chance = np.random.default_rng(0)
    centres = 2 * chance.normal(size=(CLASSES, WIDTH))
    weight = 3 * centres / np.linalg.norm(centres, axis=1, keepdims=True)
    head = weight.astype(np.float32), np.zeros(CLASSES, dtype=np.float32)

    def stored(n: int, *, of_a_class: bool = True) -> StoredOutputs:
        labels = np.arange(n) % CLASSES
        spread = chance.normal(size=(n, WIDTH))
        features = (centres[labels] + spread if of_a_class else 3 * spread).astype(np.float32)
        return StoredOutputs(logits=features @ head[0].T, features=features, labels=labels if of_a_class else None)

    return {
        "model": StoredModel(head=head),
        "train": stored(4 * CLASSES),
        "validation": stored(500),
        "test": stored(500),
        "ood_validation": {"held out": stored(300, of_a_class=False)},
        "failures": {"far": stored(300, of_a_class=False)},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_score_of_a_thousand_classes_is_finite(name: str, judged: dict[str, object]) -> None:
    """A score that is not finite is a note in its row, and no number."""
    result = oodbench.evaluate(**judged, methods=[small(registry()[name].method)])
    row = result.table.set_index("set").loc["far"]
    assert row["note"] == ""
    assert 0 <= row["auroc"] <= 1
    assert name not in SURE or row["auroc"] > 0.99
