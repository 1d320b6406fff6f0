"""i-odin against a loop over pixels, and against odin where there is but one."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.i_odin import METHODS, OnePixelOdin


@pytest.mark.parametrize(("T", "eps"), [(1000.0, 0.0014), (1.0, 0.05), (10.0, 0.5)])
def test_score_by_loops(lab, gradient, T: float, eps: float) -> None:
    expected = []
    for x in lab.test:
        with torch.no_grad():
            y = int(lab.net(x[None])[0].argmax())
        slope = gradient(lambda x, y=y: (lab.net(x[None])[0] / T).log_softmax(0)[y], x).flatten().tolist()
        steepest = max(range(len(slope)), key=lambda i: abs(slope[i]))
        moved = x.flatten().clone()
        moved[steepest] += eps * math.copysign(1, slope[steepest])
        with torch.no_grad():
            p = float((lab.net(moved.view_as(x)[None])[0] / T).softmax(0).max())
        expected.append(T * (math.log(p / (1 - p)) + math.log(2)))
    np.testing.assert_allclose(lab.score(OnePixelOdin(T, eps), lab.test), expected, rtol=1e-8)


def test_one_value_moves(lab) -> None:
    outputs = lab.outputs(OnePixelOdin(), lab.test)
    seen = []
    at = type(outputs).at
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(type(outputs), "at", lambda self, x: seen.append(x) or at(self, x))
        OnePixelOdin(eps=0.25).score((), outputs)
    change = (seen[0] - lab.test).flatten(1)
    assert ((change != 0).sum(dim=1) == 1).all()
    np.testing.assert_allclose(change.abs().amax(dim=1), 0.25)


def test_without_a_gradient_nothing_moves(lab) -> None:
    import copy

    flat = copy.deepcopy(lab.net)
    flat.head.weight.data.zero_()
    still = type(lab)(flat, lab.train, lab.validation, lab.outliers, lab.test)
    assert len(set(still.score(OnePixelOdin(eps=0.5), lab.test))) == 1


def test_grid_is_openoods() -> None:
    fixed, tuned = METHODS
    assert fixed.detector == OnePixelOdin(T=1000.0, eps=0.0014)
    assert dict(tuned.search.over) == {"T": (1.0, 10.0, 100.0, 1000.0), "eps": (0.0014, 0.0028)}
