"""oodbench.formulas against loops over the formulas, and the traps that float32 sets."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from oodbench import formulas

Z = torch.randn(20, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4


def key_by_loops(z: np.ndarray, T: float) -> np.ndarray:
    keys = []
    for row in z:
        y = int(np.argmax(row))
        keys.append(-math.log(sum(math.exp((row[i] - row[y]) / T) for i in range(len(row)) if i != y)))
    return np.array(keys)


@pytest.mark.parametrize("T", [1.0, 2.5, 1000.0])
def test_msp_key_is_the_log_odds_of_the_largest_softmax(T: float) -> None:
    p = (Z / T).softmax(dim=1).amax(dim=1)
    np.testing.assert_allclose(formulas.msp_key(Z, T), key_by_loops(Z.numpy(), T), rtol=1e-12)
    np.testing.assert_allclose(formulas.msp_key(Z, T), (p / (1 - p)).log(), rtol=1e-9)


@given(st.lists(st.lists(st.integers(-8, 8), min_size=4, max_size=4), min_size=2, max_size=6), st.integers(1, 50))
def test_msp_key_orders_inputs_as_the_softmax_does(rows: list[list[int]], T: int) -> None:
    z = torch.tensor(rows, dtype=torch.float64)
    p, key = (z / T).softmax(dim=1).amax(dim=1), formulas.msp_key(z, float(T))
    higher = p[:, None] > p[None] + 1e-12
    assert (key[:, None] > key[None])[higher].all()


def test_msp_key_ranks_where_the_softmax_is_saturated() -> None:
    z = torch.zeros(4, 10)
    z[:, 3] = torch.tensor([30.0, 1000.0, 1000.5, 30000.0])
    assert (z.softmax(dim=1).amax(dim=1) == 1).all()
    key = formulas.msp_key(z)
    assert key.dtype == torch.float32
    np.testing.assert_allclose(key, z[:, 3] - math.log(9))
    assert (key.diff() > 0).all()


def test_msp_key_of_half_precision_logits_does_not_tie() -> None:
    z = torch.zeros(3, 4, dtype=torch.float16)
    z[:, 0] = torch.tensor([20.0, 20.015625, 20.03125])
    assert len(z.softmax(dim=1).amax(dim=1).unique()) == 1
    assert (formulas.msp_key(z).diff() > 0).all()


def test_msp_key_of_equal_logits_is_that_of_the_uniform_distribution() -> None:
    np.testing.assert_allclose(formulas.msp_key(torch.full((1, 5), 7.0)), [-math.log(4)], rtol=1e-6)


def test_log_probabilities_by_loops() -> None:
    log_p, log_q = formulas.log_probabilities(Z)
    for i, row in enumerate(Z.numpy()):
        p = np.exp(row) / sum(math.exp(v) for v in row)
        np.testing.assert_allclose(log_p[i], np.log(p), rtol=1e-9)
        np.testing.assert_allclose(log_q[i], [math.log(sum(np.delete(p, c))) for c in range(6)], rtol=1e-9, atol=1e-14)


def test_log_probabilities_are_exact_where_p_is_0_or_1() -> None:
    log_p, log_q = formulas.log_probabilities(torch.tensor([[100.0, 0.0, 0.0], [2000.0, 0.0, -5.0], [4.0, 4.0, 4.0]]))
    # p = 1 - 2 e^-100, e^-100, e^-100
    np.testing.assert_allclose(log_p[0], [-2 * math.exp(-100), -100, -100], rtol=1e-12)
    np.testing.assert_allclose(log_q[0], [math.log(2) - 100, -math.exp(-100), -math.exp(-100)], rtol=1e-12)
    np.testing.assert_allclose(log_q[1, 0], -2000 + math.log1p(math.exp(-5)), rtol=1e-12)
    np.testing.assert_allclose(log_p[2], 3 * [-math.log(3)])
    np.testing.assert_allclose(log_q[2], 3 * [math.log(2 / 3)])
    assert log_p.isfinite().all()
    assert log_q.isfinite().all()


@pytest.mark.parametrize("T", [1.0, 1000.0])
def test_tempered_margin_is_the_key_in_units_of_logits(T: float) -> None:
    np.testing.assert_allclose(
        formulas.tempered_margin(Z, T), T * (key_by_loops(Z.numpy(), T) + math.log(5)), rtol=1e-9, atol=1e-12
    )


def test_tempered_margin_separates_what_the_key_ties_at_1000() -> None:
    z = torch.randn(20000, 10, generator=torch.Generator().manual_seed(2)) * 3
    key, margin = formulas.msp_key(z, 1000.0), formulas.tempered_margin(z, 1000.0)
    assert len(key.unique()) < 0.9 * len(z) < 0.99 * len(z) < len(margin.unique())


def test_tempered_margin_tends_to_the_mean_gap() -> None:
    gaps = np.array([row.max() - np.delete(row, row.argmax()).mean() for row in Z.numpy()])
    np.testing.assert_allclose(formulas.tempered_margin(Z, 1e7), gaps, rtol=1e-5)
    # Liang's Proposition 1 takes the mean over all classes: the same ranking, C/(C - 1) times as large
    np.testing.assert_allclose(gaps * 5 / 6, Z.amax(dim=1) - Z.mean(dim=1))


def test_energy_is_the_log_sum_exp() -> None:
    for T in (1.0, 3.0):
        by_loop = [T * math.log(sum(math.exp(v / T) for v in row)) for row in Z.tolist()]
        np.testing.assert_allclose(formulas.energy(Z, T), by_loop, rtol=1e-12)
    assert formulas.energy(torch.tensor([[1000.0, 0.0]])).tolist() == [1000.0]


def test_max_logit_is_the_largest() -> None:
    assert formulas.max_logit(Z).tolist() == [max(row) for row in Z.tolist()]


def test_entropy_in_nats() -> None:
    np.testing.assert_allclose(formulas.entropy(Z), scipy.stats.entropy(Z.softmax(dim=1).numpy(), axis=1), rtol=1e-9)
    np.testing.assert_allclose(formulas.entropy(torch.zeros(1, 10)), [math.log(10)], rtol=1e-6)


@pytest.mark.parametrize("f", [formulas.msp_key, formulas.max_logit, formulas.energy, formulas.entropy])
def test_precision_in_is_precision_out_but_at_least_float32(f: object) -> None:
    for given_, returned in ((torch.float16, torch.float32), (torch.float32, torch.float32)):
        assert f(Z.to(given_)).dtype == returned  # type: ignore[operator]
    assert f(Z).dtype == torch.float64  # type: ignore[operator]


def some_classes() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(40, 4, generator=generator) + torch.tensor([0.0, 10.0, 0.0, -5.0])
    labels = torch.arange(40) % 3 + 4 * (torch.arange(40) % 3 == 2)  # classes 0, 1 and 6
    return x, labels


def test_class_means_and_scatter_by_loops() -> None:
    x, labels = some_classes()
    means, member = formulas.class_means(x, labels)
    covariance = formulas.within_class_covariance(x, means, member)
    scatter = np.zeros((4, 4))
    for k, c in enumerate((0, 1, 6)):
        own = x[labels == c].numpy().astype(np.float64)
        np.testing.assert_allclose(means[k], own.mean(axis=0), rtol=1e-12)
        for row in own:
            scatter += np.outer(row - own.mean(axis=0), row - own.mean(axis=0))
    np.testing.assert_allclose(covariance, scatter / 40, rtol=1e-10, atol=1e-12)
    assert means[member].shape == x.shape


def test_scatter_survives_a_large_mean() -> None:
    x, labels = some_classes()
    far = x.double() + 1e6
    means, member = formulas.class_means(far, labels)
    at_home = formulas.within_class_covariance(x, *formulas.class_means(x, labels))
    np.testing.assert_allclose(formulas.within_class_covariance(far, means, member), at_home, atol=1e-8)


def test_squared_mahalanobis_by_loops() -> None:
    x, labels = some_classes()
    means, member = formulas.class_means(x, labels)
    covariance = formulas.within_class_covariance(x, means, member)
    inverse = np.linalg.inv(covariance.numpy())
    d = formulas.squared_mahalanobis(x, means, formulas.precision_root(covariance, 1e-10))
    for i, row in enumerate(x.numpy().astype(np.float64)):
        for k, mean in enumerate(means.numpy()):
            assert d[i, k] == pytest.approx((row - mean) @ inverse @ (row - mean), rel=1e-9)


def test_precision_root_drops_directions_without_width() -> None:
    basis = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64))[0]
    singular = basis @ torch.diag(torch.tensor([4.0, 1.0, 1e-13, 0.0], dtype=torch.float64)) @ basis.T
    root = formulas.precision_root(singular, 1e-10)
    assert root.shape == (4, 2)
    expected = basis @ torch.diag(torch.tensor([0.25, 1.0, 0.0, 0.0], dtype=torch.float64)) @ basis.T
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-9)


def test_diagonal_gaussian_log_density_against_scipy() -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(7, 3, generator=generator) + 100
    mu = torch.randn(4, 3, generator=generator, dtype=torch.float64) + 100
    var = torch.rand(4, 3, generator=generator, dtype=torch.float64) + 1e-3
    expected = scipy.stats.norm.logpdf(x.double()[:, None], mu, var.sqrt()).sum(axis=2)
    np.testing.assert_allclose(formulas.diagonal_gaussian_log_density(x, mu, var), expected, rtol=1e-9)


def test_logits_up_to_the_largest_float_have_finite_scores() -> None:
    """What overflowed would rank at random, or not at all."""
    big = torch.tensor([[3e38, 1.0, 0.0], [1e4, -1e4, 0.0], [-3e38, -3e38, -3e38], [0.0, 0.0, 0.0]])
    expected = {
        formulas.energy: [3e38, 1e4, -3e38, math.log(3)],
        formulas.msp_key: [3e38, 1e4, -math.log(2), -math.log(2)],
        formulas.max_logit: [3e38, 1e4, -3e38, 0],
        formulas.entropy: [0, 0, math.log(3), math.log(3)],
        formulas.uniform_cross_entropy: [2e38, 1e4, 0, math.log(3)],
    }
    for formula, scores in expected.items():
        kept = [0, 1, 3] if formula is formulas.uniform_cross_entropy else [0, 1, 2, 3]  # log 3 is lost beside 3e38
        np.testing.assert_allclose(formula(big)[kept], np.array(scores)[kept], rtol=1e-6, atol=1e-30)
        assert formula(big).isfinite().all()
    assert formulas.tempered_margin(big, 1000.0).isfinite().all()
    assert formulas.energy(torch.tensor([[6e4, 6e4, -6e4]]).half()).float().isfinite().all()
