"""sirc against loops over the paper's formula."""

import math
from types import SimpleNamespace

import numpy as np
import torch
from given import Given
from oodbench.methods.sirc import Sirc

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS

DETECTOR = Sirc()


def test_score_by_loops(lab) -> None:
    train = [sum(abs(v) for v in row) for row in lab.all(lab.train[0])[FEATURES].tolist()]
    mean = sum(train) / len(train)
    std = math.sqrt(sum((v - mean) ** 2 for v in train) / len(train))
    expected = []
    outputs = lab.all(lab.test)
    for f, z in zip(outputs[FEATURES].tolist(), (outputs[LOGITS] / 20).tolist(), strict=True):
        s1 = max(math.exp(v) for v in z) / sum(math.exp(v) for v in z)
        s2 = sum(abs(v) for v in f)
        expected.append(-math.log((1 - s1) * (1 + math.exp(-(s2 - (mean - 3 * std)) / std))))
    batch = Given({FEATURES: outputs[FEATURES], LOGITS: outputs[LOGITS] / 20})
    s = DETECTOR.score(lab.fit(DETECTOR), batch)  # type: ignore[arg-type]
    np.testing.assert_allclose(s, expected, rtol=1e-5, atol=1e-6)


def test_long_features_leave_the_softmax_alone_and_short_ones_lower_it() -> None:
    f = torch.ones(40, 3) + 0.1 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    state = DETECTOR.fit(SimpleNamespace(train=Given({FEATURES: f})))  # type: ignore[arg-type]
    z = torch.zeros(2, 4)
    z[:, 1] = torch.tensor([30.0, 31.0])
    long, short, negative = (
        DETECTOR.score(state, Given({FEATURES: torch.full((2, 3), v), LOGITS: z}))  # type: ignore[arg-type]
        for v in (100.0, 0.0, -100.0)
    )
    np.testing.assert_allclose(long, formulas.msp_key(z), rtol=1e-6)
    np.testing.assert_allclose(negative, long)
    assert (short < long - 2).all()
    assert long[0] != long[1]


def test_features_of_one_length_are_finite() -> None:
    state = DETECTOR.fit(SimpleNamespace(train=Given({FEATURES: torch.full((9, 4), 0.5)})))  # type: ignore[arg-type]
    assert state == (-1.0, 1.0)
    zeros = Given({FEATURES: torch.zeros(2, 4), LOGITS: torch.tensor([[0.0, 0.0], [3e4, 0.0]])})
    assert DETECTOR.score(state, zeros).isfinite().all()  # type: ignore[arg-type]
