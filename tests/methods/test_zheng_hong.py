"""zheng against a loop over classes and components."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.zheng_hong import ClassMixtures, distribution_function

from oodbench.contract import FEATURES, LOGITS


def log_density_by_loops(mixture, f: np.ndarray) -> float:
    terms = []
    for log_pi, mu, sigma2 in zip(mixture.log_pi.tolist(), mixture.mu.tolist(), mixture.sigma2.tolist(), strict=True):
        log_normal = sum(
            -0.5 * math.log(2 * math.pi * s) - (v - m) ** 2 / (2 * s) for v, m, s in zip(f, mu, sigma2, strict=True)
        )
        terms.append(log_pi + log_normal)
    largest = max(terms)
    return largest + math.log(sum(math.exp(t - largest) for t in terms))


def raw_by_loops(lab, state, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    given = lab.all(x)
    y = [max(range(3), key=lambda c, z=z: z[c]) for z in given[LOGITS].tolist()]
    log_p = [log_density_by_loops(state.mixtures[c], f) for c, f in zip(y, given[FEATURES].tolist(), strict=True)]
    return np.array(log_p), np.array(y)


def test_score_by_loops(lab) -> None:
    detector = ClassMixtures(K=2)
    state = lab.fit(detector)
    held_out, predicted = raw_by_loops(lab, state, lab.validation[0])
    tau = [np.quantile(held_out[predicted == c], 0.05) for c in range(3)]
    log_p, y = raw_by_loops(lab, state, lab.test)
    np.testing.assert_allclose(
        lab.score(detector, lab.test, state), [v - tau[c] for v, c in zip(log_p, y, strict=True)], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(lab.score(ClassMixtures(K=2, normalise="none"), lab.test, state), log_p, rtol=1e-5)


def test_mixtures_are_of_the_true_class(lab) -> None:
    state = lab.fit(ClassMixtures(K=1))
    f = lab.all(lab.train[0])[FEATURES].numpy()
    for c in range(3):
        own = f[lab.train[1].numpy() == c]
        np.testing.assert_allclose(state.mixtures[c].mu[0], own.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(state.mixtures[c].sigma2[0], own.var(axis=0) + 1e-6 * f.var(axis=0), rtol=1e-6)


def test_five_per_cent_of_each_predicted_class_fall_below_its_threshold(lab) -> None:
    s = lab.score(ClassMixtures(K=2), lab.validation[0])
    y = lab.all(lab.validation[0])[LOGITS].argmax(dim=1).numpy()
    for c in range(3):
        assert abs((s[y == c] < 0).mean() - 0.05) <= 1 / (y == c).sum()


def test_distribution_function_is_the_empirical_one_inside_and_straight_outside() -> None:
    reference = np.sort(np.random.default_rng(0).normal(size=101) * 20)
    rows = torch.as_tensor(reference).repeat(101, 1)
    np.testing.assert_allclose(distribution_function(rows[0], rows), np.linspace(0, 1, 101), atol=1e-12)
    span = reference[-1] - reference[0]
    outside = torch.tensor([reference[0] - span, reference[-1] + 3 * span])
    np.testing.assert_allclose(distribution_function(outside, rows[:2]), [-1, 4])


def test_distribution_function_never_ties_outside_its_reference() -> None:
    values = torch.linspace(-1e4, 1e4, 999, dtype=torch.float64)
    for reference in (torch.linspace(-1, 1, 101), torch.zeros(101)):
        share = distribution_function(values, reference.double().expand(999, -1).contiguous())
        assert (share.diff() > 0).all()


def test_cdf_orders_each_class_as_the_raw_density(lab) -> None:
    state = lab.fit(ClassMixtures(K=2))
    x = torch.cat([lab.test, lab.outliers])
    raw, share = (lab.score(ClassMixtures(K=2, normalise=how), x, state) for how in ("none", "cdf"))
    y = lab.all(x)[LOGITS].argmax(dim=1).numpy()
    for c in range(3):
        assert list(raw[y == c].argsort()) == list(share[y == c].argsort())
    assert list(raw.argsort()) != list(share.argsort())


@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_class_with_few_training_images(lab, left: int) -> None:
    x, y = lab.train
    keep = (y != 1) | (torch.arange(len(y)) < 3 * left)
    few = type(lab)(lab.net, (x[keep], y[keep]), lab.validation, lab.outliers, lab.test)
    state = few.fit(ClassMixtures())
    assert np.isfinite(few.score(ClassMixtures(), lab.test, state)).all()
    assert len(state.mixtures[1].mu) == (6 if left == 0 else 1)  # none: the mixture of all 60; few: one Gaussian
    assert len(state.mixtures[0].mu) == 3  # 30 images


def test_a_class_that_is_never_predicted_on_held_out_data(lab) -> None:
    x, y = lab.validation
    predicted = lab.all(x)[LOGITS].argmax(dim=1)
    keep = predicted != 1
    never = type(lab)(lab.net, lab.train, (x[keep], y[keep]), lab.outliers, lab.test)
    assert np.isfinite(never.score(ClassMixtures(), lab.test)).all()
