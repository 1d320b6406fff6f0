"""confidnet: the network that it evaluates, what it learns, and from which images."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.confidnet import METHODS, ConfidNet
from torch import Tensor

from oodbench.detectors.trained import flat
from oodbench.measure.ranking import ranking

SMALL = ConfidNet(hidden=32, layers=2, rate=1e-2, steps=150)


def some(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features, logits and labels: the classifier is sure of all, and wrong where the first feature is above 1."""
    chance = torch.Generator().manual_seed(seed)
    f = torch.randn(n, 3, generator=chance)
    z = torch.zeros(n, 2)
    z[:, 0] = 4.0
    return f, z, (f[:, 0] > 1).long()


def outputs(f: Tensor, z: Tensor, y: Tensor | None = None) -> Any:
    return SimpleNamespace(features=f, logits=z, labels=y)


def fit(detector: ConfidNet, **sets: Any) -> Any:
    with torch.no_grad():
        return detector.fit(SimpleNamespace(seed=3, **{name: outputs(*given) for name, given in sets.items()}))  # type: ignore[arg-type]


def test_the_score_is_the_network_of_the_paper_by_loops(lab) -> None:
    detector = ConfidNet(hidden=6, layers=3, steps=5)
    state = fit(detector, validation=some(200, 0))
    f, z, _ = some(7, 1)
    sizes = [3, 6, 6, 6, 1]
    weights, place = state.weights.double().numpy(), 0
    h = ((f.double() - state.units.centre) / state.units.scale).numpy().T
    for layer, (m, n) in enumerate(pairwise(sizes)):
        W = weights[place : place + m * n].reshape(n, m)
        b = weights[place + m * n : place + m * n + n]
        place += m * n + n
        h = W @ h + b[:, None]
        if layer < 3:
            h = np.maximum(h, 0)
    assert place == len(weights)
    np.testing.assert_allclose(detector.score(state, outputs(f, z)), h[0], rtol=1e-5, atol=1e-6)


def test_it_learns_the_probability_of_the_true_class_where_the_softmax_says_nothing() -> None:
    state = fit(SMALL, validation=some(1000, 0))
    f, z, y = some(1000, 1)
    s = SMALL.score(state, outputs(f, z))
    p = z.softmax(dim=1)[torch.arange(1000), y]
    assert ranking(s[y == 0].numpy(), s[y == 1].numpy())["auroc"] > 0.98
    assert float((s.sigmoid() - p).square().mean()) < 0.1 * float(p.var())


def test_the_rows_are_fitted_to_held_out_and_to_training_images() -> None:
    held_out, train = METHODS[0].detector, METHODS[1].detector
    assert held_out.fits_on == {"labels", "validation"}
    assert train.fits_on == {"labels"}
    small = ConfidNet(hidden=4, layers=1, steps=3)
    by_validation = fit(small, validation=some(50, 0), train=some(50, 1))
    by_train = fit(ConfidNet(on="train", hidden=4, layers=1, steps=3), validation=some(50, 1), train=some(50, 0))
    assert torch.equal(by_validation.weights, by_train.weights)
    assert not torch.equal(by_validation.weights, fit(small, validation=some(50, 1)).weights)


def test_at_paper_scale_the_authors_training() -> None:
    for method in METHODS:
        detector = method.sized("paper").detector
        assert (detector.rate, detector.steps, detector.epochs, detector.decay) == (1e-4, None, 500, 1.0)
        assert detector.on == method.detector.on
    net = ConfidNet()._net(512, torch.Generator())
    assert len(flat(net)) == 512 * 400 + 400 + 3 * (400 * 400 + 400) + 400 + 1


def test_constant_features_are_finite() -> None:
    f, z, y = some(30, 0)
    state = fit(ConfidNet(hidden=4, layers=1, steps=3), validation=(torch.zeros_like(f), z, y))
    assert ConfidNet(hidden=4, layers=1).score(state, outputs(f, z)).isfinite().all()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_defaults(method: Any) -> None:
    assert (method.detector.hidden, method.detector.layers) == (400, 4)
