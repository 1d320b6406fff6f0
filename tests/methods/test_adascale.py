"""adascale-a and adascale-l against a loop over the paper's formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from oodbench.methods.adascale import METHODS, AdaScale, Held
from scipy.special import logsumexp

from oodbench.contract import FEATURES, LOGITS


def sigma_by_loops(x: torch.Tensor) -> list[float]:
    return [float(x[:, c].numpy().std()) for c in range(x.shape[1])]


def shift_by_loops(lab, gradient, x: torch.Tensor, sigma: list[float], d: AdaScale) -> list[float]:
    shifts = []
    for image in x:
        f = lab.all(image[None])[FEATURES][0].numpy()
        slope = gradient(lambda one: lab.net(one[None])[0].max(), image).numpy()
        standard = np.stack([s * g for s, g in zip(sigma, slope, strict=True)])
        order = sorted(range(standard.size), key=lambda i: (abs(standard.ravel()[i]), i))
        moved = image.numpy().copy()
        for i in order[: max(1, int(standard.size * d.o / 100))]:
            c = i // standard[0].size
            moved.reshape(-1)[i] += d.eps * sigma[c] * np.sign(standard.ravel()[i])
        after = lab.all(torch.from_numpy(moved)[None])[FEATURES][0].numpy()
        largest = sorted(range(len(f)), key=lambda i: (-f[i], i))
        k1, k2 = (max(1, int(len(f) * k / 100)) for k in (d.k1, d.k2))
        shifts.append(
            d.lam * sum(abs(after[i] - f[i]) for i in largest[:k1]) + sum(max(after[i], 0.0) for i in largest[:k2])
        )
    return shifts


def by_loops(lab, gradient, d: AdaScale) -> list[float]:
    sigma = sigma_by_loops(lab.validation[0])
    held = shift_by_loops(lab, gradient, lab.validation[0], sigma, d)
    w, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    outputs, scores = lab.all(lab.test), []
    for f, z, q in zip(
        outputs[FEATURES].numpy(),
        outputs[LOGITS].numpy(),
        shift_by_loops(lab, gradient, lab.test, sigma, d),
        strict=True,
    ):
        p = d.p_min + (1 - np.mean([other <= q for other in held])) * (d.p_max - d.p_min)
        a = sorted((max(v, 0.0) for v in f), reverse=True)
        r = sum(a) / sum(a[: max(1, len(f) - round(len(f) * p / 100))])
        scores.append(float(logsumexp(w @ (f * np.exp(r)) + b if d.variant == "a" else r * r * z)))
    return scores


@pytest.mark.parametrize(
    "d",
    [
        AdaScale("a"),
        AdaScale("l"),
        AdaScale("a", p_min=10.0, p_max=90.0, k1=40.0, k2=60.0, lam=1.0, o=30.0, eps=1.0),
        AdaScale("l", p_min=10.0, p_max=90.0, k1=60.0, k2=40.0, lam=2.0, o=30.0, eps=1.0),
    ],
    ids=["a", "l", "a-wide", "l-wide"],
)
def test_score_by_loops(lab, gradient, d: AdaScale) -> None:
    np.testing.assert_allclose(lab.score(d, lab.test), by_loops(lab, gradient, d), rtol=1e-9)


def test_shares_of_five_features_differ_between_inputs(lab) -> None:
    """Otherwise the loop above proves nothing of the adaptive part."""
    wide, low, high = (AdaScale("l", p_min=p, p_max=q) for p, q in ((10.0, 90.0), (10.0, 10.0), (90.0, 90.0)))
    scores, least, most = (lab.score(d, lab.test) for d in (wide, low, high))
    assert not np.allclose(scores, least)
    assert not np.allclose(scores, most)


def test_the_step_is_in_deviations_of_the_channel(lab) -> None:
    sigma, Q = lab.fit(AdaScale("a"))
    np.testing.assert_allclose(sigma, sigma_by_loops(lab.validation[0]), rtol=1e-10)
    assert len(Q) == len(lab.validation[0])
    assert (Q.diff() >= 0).all()


class Two:
    """Outputs of a linear network of two channels, the first with ten times the slope; notes how it is moved."""

    def __init__(self, x: torch.Tensor, steps: list[torch.Tensor]) -> None:
        self.inputs, self.steps = x, steps
        self.features = torch.stack([x[:, 0].mean(dim=(1, 2)), 0.1 * x[:, 1].mean(dim=(1, 2))], dim=1)
        self.logits = self.features.sum(dim=1, keepdim=True)

    def grad(self, f: Callable[["Two"], torch.Tensor]) -> torch.Tensor:
        x = self.inputs.clone().requires_grad_()
        return torch.autograd.grad(f(Two(x, [])).sum(), x)[0]

    def at(self, x: torch.Tensor) -> "Two":
        self.steps.append(x - self.inputs)
        return Two(x, self.steps)


def test_channels_weigh_in_by_their_own_deviation() -> None:
    """The first channel has ten times the slope and a hundredth of the deviation: it is the trivial one."""
    x = torch.rand(3, 2, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = Held(torch.tensor([0.01, 1.0], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    steps: list[torch.Tensor] = []
    AdaScale("l", o=50.0).score(state, Two(x, steps))
    np.testing.assert_allclose(steps[0][:, 0], 0.005, rtol=1e-9)
    np.testing.assert_allclose(steps[0][:, 1], 0, atol=0)


def test_rows() -> None:
    detectors = {method.name: method.detector for method in METHODS}
    assert detectors["adascale-a"] == detectors["adascale-a-tuned"] == AdaScale("a")
    assert detectors["adascale-l"] == detectors["adascale-l-tuned"] == AdaScale("l")
    assert (detectors["adascale-a"].p_min, detectors["adascale-a"].p_max) == (60, 85)
