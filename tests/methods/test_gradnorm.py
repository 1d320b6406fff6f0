"""gradnorm against the gradient itself."""

import numpy as np
import pytest
import torch
from oodbench.methods.gradnorm import METHODS, gradient_norm
from torch import Tensor
from torch.nn.functional import log_softmax

from oodbench.contract import FEATURES


def by_backward_passes(features: Tensor, weight: Tensor, bias: Tensor) -> list[float]:
    """Return the L1 norm of the derivative of sum_c -log p_c by the head's weights, an input at a time."""
    norms = []
    for f in features:
        w = weight.detach().clone().requires_grad_()
        with torch.enable_grad():
            loss = -log_softmax(w @ f + bias.detach(), dim=0).sum()
            loss.backward()
        norms.append(sum(abs(float(entry)) for row in w.grad for entry in row))
    return norms


def norm(features: Tensor, logits: Tensor) -> Tensor:
    class Batch:
        pass

    batch = Batch()
    batch.features, batch.logits = features, logits
    return gradient_norm(batch)  # type: ignore[arg-type]


def test_scores_by_backward_passes(lab) -> None:
    expected = by_backward_passes(lab.all(lab.test)[FEATURES], lab.net.head.weight, lab.net.head.bias)
    np.testing.assert_allclose(lab.score(METHODS[0].detector, lab.test), expected, rtol=1e-9)


@pytest.mark.parametrize("C", [2, 1000])
def test_negative_features_and_any_number_of_classes(C: int) -> None:
    draw = torch.Generator().manual_seed(0)
    w, b, f = (torch.randn(size, generator=draw, dtype=torch.float64) for size in ((C, 7), (C,), (5, 7)))
    np.testing.assert_allclose(norm(f, f @ w.T + b), by_backward_passes(f, w, b), rtol=1e-9)


def test_features_of_0_and_uniform_answers_score_0() -> None:
    assert norm(torch.zeros(1, 4), torch.tensor([[3.0, 1.0]])).item() == 0
    assert norm(torch.ones(1, 4), torch.full((1, 8), 7.0)).item() == 0


def test_answers_that_are_1_in_float32_are_told_apart() -> None:
    z = torch.zeros(2, 10)
    z[:, 0] = torch.tensor([20.0, 25.0])
    assert (z.softmax(dim=1)[:, 0] == 1).all()
    low, high = norm(torch.ones(2, 4), z)
    assert low < high < 4 * 18
