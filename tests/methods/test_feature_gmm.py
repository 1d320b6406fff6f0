"""gmm-100 and gmm-1000 against a loop over components, and the cap on components."""

import math

import numpy as np
import pytest
from oodbench.methods.feature_gmm import METHODS, FeatureMixture
from sklearn.mixture import GaussianMixture

from oodbench.contract import FEATURES


def test_score_by_loops(lab) -> None:
    detector = FeatureMixture(K=4)
    state = lab.fit(detector)
    expected = []
    for f in lab.all(lab.test)[FEATURES].tolist():
        density = 0.0
        for log_pi, mu, sigma2 in zip(state.log_pi.tolist(), state.mu.tolist(), state.sigma2.tolist(), strict=True):
            factors = [
                math.exp(-((v - m) ** 2) / (2 * s)) / math.sqrt(2 * math.pi * s)
                for v, m, s in zip(f, mu, sigma2, strict=True)
            ]
            density += math.exp(log_pi) * math.prod(factors)
        expected.append(math.log(density) if density else -np.inf)
    seen = np.isfinite(expected)
    assert seen.sum() > 5
    np.testing.assert_allclose(lab.score(detector, lab.test, state)[seen], np.array(expected)[seen], rtol=1e-5)
    assert np.isfinite(lab.score(detector, lab.test, state)).all()


def test_score_is_the_density_that_scikit_learn_gives_the_same_mixture(lab) -> None:
    state = lab.fit(FeatureMixture(K=4))
    theirs = GaussianMixture(len(state.mu), covariance_type="diag")
    theirs.weights_, theirs.means_, theirs.covariances_ = (
        state.log_pi.exp().numpy(),
        state.mu.numpy(),
        state.sigma2.numpy(),
    )
    theirs.precisions_cholesky_ = 1 / np.sqrt(theirs.covariances_)
    features = lab.all(lab.test)[FEATURES].numpy()
    np.testing.assert_allclose(
        lab.score(FeatureMixture(K=4), lab.test, state), theirs.score_samples(features), rtol=1e-5
    )


def test_it_is_as_likely_as_scikit_learns_own_fit(lab) -> None:
    features = lab.all(lab.train[0])[FEATURES].numpy()
    state = lab.fit(FeatureMixture(K=3))
    best = max(
        GaussianMixture(3, covariance_type="diag", random_state=i).fit(features / features.std(axis=0)).lower_bound_
        for i in range(5)
    )
    ours = float(state.log_density(lab.all(lab.train[0])[FEATURES]).mean()) + np.log(features.std(axis=0)).sum()
    assert ours > best - 0.3


@pytest.mark.parametrize(("K", "points", "expected"), [(4, 10, 4), (1000, 10, 9), (1000, 90, 1), (1000, 91, 1)])
def test_components_are_capped_by_the_training_images(lab, K: int, points: int, expected: int) -> None:
    assert len(lab.fit(FeatureMixture(K=K, points=points)).mu) == expected


def test_labels_are_not_read() -> None:
    assert all("labels" not in method.detector.fits_on for method in METHODS)
    assert [(m.name, m.detector.K) for m in METHODS] == [("gmm-100", 100), ("gmm-1000", 1000)]
