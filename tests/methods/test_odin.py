"""odin against a loop over the paper's two equations, and the choices where implementations differ."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.odin import METHODS, Odin
from torch import Tensor

from oodbench.networks import Classifier


def odin_by_loops(net: Classifier, images: Tensor, T: float, eps: float, gradient, clip: bool = False) -> np.ndarray:
    """Return max softmax(z(x~) / T) of each image, from the cross-entropy of the paper."""
    values = []
    for x in images:
        with torch.no_grad():
            y = int(net(x[None])[0].argmax())

        def log_softmax(x: Tensor, y: int = y) -> Tensor:
            z = net(x[None])[0]
            return z[y] / T - (z / T).logsumexp(0)

        stepped = x - eps * torch.sign(-gradient(log_softmax, x))
        with torch.no_grad():
            z = net((stepped.clamp(0, 1) if clip else stepped)[None])[0].tolist()
        values.append(max(math.exp(v / T) for v in z) / sum(math.exp(v / T) for v in z))
    return np.array(values)


def as_score(p: np.ndarray, T: float, classes: int = 3) -> np.ndarray:
    return T * (np.log(p / (1 - p)) + math.log(classes - 1))


@pytest.mark.parametrize(("T", "eps"), [(1000.0, 0.0014), (1.0, 0.004), (10.0, 0.05), (5.0, 0.0)])
def test_odin_by_loops(lab, gradient, T: float, eps: float) -> None:
    p = odin_by_loops(lab.net, lab.test, T, eps, gradient)
    s = lab.score(Odin(T, eps), lab.test)
    np.testing.assert_allclose(s, as_score(p, T), rtol=1e-8, atol=1e-8)
    assert list(s.argsort()) == list(p.argsort())


def test_inputs_are_not_clipped(lab, gradient) -> None:
    assert ((lab.test == 0) | (lab.test == 1)).any()
    clipped = as_score(odin_by_loops(lab.net, lab.test, 10.0, 0.05, gradient, clip=True), 10.0)
    assert np.abs(lab.score(Odin(10.0, 0.05), lab.test) - clipped).max() > 1e-3


def test_eps_is_in_pixels_whatever_the_standardisation(lab, gradient) -> None:
    """The original steps by eps * sign / std in standardised units: the same image."""
    mean, std = lab.net.standardise.mean, lab.net.standardise.std

    def standardised(u: Tensor) -> Tensor:
        return lab.net.head(lab.net.trunk(u)[-1].mean(dim=(2, 3)))

    for x, score in zip(lab.test, lab.score(Odin(10.0, 0.01), lab.test), strict=True):
        u = (x - mean) / std
        y = int(standardised(u[None])[0].argmax())
        step = gradient(lambda u, y=y: (standardised(u[None])[0] / 10).log_softmax(0)[y], u).sign()
        with torch.no_grad():
            p = (standardised((u + 0.01 * step / std)[None])[0] / 10).softmax(0).max()
        assert score == pytest.approx(float(as_score(p.numpy(), 10.0)), rel=1e-8)


def test_zero_gradient_leaves_the_pixel(lab) -> None:
    flat = Classifier(lab.net.trunk, 3, (0.4,), (0.3,)).double()
    flat.head.weight.data.zero_()
    still = type(lab)(flat, lab.train, lab.validation, lab.outliers, lab.test)
    np.testing.assert_array_equal(still.score(Odin(1.0, 0.1), lab.test), still.score(Odin(1.0, 0.0), lab.test))


def test_the_step_does_not_vanish_where_the_softmax_saturates(lab32) -> None:
    sure = Classifier(lab32.net.trunk, 3, (0.4,), (0.3,))
    sure.head.weight.data, sure.head.bias.data = 1e4 * lab32.net.head.weight, 1e4 * lab32.net.head.bias
    x = lab32.test.clone().requires_grad_()
    p = sure(x).softmax(dim=1).amax(dim=1)
    assert (p == 1).float().mean() > 0.9
    assert not torch.autograd.grad(p.log().sum(), x)[0][(p == 1)].any()
    lab = type(lab32)(sure, lab32.train, lab32.validation, lab32.outliers, lab32.test)
    assert (lab.score(Odin(1.0, 0.0014), lab.test) > lab.score(Odin(1.0, 0.0), lab.test)).all()


def test_float32_at_1000_ranks_as_float64(lab, lab32) -> None:
    np.testing.assert_allclose(lab32.score(Odin(), lab32.test), lab.score(Odin(), lab.test), rtol=1e-3, atol=1e-3)


def test_the_step_costs_one_gradient_and_none_without_it(lab) -> None:
    for eps, forward, backward in ((0.0014, 2, 1), (0.0, 1, 0)):
        outputs = lab.outputs(Odin(eps=eps), lab.test)
        with torch.no_grad():
            Odin(eps=eps).score((), outputs)
        passes = outputs._model.passes
        assert (passes.forward, passes.gradient) == (forward * 15, backward * 15)


def test_grid_is_liangs() -> None:
    fixed, tuned, fgsm = METHODS
    (_, temperatures), (_, steps) = tuned.search.over
    assert temperatures == (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    np.testing.assert_allclose(steps, np.linspace(0, 0.004, 21))
    assert [row.tuning_access for row in METHODS] == ["none", "ood_val", "adversarial_val"]
    assert (fgsm.search.over, fgsm.search.on) == (tuned.search.over, "adversarial_validation")
    assert fixed.detector == Odin(T=1000.0, eps=0.0014)
