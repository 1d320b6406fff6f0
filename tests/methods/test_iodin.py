"""i-odin against a loop that moves one pixel value."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.iodin import METHODS, IOdin, steepest
from oodbench.methods.odin import Odin
from torch import Tensor
from torch.nn.functional import log_softmax


def by_loops(lab, gradient, T: float, eps: float) -> list[float]:
    probabilities = []
    for image in lab.test:
        label = int(lab.net(image[None]).argmax())

        def log_p(x: Tensor, label: int = label) -> Tensor:
            return log_softmax(lab.net(x[None])[0] / T, dim=0)[label]

        slope = gradient(log_p, image)
        moved, flat = image.clone(), slope.flatten().tolist()
        k = max(range(len(flat)), key=lambda i: abs(flat[i]))
        moved.view(-1)[k] += math.copysign(eps, flat[k])
        probabilities.append(float(torch.softmax(lab.net(moved[None])[0] / T, dim=0).max().detach()))
    return probabilities


@pytest.mark.parametrize(("T", "eps"), [(1.0, 0.5), (10.0, 0.3), (1000.0, 0.0014)])
def test_score_by_loops(lab, gradient, T: float, eps: float) -> None:
    key = lab.score(IOdin(T, eps), lab.test) / T - math.log(2)
    np.testing.assert_allclose(1 / (1 + np.exp(-key)), by_loops(lab, gradient, T, eps), rtol=1e-8)


def test_one_value_of_one_channel_moves_and_none_where_nothing_is_steep() -> None:
    g = torch.zeros(3, 2, 2, 2)
    g[0, 1, 0, 1], g[0, 0, 0, 0] = -3.0, 2.0
    g[1, 0, 1, 1] = 0.5
    found = steepest(g)
    assert found[0, 1, 0, 1] == -1
    assert found[1, 0, 1, 1] == 1
    assert found.abs().sum(dim=(1, 2, 3)).tolist() == [1, 1, 0]


def test_it_moves_less_than_odin(lab) -> None:
    still = lab.score(Odin(10.0, 0.0), lab.test)
    one, every = (lab.score(kind(10.0, 0.05), lab.test) for kind in (IOdin, Odin))
    assert (still <= one).all()
    assert (one - still).sum() < (every - still).sum()


def test_defaults() -> None:
    assert METHODS[0].detector == IOdin(T=1000.0, eps=0.0014)
