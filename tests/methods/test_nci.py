"""nci against a loop, and features without a direction."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oodbench.methods.nci import METHODS, CollapseProximity

from oodbench.contract import FEATURES, LOGITS, Head


@pytest.mark.parametrize("alpha", [0.0, 0.0001, 0.7])
def test_score_by_loops(lab, alpha: float) -> None:
    mu = lab.all(lab.train[0])[FEATURES].numpy().mean(axis=0)
    test, W = lab.all(lab.test), lab.net.head.weight.detach().numpy()
    expected = []
    for f, z in zip(test[FEATURES].numpy(), test[LOGITS].numpy(), strict=True):
        w = W[int(np.argmax(z))]
        along = sum(a * b for a, b in zip(w, f - mu, strict=True)) / np.sqrt(sum((f - mu) ** 2))
        expected.append(along + alpha * sum(abs(f)))
    np.testing.assert_allclose(lab.score(CollapseProximity(alpha), lab.test), expected, rtol=1e-6)


def outputs(f: torch.Tensor) -> SimpleNamespace:
    head = Head(torch.tensor([[1.0, 2.0], [-3.0, 0.5]]), torch.zeros(2))
    return SimpleNamespace(features=f, logits=f @ head.weight.T, head=head)


def test_at_the_training_mean_the_cosine_is_0_and_negative_features_have_a_norm() -> None:
    detector = CollapseProximity(0.1)
    state = detector.fit(SimpleNamespace(train=outputs(torch.tensor([[1.0, -4.0], [3.0, -2.0]]))))
    assert detector.score(state, outputs(torch.tensor([[2.0, -3.0]]))).tolist() == pytest.approx([0.5])


def test_the_grid_holds_the_default() -> None:
    assert METHODS[0].detector.alpha in dict(METHODS[1].search.over)["alpha"]
