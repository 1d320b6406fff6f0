"""lts against a loop over the paper's formula."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.lts import METHODS, LogitScaling
from scipy.special import logsumexp

from oodbench.contract import FEATURES, LOGITS


def by_loops(f: np.ndarray, z: np.ndarray, q: float) -> list[float]:
    scores = []
    for row, logits in zip(f, z, strict=True):
        positive = sorted((max(float(v), 0.0) for v in row), reverse=True)
        top = sum(positive[: max(1, len(row) - round(len(row) * q / 100))])
        r = sum(positive) / top if top else 1.0
        scores.append(float(logsumexp([r * r * float(v) for v in logits])))
    return scores


@pytest.mark.parametrize("q", [0.0, 30.0, 65.0, 95.0])
def test_score_by_loops(lab, q: float) -> None:
    outputs = lab.all(lab.test)
    expected = by_loops(outputs[FEATURES].numpy(), outputs[LOGITS].numpy(), q)
    np.testing.assert_allclose(lab.score(LogitScaling(q), lab.test), expected, rtol=1e-10)


def test_negative_features_and_rows_of_zeros_by_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    f, z = torch.randn(30, 20, generator=generator), torch.randn(30, 4, generator=generator)
    f[0], f[1] = 0, -1
    scores = LogitScaling(95.0).score((), Given({FEATURES: f, LOGITS: z}))
    np.testing.assert_allclose(scores, by_loops(f.double().numpy(), z.double().numpy(), 95.0), rtol=1e-9)
    np.testing.assert_allclose(scores[:2], z[:2].double().logsumexp(dim=1), rtol=1e-12)


def test_rows() -> None:
    assert METHODS[0].detector == METHODS[1].detector == LogitScaling(95)
