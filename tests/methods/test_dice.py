"""dice against a loop over the paper's formula."""

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.dice import METHODS, Dice
from scipy.special import logsumexp

from oodbench.contract import FEATURES, HEAD, Head


def by_loops(bank: np.ndarray, w: np.ndarray, b: np.ndarray, f: np.ndarray, p: float) -> list[float]:
    mean = [float(np.mean([row[i] for row in bank])) for i in range(bank.shape[1])]
    contributions = [[w[c][i] * mean[i] for i in range(len(mean))] for c in range(len(w))]
    threshold = np.percentile(np.ravel(contributions), p)
    scores = []
    for row in f:
        logits = [
            sum(w[c][i] * row[i] for i in range(len(mean)) if contributions[c][i] > threshold) + b[c]
            for c in range(len(w))
        ]
        scores.append(float(logsumexp(logits)))
    return scores


@pytest.mark.parametrize("p", [0.0, 10.0, 50.0, 90.0, 100.0])
def test_score_by_loops(lab, p: float) -> None:
    bank, f = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    np.testing.assert_allclose(lab.score(Dice(p), lab.test), by_loops(bank, w, b, f, p), rtol=1e-10)


class Data:
    """Training outputs alone."""

    def __init__(self, f: torch.Tensor, head: Head) -> None:
        self.train = Given({FEATURES: f, HEAD: head})


@pytest.mark.parametrize("p", [30.0, 70.0])
def test_signed_weights_and_features_by_loops(p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    bank, f, w, b = (torch.randn(*shape, generator=generator) for shape in ((50, 7), (20, 7), (4, 7), (4,)))
    scores = Dice(p).score(Dice(p).fit(Data(bank, Head(w, b))), Given({FEATURES: f}))
    np.testing.assert_allclose(scores, by_loops(*(x.double().numpy() for x in (bank, w, b, f)), p), rtol=1e-5)


def test_the_percentile_is_of_all_classes_together() -> None:
    w = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    state = Dice(50.0).fit(Data(torch.ones(3, 2), Head(w, torch.zeros(2))))
    assert state.weight.tolist() == [[4.0, 3.0], [0.0, 0.0]]


def test_equal_contributions_leave_the_bias() -> None:
    head = Head(torch.ones(3, 4), torch.tensor([0.0, 1.0, 2.0]))
    state = Dice().fit(Data(torch.zeros(5, 4), head))
    scores = Dice().score(state, Given({FEATURES: torch.ones(2, 4)}))
    np.testing.assert_allclose(scores, logsumexp([0, 1, 2]), rtol=1e-12)


def test_rows() -> None:
    assert METHODS[0].detector == METHODS[1].detector == Dice(90)
