"""mahalanobis-a to -d against loops over classes, layers and inputs, and the degenerate covariances."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.mahalanobis import METHODS, LayeredMahalanobis, Mahalanobis
from torch import Tensor

from oodbench.contract import FEATURES, LAYERS, LOGITS, Output
from oodbench.estimators import fit_log_odds
from oodbench.networks import Classifier

Layer = Callable[[Tensor], Tensor]


def gaussians_by_loops(f: np.ndarray, labels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return class means, and the inverse of the scatter about them over N."""
    means, scatter = [], np.zeros((f.shape[1], f.shape[1]))
    for c in range(3):
        own = [row for row, label in zip(f, labels, strict=True) if label == c]
        means.append(sum(own) / len(own))
        for row in own:
            scatter += np.outer(row - means[c], row - means[c])
    return means, np.linalg.pinv(scatter / len(f))


def confidence_by_loops(layer: Layer, train: tuple[Tensor, Tensor], images: Tensor, eps: float, gradient) -> np.ndarray:
    """Return M(x) of each image at one layer."""
    with torch.no_grad():
        means, inverse = gaussians_by_loops(layer(train[0]).numpy(), train[1].numpy())

    def distance(x: Tensor, c: int) -> Tensor:
        centred = layer(x[None])[0] - torch.as_tensor(means[c])
        return centred @ torch.as_tensor(inverse) @ centred

    values = []
    for x in images:
        with torch.no_grad():
            nearest = min(range(3), key=lambda c, x=x: float(distance(x, c)))
        stepped = x - eps * torch.sign(gradient(lambda x, c=nearest: 0.5 * distance(x, c), x))
        with torch.no_grad():
            values.append(max(-float(distance(stepped, c)) for c in range(3)))
    return np.array(values)


def layer_of(net: Classifier, index: int) -> Layer:
    return lambda x: net.layers(x)[index]


@pytest.mark.parametrize("eps", [0.0, 0.0014, 0.01])
def test_last_layer_by_loops(lab, gradient, eps: float) -> None:
    expected = confidence_by_loops(layer_of(lab.net, -1), lab.train, lab.test, eps, gradient)
    np.testing.assert_allclose(lab.score(Mahalanobis(eps), lab.test), expected, rtol=1e-6)


@pytest.mark.parametrize("eps", [0.0, 0.01])
def test_all_layers_by_loops(lab, gradient, eps: float) -> None:
    def vectors(images: Tensor) -> np.ndarray:
        return np.stack(
            [confidence_by_loops(layer_of(lab.net, i), lab.train, images, eps, gradient) for i in range(2)], axis=1
        )

    inside, outside = torch.as_tensor(vectors(lab.validation[0])), torch.as_tensor(vectors(lab.outliers))
    alpha, beta = fit_log_odds(inside, outside, folds=3, seed=lab.seed)
    expected = [sum(float(a) * m for a, m in zip(alpha, row, strict=True)) + beta for row in vectors(lab.test)]
    np.testing.assert_allclose(lab.score(LayeredMahalanobis(eps), lab.test), expected, rtol=1e-5)


def test_each_layer_takes_its_own_step(lab) -> None:
    outputs = lab.outputs(LayeredMahalanobis(0.01), lab.test)
    state = lab.fit(LayeredMahalanobis(0.01))
    with torch.no_grad():
        LayeredMahalanobis(0.01).score(state, outputs)
    assert (outputs._model.passes.forward, outputs._model.passes.gradient) == (4 * 15, 2 * 15)


def test_a_step_raises_the_confidence(lab) -> None:
    without, with_step = (lab.score(Mahalanobis(eps), lab.test) for eps in (0.0, 0.0005))
    assert (with_step > without).mean() > 0.8


def with_features(lab, change: Callable[[Tensor], Tensor]):
    """Return the lab with its penultimate features changed."""

    class Changed(Classifier):
        def outputs(self, x: Tensor, wanted: frozenset[Output]) -> dict[Output, Any]:
            first, last = self.layers(x)
            features = change(last)
            return {LAYERS: (first, features), FEATURES: features, LOGITS: self.head(features)}

    net = Changed(lab.net.trunk, 3, (0.4,), (0.3,)).double()
    features = change(net.layers(lab.test)[-1])
    net.head = torch.nn.Linear(features.shape[1], 3, dtype=features.dtype)
    return type(lab)(net, lab.train, lab.validation, lab.outliers, lab.test)


@pytest.mark.parametrize("unit", [lambda f: 0 * f[:, 0], lambda f: f[:, 1] + f[:, 2], lambda f: 1e-9 * f[:, 1] ** 2])
def test_a_unit_that_is_dead_or_redundant_changes_nothing(lab, unit: Layer) -> None:
    singular = with_features(lab, lambda f: torch.cat([f[:, 1:], unit(f)[:, None]], dim=1))
    healthy = with_features(lab, lambda f: f[:, 1:])
    np.testing.assert_allclose(
        singular.score(Mahalanobis(), lab.test), healthy.score(Mahalanobis(), lab.test), rtol=1e-5
    )


def test_float32_activations_of_a_redundant_unit_do_not_amplify_rounding(lab) -> None:
    """A sum of units is singular but for float32 rounding, which must not be inverted with the rest."""
    redundant = with_features(lab, lambda f: torch.cat([f, f.sum(dim=1, keepdim=True)], dim=1).float())
    f = redundant.all(lab.train[0])[FEATURES]
    assert np.linalg.matrix_rank(np.cov(f.double().T), hermitian=True) == 6
    assert redundant.fit(Mahalanobis()).root.shape == (6, 5)
    np.testing.assert_allclose(redundant.score(Mahalanobis(), lab.test), lab.score(Mahalanobis(), lab.test), rtol=1e-3)


def test_a_class_without_training_images_is_nobodys_nearest(lab) -> None:
    x, y = lab.train
    two = type(lab)(lab.net, (x[y != 1], y[y != 1]), lab.validation, lab.outliers, lab.test)
    assert lab.fit(Mahalanobis()).mu.shape == (3, 5)
    assert two.fit(Mahalanobis()).mu.shape == (2, 5)
    assert np.isfinite(two.score(Mahalanobis(), lab.test)).all()


def test_a_class_with_one_training_image(lab) -> None:
    x, y = lab.train
    keep = (y != 1) | (torch.arange(len(y)) == 1)
    few = type(lab)(lab.net, (x[keep], y[keep]), lab.validation, lab.outliers, lab.test)
    assert np.isfinite(few.score(Mahalanobis(0.0014), lab.test)).all()


def test_scatter_is_within_classes_over_n(lab) -> None:
    """The mean of d at each training input's own class is trace(Sigma^-1 Sigma) = F, exactly."""
    state = lab.fit(Mahalanobis())
    own = state.squared_distance(lab.all(lab.train[0])[FEATURES])[torch.arange(90), lab.train[1]]
    assert float(own.mean()) == pytest.approx(5, rel=1e-9)


def test_the_regression_is_against_the_material_that_it_declares(lab) -> None:
    outside, attacked = (LayeredMahalanobis(against=f"{kind}_validation") for kind in ("ood", "adversarial"))
    assert outside.fits_on == {"labels", "validation", "ood_validation"}
    assert attacked.fits_on == {"labels", "validation", "adversarial_validation"}
    gaussians = lab.fit(outside).gaussians

    def confidences(images: Tensor) -> Tensor:
        layers = lab.all(images)[LAYERS]
        return torch.stack([-g.squared_distance(f).amin(dim=1) for g, f in zip(gaussians, layers, strict=True)], dim=1)

    for detector, bad in ((outside, lab.outliers), (attacked, lab.attacked)):
        alpha, _ = fit_log_odds(confidences(lab.validation[0]), confidences(bad), folds=3, seed=lab.seed)
        np.testing.assert_allclose(lab.fit(detector).alpha, alpha, rtol=1e-6)


def test_rows() -> None:
    a, b, c, d, fgsm = METHODS
    assert [m.name for m in METHODS] == [f"mahalanobis-{row}" for row in ("a", "b", "c", "d", "d-fgsm")]
    assert [m.tuning_access for m in METHODS] == ["none", "ood_val", "ood_val", "ood_val", "adversarial_val"]
    assert (a.detector, c.detector) == (Mahalanobis(0.0), LayeredMahalanobis(0.0))
    assert (a.search, c.search) == (None, None)
    for tuned in (b, d, fgsm):
        assert set(tuned.search.over[0][1]) == {0, 0.01, 0.005, 0.002, 0.0014, 0.001, 0.0005}
    assert fgsm.materials == {"labels", "validation", "adversarial_validation"}
    assert fgsm.search.on == "adversarial_validation"
    assert a.detector.reads == {FEATURES}
    assert c.detector.reads == {LAYERS}
