"""pytorch-ood 0.4.0 as an oracle: equal where the definitions agree, and the difference stated where they do not.

Its scores are higher for outliers, ours for inliers.
"""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.baseline_t import TemperedSoftmax
from oodbench.methods.energy import Energy
from oodbench.methods.knn import NearestNeighbours
from oodbench.methods.mahalanobis import Mahalanobis
from oodbench.methods.max_logit import METHODS as MAX_LOGIT
from oodbench.methods.msp import METHODS as MSP
from oodbench.methods.odin import Odin
from oodbench.methods.temperature import CalibratedSoftmax
from pytorch_ood import detector as theirs
from torch import Tensor
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS


def probability(key: np.ndarray) -> np.ndarray:
    """Return p of log p / (1 - p)."""
    return 1 / (1 + np.exp(-key))


def logits_of(lab, x: Tensor) -> Tensor:
    return lab.all(x)[LOGITS]


def test_max_softmax(lab) -> None:
    expected = -theirs.MaxSoftmax.score(logits_of(lab, lab.test)).numpy()
    np.testing.assert_allclose(probability(lab.score(MSP[0].detector, lab.test)), expected, rtol=1e-9)


def test_max_softmax_differs_where_it_saturates() -> None:
    z = torch.zeros(50, 10)
    z[:, 0] = torch.linspace(18, 60, 50)
    assert len(theirs.MaxSoftmax.score(z).unique()) == 1
    assert (formulas.msp_key(z).diff() > 0).all()


@pytest.mark.parametrize("T", [2.0, 1000.0])
def test_max_softmax_at_a_temperature(lab, T: float) -> None:
    expected = -theirs.MaxSoftmax.score(logits_of(lab, lab.test), T).numpy()
    key = lab.score(TemperedSoftmax(T), lab.test) / T - math.log(2)
    np.testing.assert_allclose(probability(key), expected, rtol=1e-9)


def test_max_logit(lab) -> None:
    expected = -theirs.MaxLogit.score(logits_of(lab, lab.test)).numpy()
    np.testing.assert_allclose(lab.score(MAX_LOGIT[0].detector, lab.test), expected, rtol=1e-12)


@pytest.mark.parametrize("T", [1.0, 3.0])
def test_energy(lab, T: float) -> None:
    expected = -theirs.EnergyBased.score(logits_of(lab, lab.test), T).numpy()
    np.testing.assert_allclose(lab.score(Energy(T), lab.test), expected, rtol=1e-12)


def test_entropy(lab) -> None:
    z = logits_of(lab, lab.test)
    np.testing.assert_allclose(formulas.entropy(z), theirs.Entropy.score(z), atol=1e-5)


def test_entropy_differs_where_theirs_clips_probabilities() -> None:
    z = torch.tensor([[20.0, 0.0], [30.0, 0.0], [40.0, 0.0]], dtype=torch.float64)
    assert theirs.Entropy.score(z).diff()[-1] == pytest.approx(0, abs=1e-12)
    assert (formulas.entropy(z).log().diff() < -9).all()


def test_temperature_is_where_theirs_would_end(lab) -> None:
    """Fifty steps at a rate of 0.01 stop short; started again from there, their optimiser comes to the same T."""
    z, y = logits_of(lab, lab.validation[0]), lab.validation[1]
    (T,) = lab.fit(CalibratedSoftmax())
    peer = theirs.TemperatureScaling(None)
    at_first = float(peer.fit_logits(z, y).t.detach())
    for _ in range(50):
        peer.fit_logits(z, y)
    assert abs(at_first - T) > 0.05
    assert float(peer.t.detach()) == pytest.approx(T, rel=1e-3)
    assert cross_entropy(z / T, y) < cross_entropy(z / at_first, y)


@pytest.mark.parametrize(("T", "eps"), [(1000.0, 0.0014), (1.0, 0.01), (10.0, 0.05)])
def test_odin(lab, T: float, eps: float) -> None:
    """Cross-entropy at T, T in both places, no clipping; the network standardises, so their norm_std is not set."""
    expected = -theirs.ODIN(lab.net, eps=eps, temperature=T).predict(lab.test).numpy()
    key = lab.score(Odin(T, eps), lab.test) / T - math.log(2)
    np.testing.assert_allclose(probability(key), expected, rtol=1e-8)


def test_odin_differs_in_float32_where_their_probabilities_tie(lab32) -> None:
    x = lab32.test.repeat(100, 1, 1, 1)
    x = (x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    tied = theirs.ODIN(lab32.net, eps=0.0014, temperature=1000.0).predict(x)
    assert len(tied.unique()) < 0.95 * len(x)
    assert len(np.unique(lab32.score(Odin(), x))) > 0.99 * len(x)


def healthy(f: Tensor) -> Tensor:
    """Return features without the unit that hardly ever fires: their ridge weighs on it."""
    return f[:, [0, 1, 2, 4]]


def their_mahalanobis(f: Tensor, labels: Tensor) -> theirs.Mahalanobis:
    return theirs.Mahalanobis(None).fit_features(f.float(), labels)


def test_mahalanobis_is_theirs_times_2_n(lab) -> None:
    """They halve the distance, and neither divide the scatter by N nor leave it without a ridge of 1e-6."""
    from oodbench.estimators import fit_gaussians

    f, test = (healthy(lab.all(x)[FEATURES]) for x in (lab.train[0], lab.test))
    ours = fit_gaussians(f, lab.train[1], 1e-10).squared_distance(test).amin(dim=1)
    expected = their_mahalanobis(f, lab.train[1]).predict_features(test.float())
    np.testing.assert_allclose(ours, 2 * 90 * expected, rtol=1e-4)


def test_mahalanobis_differs_at_a_dead_unit(lab) -> None:
    """Their ridge turns any activity of a unit that never fired into the whole score; the pseudo-inverse ignores it."""
    from oodbench.estimators import fit_gaussians

    f = healthy(lab.all(lab.train[0])[FEATURES])
    dead = torch.cat([f, torch.zeros(90, 1, dtype=f.dtype)], dim=1)
    awake = dead[:1].clone()
    awake[0, -1] = 0.5
    peer, ours = their_mahalanobis(dead, lab.train[1]), fit_gaussians(dead, lab.train[1], 1e-10)
    assert peer.predict_features(awake.float()) - peer.predict_features(dead[:1].float()) > 1e5
    np.testing.assert_allclose(ours.squared_distance(awake), ours.squared_distance(dead[:1]))


@pytest.mark.parametrize("eps", [0.002, 0.01])
def test_mahalanobis_with_a_step(lab, eps: float) -> None:
    """The same step: the sign of half the distance's gradient does not see their missing 1/N."""

    class Encoder(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return lab.net.layers(x.double())[-1].float()

    peer = theirs.MahalanobisODIN(Encoder(), eps=eps).fit_features(
        lab.all(lab.train[0])[FEATURES].float(), lab.train[1]
    )
    expected = -2 * 90 * peer.predict(lab.test).detach().numpy()
    np.testing.assert_allclose(lab.score(Mahalanobis(eps), lab.test), expected, rtol=2e-3)


def test_knn(lab) -> None:
    f, test = (lab.all(x)[FEATURES] for x in (lab.train[0], lab.test))
    peer = theirs.KNN(None, k=50).fit_features(f, lab.train[1])
    expected = -peer.predict_features(test).numpy()
    np.testing.assert_allclose(lab.score(NearestNeighbours(50), lab.test), expected, rtol=1e-6)
