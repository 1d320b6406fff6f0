"""nac against automatic derivatives and plain counts."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from oodbench.methods.nac import NeuronCoverage, edges_of, states
from torch import Tensor
from torch.nn.functional import log_softmax

from oodbench.banks import drawn
from oodbench.contract import FEATURES, Head
from oodbench.errors import BadMethod


def states_by_backward_passes(features: Tensor, w: Tensor, b: Tensor, alpha: float) -> np.ndarray:
    found = []
    for row in features:
        f = row.detach().clone().requires_grad_()
        with torch.enable_grad():
            kl = -log_softmax(w.detach() @ f + b.detach(), dim=0).mean()
            (slope,) = torch.autograd.grad(kl, f)
        found.append([1 / (1 + math.exp(-alpha * float(x))) for x in row * slope])
    return np.array(found)


def edges_by_formula(M: int) -> list[float]:
    e = [math.log(1 + i * (math.sqrt(1000) - 1) / (M // 2 - 1), 1000) for i in range(M // 2)]
    return e + [1 - value for value in e[-2::-1]]


def by_loops(lab, d: NeuronCoverage) -> list[float]:
    w, b = lab.net.head.weight, lab.net.head.bias
    chosen = drawn(len(lab.train[0]), d.most, lab.seed)
    train = states_by_backward_passes(lab.all(lab.train[0])[FEATURES][chosen], w, b, d.alpha)
    test = states_by_backward_passes(lab.all(lab.test)[FEATURES], w, b, d.alpha)
    edges = edges_by_formula(d.M)

    def bin_of(u: float) -> int:
        return max(i for i, edge in enumerate(edges[:-1]) if u >= edge)

    scores = []
    for row in test:
        covered = [min(sum(bin_of(v) == bin_of(u) for v in train[:, j]) / d.O, 1) for j, u in enumerate(row)]
        scores.append(sum(covered) / len(covered))
    return scores


@pytest.mark.parametrize(
    "detector",
    [NeuronCoverage(), NeuronCoverage(M=10, O=3, alpha=2.0, most=40), NeuronCoverage(M=4, O=20, alpha=0.5)],
    ids=["default", "few", "coarse"],
)
def test_scores_by_loops(lab, detector: NeuronCoverage) -> None:
    np.testing.assert_allclose(lab.score(detector, lab.test), by_loops(lab, detector), rtol=1e-9)


def test_states_by_backward_passes(lab) -> None:
    f = lab.all(lab.test)[FEATURES]
    head = Head(lab.net.head.weight, lab.net.head.bias)
    expected = states_by_backward_passes(f, *head, alpha=3.0)
    np.testing.assert_allclose(states(f, f @ head.weight.T + head.bias, head, 3.0).detach(), expected, rtol=1e-9)


def test_bins_are_narrow_about_a_half_and_hold_0_and_1() -> None:
    edges = edges_of(50)
    widths = edges.diff()
    assert len(widths) == 48
    np.testing.assert_allclose(edges[:-1], edges_by_formula(50)[:-1], atol=1e-12)
    assert edges[0] == 0
    assert edges[24] == pytest.approx(0.5)
    assert edges[-1] > 1
    assert widths.argmin() in (23, 24)
    assert (widths[:23].diff() < 0).all()


@pytest.mark.parametrize("M", [2, 3, 51])
def test_bins_that_are_not_half_below_a_half_are_refused(M: int) -> None:
    with pytest.raises(BadMethod, match=f"M = {M} bins; expected an even number, 4 at least"):
        edges_of(M)


@dataclass
class Rows:
    features: Tensor
    logits: Tensor
    head: Head

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Data:
    train: Rows
    seed: int = 0


def test_states_of_0_and_1_are_covered_and_nothing_is_nan() -> None:
    head = Head(1e4 * torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]), torch.zeros(2))
    f = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).repeat(50, 1)
    train = Rows(f, f @ head.weight.T, head)
    detector = NeuronCoverage(O=50)
    state = detector.fit(Data(train))  # type: ignore[arg-type]
    assert detector.score(state, train).tolist() == [1.0] * 100  # type: ignore[arg-type]
    opposite = Rows(-f, f @ head.weight.T, head)
    assert detector.score(state, opposite).tolist() == [pytest.approx(2 / 3)] * 100  # type: ignore[arg-type]
