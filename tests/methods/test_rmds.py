"""rmds, mahalanobis++ and rmds++ against loops over classes and inputs, and the degenerate covariances."""

import numpy as np
import pytest
import torch
from oodbench.methods.mahalanobis_normalised import NormalisedMahalanobis, NormalisedRelativeMahalanobis
from oodbench.methods.rmds import RelativeMahalanobis

from oodbench.contract import FEATURES
from oodbench.errors import BadData
from oodbench.estimators import fit_gaussians, fit_relative_gaussians

AWAKE = [0, 1, 2, 4]
"""The units that fire often enough for the two covariances to be inverted apart."""


def distances_by_loops(train: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Return min_c d_c and d_0 of each row."""
    means = [train[labels == c].mean(axis=0) for c in np.unique(labels)]
    sigma = sum(np.outer(f - means[c], f - means[c]) for f, c in zip(train, labels, strict=True)) / len(train)
    mu_0 = train.mean(axis=0)
    sigma_0 = sum(np.outer(f - mu_0, f - mu_0) for f in train) / len(train)
    nearest = [min((f - mu) @ np.linalg.inv(sigma) @ (f - mu) for mu in means) for f in rows]
    return nearest, [(f - mu_0) @ np.linalg.inv(sigma_0) @ (f - mu_0) for f in rows]


def unit(f: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt(sum(row**2)) for row in f])


@pytest.fixture
def features(lab) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    return train, lab.train[1].numpy(), test


def test_relative_by_loops(features) -> None:
    train, labels, test = features
    nearest, background = distances_by_loops(train[:, AWAKE], labels, test[:, AWAKE])
    ours = fit_relative_gaussians(torch.as_tensor(train[:, AWAKE]), torch.as_tensor(labels), 1e-10)
    np.testing.assert_allclose(ours.confidence(torch.as_tensor(test[:, AWAKE])), np.subtract(background, nearest))
    np.testing.assert_allclose(ours.background.squared_distance(torch.as_tensor(test[:, AWAKE]))[:, 0], background)


def test_the_rows_by_loops(lab, features) -> None:
    train, labels, test = features
    nearest, background = distances_by_loops(train, labels, test)
    np.testing.assert_allclose(
        lab.score(RelativeMahalanobis(), lab.test), np.subtract(background, nearest), rtol=1e-5, atol=1e-5
    )
    nearest, background = distances_by_loops(unit(train), labels, unit(test))
    np.testing.assert_allclose(lab.score(NormalisedMahalanobis(), lab.test), np.negative(nearest), rtol=1e-5)
    np.testing.assert_allclose(
        lab.score(NormalisedRelativeMahalanobis(), lab.test), np.subtract(background, nearest), rtol=1e-5, atol=1e-5
    )


def test_what_no_class_varies_in_counts_in_neither_distance() -> None:
    """A unit that never fired, and one that is the same within each class but not between them."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    wide = torch.randn(60, 2, generator=generator) + labels[:, None]
    f = torch.cat([wide, torch.zeros(60, 1), labels[:, None].float()], dim=1)
    fitted, narrow = fit_relative_gaussians(f, labels, 1e-10), fit_relative_gaussians(wide, labels, 1e-10)
    stirred = f + torch.tensor([0.0, 0.0, 5.0, 7.0])
    np.testing.assert_allclose(fitted.confidence(stirred), narrow.confidence(wide), rtol=1e-6)


def test_a_direction_that_all_classes_share_cancels() -> None:
    """Along it both distances grow alike; Mahalanobis' own grows without bound."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4000) % 2
    f = torch.randn(4000, 3, generator=generator) + 4 * labels[:, None] * torch.tensor([1.0, 0.0, 0.0])
    far = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 30.0]])
    relative = fit_relative_gaussians(f, labels, 1e-10)
    ours, alone = relative.confidence(far), relative.classes.squared_distance(far).amin(dim=1)
    assert alone[1] - alone[0] > 800
    assert abs(ours[1] - ours[0]) < 5


@pytest.mark.parametrize("shape", [(6, 50, 2), (3000, 5, 1000)])
def test_fewer_rows_than_features_and_a_thousand_classes(shape) -> None:
    rows, width, classes = shape
    f = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(rows) % classes
    for x in (f, torch.nn.functional.normalize(f, dim=1)):
        assert fit_relative_gaussians(x, labels, 1e-10).confidence(3 * x).isfinite().all()


def test_two_normalised_features_lie_on_a_circle() -> None:
    """Short arcs have hardly any width along their means: near-singular, and still well ordered."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.cat([0.001 * torch.randn(100, generator=generator) + at for at in (0.3, 0.3001)])
    f = torch.stack([angle.cos(), angle.sin()], dim=1)
    fitted = fit_gaussians(f, torch.arange(200) // 100, 1e-10)
    turned = torch.tensor([0.3, 0.31, 0.4, 1.5])
    distance = fitted.squared_distance(torch.stack([turned.cos(), turned.sin()], dim=1)).amin(dim=1)
    assert (distance.diff() > 0).all()


def test_a_feature_vector_of_zeros_has_a_score(lab32) -> None:
    detector = NormalisedRelativeMahalanobis()
    state = lab32.fit(detector)
    assert state.confidence(torch.nn.functional.normalize(torch.zeros(1, 5), dim=1)).isfinite().all()


def test_classes_without_width_are_refused() -> None:
    with pytest.raises(BadData, match="do not vary within their classes"):
        fit_relative_gaussians(torch.eye(3), torch.arange(3), 1e-10)


def test_length_does_not_count_after_normalisation(lab) -> None:
    class Scaled:
        def __init__(self, f: torch.Tensor) -> None:
            self.features = f

    f = lab.all(lab.test)[FEATURES]
    for detector in (NormalisedMahalanobis(), NormalisedRelativeMahalanobis()):
        state = lab.fit(detector)
        np.testing.assert_allclose(
            detector.score(state, Scaled(0.1 * f)), detector.score(state, Scaled(f)), rtol=1e-5, atol=1e-5
        )
