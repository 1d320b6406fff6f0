"""she against a loop, and classes without a pattern."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods.she import HopfieldEnergy
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS
from oodbench.errors import BadData


def test_score_by_loops(lab) -> None:
    train, test = lab.all(lab.train[0]), lab.all(lab.test)
    patterns = {}
    for c in range(3):
        right = [
            f
            for f, z, y in zip(train[FEATURES].numpy(), train[LOGITS].numpy(), lab.train[1].tolist(), strict=True)
            if y == c and np.argmax(z) == c
        ]
        patterns[c] = sum(right) / len(right)
    expected = [
        sum(f * patterns[int(np.argmax(z))]) for f, z in zip(test[FEATURES].numpy(), test[LOGITS].numpy(), strict=True)
    ]
    np.testing.assert_allclose(lab.score(HopfieldEnergy(), lab.test), expected, rtol=1e-6)


def outputs(f: list[list[float]], z: list[list[float]], labels: list[int] | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        features=torch.tensor(f).float(), logits=torch.tensor(z).float(), labels=torch.tensor(labels or [])
    )


def scores(train: SimpleNamespace, test: SimpleNamespace) -> Tensor:
    return HopfieldEnergy().score(HopfieldEnergy().fit(SimpleNamespace(train=train)), test)


def test_only_what_is_classified_right_is_stored() -> None:
    """Of the three inputs of class 0 the last is taken for class 1; negative features count as they are."""
    train = outputs([[1, -2], [3, -4], [100, 100], [0, 5]], [[2, 1], [2, 1], [1, 2], [1, 2]], [0, 0, 0, 1])
    assert scores(train, outputs([[1, 1], [1, 1]], [[1, 0], [0, 1]])).tolist() == [-1.0, 5.0]


def test_a_class_that_is_never_right_lends_the_pattern_of_the_next_likeliest() -> None:
    """Class 2 is in no training input, class 0 in one that is taken for class 1."""
    train = outputs([[1, 0], [0, 1], [7, 7]], [[0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0]], [3, 1, 0])
    test = outputs([[2, 5]] * 3, [[0, 1, 9, 2], [9, 2, 0, 1], [9, 1, 8, -20]])
    assert scores(train, test).tolist() == [2.0, 5.0, 5.0]


def test_a_classifier_that_is_never_right_is_refused() -> None:
    with pytest.raises(BadData, match="none of 2 training images right"):
        scores(outputs([[1, 0], [0, 1]], [[0, 1], [1, 0]], [0, 1]), outputs([[1, 0]], [[0, 1]]))
