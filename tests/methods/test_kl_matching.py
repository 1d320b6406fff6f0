"""kl-matching against loops over the paper's formula."""

import math
from types import SimpleNamespace

import numpy as np
import torch
from given import Given
from oodbench.methods.kl_matching import KlMatching
from torch import Tensor

from oodbench.contract import LOGITS

DETECTOR = KlMatching()


def scores(validation: Tensor, z: Tensor) -> Tensor:
    state = DETECTOR.fit(SimpleNamespace(validation=SimpleNamespace(logits=validation)))  # type: ignore[arg-type]
    return DETECTOR.score(state, Given({LOGITS: z}))  # type: ignore[arg-type]


def softmax(row: np.ndarray) -> list[float]:
    return [math.exp(v - max(row)) / sum(math.exp(u - max(row)) for u in row) for v in row]


def by_loops(validation: np.ndarray, z: np.ndarray) -> list[float]:
    posteriors = [softmax(row) for row in validation]
    templates = []
    for k in range(z.shape[1]):
        own = [p for p in posteriors if int(np.argmax(p)) == k]
        if own:
            templates.append([sum(p[c] for p in own) / len(own) for c in range(z.shape[1])])
    found = []
    for row in z:
        p = softmax(row)
        found.append(-min(sum(a * math.log(a / b) for a, b in zip(p, d, strict=True)) for d in templates))
    return found


def test_score_by_loops(lab) -> None:
    validation, z = (lab.all(x)[LOGITS] / 20 for x in (lab.validation[0], lab.test))
    np.testing.assert_allclose(scores(validation, z), by_loops(validation.numpy(), z.numpy()), rtol=1e-9, atol=1e-12)


def test_it_is_fitted_on_validation(lab) -> None:
    expected = scores(lab.all(lab.validation[0])[LOGITS], lab.all(lab.test)[LOGITS])
    np.testing.assert_array_equal(lab.score(DETECTOR, lab.test), expected)


def test_a_class_that_nothing_is_predicted_as_is_left_out() -> None:
    validation = torch.tensor([[3.0, 0.0, 1.0], [2.0, 0.0, 0.5], [0.0, 0.0, 4.0]])
    z = torch.tensor([[0.0, 5.0, 0.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(scores(validation, z), by_loops(validation.numpy(), z.numpy()), rtol=1e-6)


def test_probabilities_that_vanish_are_finite_and_do_not_tie() -> None:
    validation = torch.zeros(4, 3)
    validation[torch.arange(4), [0, 0, 1, 2]] = torch.tensor([1000.0, 3.0, 1000.0, 1000.0])
    z = torch.zeros(3, 3)
    z[:, 0] = torch.tensor([20.0, 21.0, 900.0])
    s = scores(validation, z)
    assert s.isfinite().all()
    assert len(s.unique()) == 3
    # surer than the mean of the class: the score falls to log d_00
    assert (s.diff() < 0).all()
