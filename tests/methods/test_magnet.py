"""magnet: its two scores by loops, and an auto-encoder that learns."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.magnet import METHODS, Autoencoder, Magnet, _begin
from torch import Tensor

from oodbench.contract import LOGITS
from oodbench.detectors.trained import filled

SMALL = Magnet(width=4, steps=40, batch=16)


@pytest.fixture(scope="module")
def state(lab) -> Autoencoder:
    return lab.fit(SMALL)


def drawn(state: Autoencoder, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return filled(SMALL._net(state.channels, torch.Generator()), state.weights)(x).numpy()


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_error_by_loops(lab, state: Autoencoder, p: float) -> None:
    detector = Magnet(T=0.0, p=p, width=4)
    expected = [
        -sum(abs(a - b) ** p for a, b in zip(one.ravel(), other.ravel(), strict=True)) / one.size
        for one, other in zip(lab.test.numpy(), drawn(state, lab.test), strict=True)
    ]
    np.testing.assert_allclose(lab.score(detector, lab.test, state), expected, rtol=1e-6)


@pytest.mark.parametrize("T", [1.0, 10.0])
def test_divergence_by_loops(lab, state: Autoencoder, T: float) -> None:
    def softmax(x: Tensor) -> np.ndarray:
        e = np.exp(lab.all(x)[LOGITS].numpy() / T)
        return e / e.sum(axis=1, keepdims=True)

    def kl(p: np.ndarray, q: np.ndarray) -> float:
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    answers, others = softmax(lab.test), softmax(torch.from_numpy(drawn(state, lab.test).clip(0, 1)))
    expected = [-(kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2 for p, q in zip(answers, others, strict=True)]
    np.testing.assert_allclose(lab.score(Magnet(T=T, width=4), lab.test, state), expected, rtol=1e-5, atol=1e-12)


def test_the_auto_encoder_learns(lab) -> None:
    images = lab.validation[0].numpy()
    grey = -np.abs(images - images.mean(axis=0)).mean()
    assert lab.score(Magnet(T=0.0, steps=200), lab.validation[0]).mean() > 0.8 * grey


def test_it_begins_at_the_mean_pixel() -> None:
    net = Magnet()._net(3, torch.Generator().manual_seed(0))
    mean = torch.tensor([0.1, 0.5, 0.8])
    _begin(net, mean)
    with torch.no_grad():
        given = net(mean[None, :, None, None].expand(1, 3, 9, 9))
    np.testing.assert_allclose(given[0, :, 4, 4], mean, atol=1e-5)


def test_a_copied_image_diverges_by_nothing(lab) -> None:
    copied = Magnet(width=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oodbench.methods.magnet.filled", lambda net, weights: torch.nn.Identity())
        np.testing.assert_allclose(lab.score(copied, lab.test, Autoencoder(torch.zeros(0), 1)), 0, atol=1e-12)


def test_large_sets_are_drawn_from(lab) -> None:
    few = Magnet(width=2, steps=2, most=49 * 20)
    data = lab.data(few)
    with torch.no_grad():
        fitted = few.fit(data)
    assert fitted.weights.isfinite().all()


def test_rows() -> None:
    error, divergence = METHODS
    assert (error.detector.T, error.detector.p, divergence.detector.T) == (0, 1, 10)
    assert {"logits", "network"}.isdisjoint(map(str, error.detector.reads))
    assert divergence.sized("paper").detector.steps is None
