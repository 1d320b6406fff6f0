"""gen against a loop over the paper's formula, and where probabilities are 0 or 1."""

import math

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.doctor import alpha
from oodbench.methods.gen import METHODS, GeneralisedEntropy
from torch import Tensor

from oodbench.contract import LOGITS


def score(detector: GeneralisedEntropy, z: Tensor) -> np.ndarray:
    return detector.score((), Given({LOGITS: z})).numpy()  # type: ignore[arg-type]


def generalised_entropy(z: np.ndarray, gamma: float, M: int) -> float:
    p = sorted((math.exp(v) / sum(math.exp(u) for u in z) for v in z), reverse=True)
    return sum(q**gamma * (1 - q) ** gamma for q in p[:M])


@pytest.mark.parametrize(("gamma", "M"), [(0.1, 100), (0.1, 2), (2.0, 3), (0.01, 1)])
def test_score_by_loops(lab, gamma: float, M: int) -> None:
    z = lab.all(lab.test)[LOGITS] / 20
    expected = [-math.log(generalised_entropy(row, gamma, M)) for row in z.numpy()]
    np.testing.assert_allclose(score(GeneralisedEntropy(gamma, M), z), expected, rtol=1e-5, atol=1e-6)


def test_it_ranks_where_the_softmax_is_saturated() -> None:
    z = torch.zeros(3, 10)
    z[:, 4] = torch.tensor([60.0, 61.0, 900.0])
    s = score(GeneralisedEntropy(), z)
    assert (np.diff(s) > 0).all()
    # p_j = e^-60 for nine classes, and 1 - p = 9 e^-60 for the largest
    assert s[0] == pytest.approx(-math.log(9 * math.exp(-6) + (9 * math.exp(-60)) ** 0.1), rel=1e-6)


def test_with_a_thousand_classes_equal_logits_are_not_the_least_sure() -> None:
    """Of the hundred largest of a flat softmax none holds much; one that leans has a larger first term."""
    z = torch.zeros(2, 1000)
    z[1, 7] = 1.0
    flat, leaning = score(GeneralisedEntropy(), z)
    assert flat == pytest.approx(-math.log(100 * (0.001 * 0.999) ** 0.1), rel=1e-6)
    assert flat > leaning
    assert np.diff(score(GeneralisedEntropy(M=1000), z)) > 0


def test_at_gamma_1_it_is_the_gini_index() -> None:
    z = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 3
    gini = 1 - z.double().softmax(dim=1).square().sum(dim=1)
    np.testing.assert_allclose(score(GeneralisedEntropy(1.0), z), -gini.log(), rtol=1e-4)
    assert score(GeneralisedEntropy(1.0), z).argsort().tolist() == alpha(Given({LOGITS: z})).argsort().tolist()  # type: ignore[arg-type]


def test_rows() -> None:
    assert [method.detector for method in METHODS] == 2 * [GeneralisedEntropy(gamma=0.1, M=100)]
    assert METHODS[1].tuning_access == "ood_val"
