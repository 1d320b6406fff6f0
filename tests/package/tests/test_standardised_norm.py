"""Every law of oodbench, and a loop over the formula in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from standardised_norm.method import METHODS, StandardisedNorm

from oodbench.check.conformance import checks_of


@pytest.mark.parametrize("check", [check for method in METHODS for check in checks_of(method)], ids=str)
def test_it_keeps_every_law(check) -> None:
    verdict = check.run()
    assert verdict.well, verdict


def test_score_by_loops() -> None:
    rng = np.random.default_rng(0)
    f, x = rng.normal(2, 3, size=(30, 4)), rng.normal(size=(7, 4))
    mu, sigma = f.sum(axis=0) / 30, np.sqrt(((f - f.sum(axis=0) / 30) ** 2).sum(axis=0) / 30)
    expected = [sum(abs(row[j] - mu[j]) / (sigma[j] + 0.01) for j in range(4)) / 4 for row in x]
    data = SimpleNamespace(train=SimpleNamespace(features=torch.from_numpy(f)))
    detector = StandardisedNorm()
    scores = detector.score(detector.fit(data), SimpleNamespace(features=torch.from_numpy(x)))
    np.testing.assert_allclose(scores, expected, rtol=1e-9)
