"""oodbench.estimators against loops, scikit-learn and scipy, and on degenerate data."""

import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from oodbench.detectors.calibrated import calibrate
from oodbench.errors import BadData
from oodbench.estimators import PENALTIES, Mixture, em_step, fit_gaussians, fit_log_odds, fit_mixture, unit_scale
from oodbench.measure.ranking import ranking


def blobs(n: int = 300, features: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(4, features, generator=generator, dtype=torch.float64)
    x = centres[torch.arange(n) % 4] + torch.randn(n, features, generator=generator, dtype=torch.float64)
    return x * torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)


def start(x: Tensor, K: int) -> Mixture:
    return Mixture(
        torch.full((K,), -math.log(K), dtype=torch.float64), x[:K].clone(), x.var(dim=0).expand(K, -1).clone(), 0, 0, 0
    )


def sklearn_em(x: Tensor, mixture: Mixture, steps: int, floor: float) -> GaussianMixture:
    gmm = GaussianMixture(
        len(mixture.mu),
        covariance_type="diag",
        reg_covar=floor,
        tol=0,
        max_iter=steps,
        weights_init=mixture.log_pi.exp().numpy(),
        means_init=mixture.mu.numpy(),
        precisions_init=(1 / mixture.sigma2).numpy(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return gmm.fit(x.numpy())


@pytest.mark.parametrize("steps", [1, 10])
def test_em_takes_the_steps_of_scikit_learn(steps: int) -> None:
    x = blobs()
    mixture = start(x, 4)
    theirs = sklearn_em(x, mixture, steps, floor=1e-3)
    for _ in range(steps):
        mixture, _ = em_step(mixture, x, 1e-3)
    np.testing.assert_allclose(mixture.log_pi.exp(), theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(mixture.mu, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(mixture.sigma2, theirs.covariances_, rtol=1e-8)
    np.testing.assert_allclose(mixture.log_density(x), theirs.score_samples(x.numpy()), rtol=1e-9)


def test_log_density_by_loops() -> None:
    mixture, x = start(blobs(), 4), blobs(20, seed=1)
    for row, value in zip(x.numpy(), mixture.log_density(x).numpy(), strict=True):
        density = 0.0
        for log_pi, mu, sigma2 in zip(mixture.log_pi.numpy(), mixture.mu.numpy(), mixture.sigma2.numpy(), strict=True):
            normal = 1.0
            for f in range(3):
                normal *= math.exp(-((row[f] - mu[f]) ** 2) / (2 * sigma2[f])) / math.sqrt(2 * math.pi * sigma2[f])
            density += math.exp(log_pi) * normal
        assert value == pytest.approx(math.log(density), rel=1e-9)


def test_log_density_far_away_is_finite_and_ordered() -> None:
    mixture = start(blobs(), 4)
    far = torch.tensor([[1e3], [1e4], [1e5]]) * torch.ones(1, 3)
    assert (mixture.log_density(far).diff() < 0).all()
    assert mixture.log_density(far).isfinite().all()


def fitted(x: Tensor, K: int, max_iter: int = 200, floor: float = 1e-6, tol: float = 1e-3) -> Mixture:
    return fit_mixture(x, K, scale=unit_scale(x), floor=floor, tol=tol, max_iter=max_iter, seed=0)


def test_fit_finds_the_blobs() -> None:
    x = blobs(2000)
    mixture = fitted(x, 4)
    reference = GaussianMixture(4, covariance_type="diag", n_init=5, random_state=0).fit(x.numpy())
    assert float(mixture.log_density(x).mean()) == pytest.approx(reference.score(x.numpy()), abs=0.01)
    assert mixture.gain < 1e-3
    assert 0 < mixture.iterations < 200


def test_fit_does_not_depend_on_units() -> None:
    x = blobs()
    scale = torch.tensor([1e-3, 1e3, 7.0], dtype=torch.float64)
    moved = fitted(x * scale + 5, 4).log_density(x * scale + 5) + scale.log().sum()
    np.testing.assert_allclose(moved, fitted(x, 4).log_density(x), rtol=1e-6)


def test_fit_is_the_same_for_the_same_seed() -> None:
    x = blobs().float()
    assert all(
        torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(fitted(x, 9), fitted(x, 9), strict=True)
    )


def test_fit_stops_at_max_iter() -> None:
    assert fitted(blobs(), 4, max_iter=3, tol=0.0).iterations == 3


@pytest.mark.parametrize("x", [torch.ones(1, 3), torch.ones(20, 3), torch.tensor([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0]])])
def test_fit_of_points_without_spread_is_finite_and_says_how_much_is_floor(x: Tensor) -> None:
    mixture = fitted(x, len(x))
    assert mixture.log_density(torch.cat([x, x + 1])).isfinite().all()
    assert mixture.floored == 1.0


def test_fit_reports_no_floor_where_there_is_spread() -> None:
    assert fitted(blobs(), 4).floored == 0.0


def test_gaussians_leave_out_a_class_that_has_no_row() -> None:
    x = blobs(30)
    gaussians = fit_gaussians(x, torch.arange(30) % 2 * 2, 1e-10)
    assert gaussians.mu.shape == (2, 3)
    np.testing.assert_allclose(gaussians.mu[1], x[1::2].mean(dim=0))
    assert gaussians.squared_distance(x).shape == (30, 2)


def test_gaussians_of_a_class_with_one_row() -> None:
    gaussians = fit_gaussians(blobs(30), (torch.arange(30) == 0).long(), 1e-10)
    assert gaussians.squared_distance(blobs(30)).isfinite().all()
    np.testing.assert_allclose(gaussians.squared_distance(blobs(30))[0, 1], 0, atol=1e-9)


def test_unit_scale() -> None:
    x = torch.cat([blobs(), torch.full((300, 1), 3.0, dtype=torch.float64)], dim=1)
    np.testing.assert_allclose(unit_scale(x)[:3], x[:, :3].numpy().std(axis=0))
    assert unit_scale(x)[3] == 1


def two_sides() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    inside = torch.randn(80, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 100.0, 1e-3])
    outside = torch.randn(50, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 100.0, 1e-3])
    return inside, outside - torch.tensor([0.5, 80.0, 2e-4])


def standardised(inside: Tensor, outside: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return columns in standard units, the classes as 1 and -1, and the units."""
    rows = torch.cat([inside, outside]).numpy()
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    return (rows - mean) / std, np.repeat([1.0, -1.0], [len(inside), len(outside)]), mean, std


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_log_odds_minimise_the_penalised_loss_of_one_of_ten_penalties(sign: float) -> None:
    """Another solver, on v with w = v^2 for what may not be negative; a column the other way round gets 0."""
    inside, outside = two_sides()
    inside, outside = (one * torch.tensor([1.0, 1.0, sign]) for one in (inside, outside))
    weights, bias = fit_log_odds(inside, outside, folds=3, seed=0)
    z, y, mean, std = standardised(inside, outside)
    ours = np.append(weights.numpy() * std, bias + weights.numpy() @ mean)

    def loss(v: np.ndarray, C: float) -> float:
        w = v[:3] ** 2
        return w @ w / 2 + C * np.logaddexp(0, -y * (z @ w + v[3])).sum()

    solutions = [minimize(loss, np.full(4, 0.5), args=(C,), tol=1e-12).x for C in PENALTIES]
    assert min(np.abs(np.append(v[:3] ** 2, v[3]) - ours).max() for v in solutions) < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_log_odds_are_those_of_scikit_learn_where_no_weight_would_be_negative(seed: int) -> None:
    """Of its ten fits, that of the strongest penalty within a standard error of the best accuracy."""
    inside, outside = two_sides()
    flip = torch.sign(inside.mean(dim=0) - outside.mean(dim=0))
    inside, outside = inside * flip, outside * flip
    weights, bias = fit_log_odds(inside, outside, folds=3, seed=seed)
    z, y, mean, std = standardised(inside, outside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn renames its arguments
        theirs = LogisticRegressionCV(
            cv=StratifiedKFold(3, shuffle=True, random_state=seed), Cs=PENALTIES, tol=1e-8, scoring="accuracy"
        ).fit(z, y)
    accuracy = np.asarray(theirs.scores_[1.0])
    best = accuracy.mean(axis=0).argmax()
    error = accuracy[:, best].std(ddof=1) / np.sqrt(3)
    C = PENALTIES[np.flatnonzero(accuracy.mean(axis=0) >= accuracy.mean(axis=0)[best] - error - 1e-12)[0]]
    alone = LogisticRegression(C=C, tol=1e-9).fit(z, y)
    assert (alone.coef_ > 0).all()
    np.testing.assert_allclose(weights.numpy() * std, alone.coef_[0], rtol=1e-3, atol=1e-5)
    assert bias + float(weights.numpy() @ mean) == pytest.approx(alone.intercept_[0], abs=1e-4)


OUTSETS = torch.tensor(
    [[2.5, 2.0, 0.5, 0.3, 0.3], [0.3, 0.3, 0.5, 2.0, 2.5], [1.2] * 5, [-0.3, 0.0, 0.5, 1.0, 3.0]], dtype=torch.float64
)
"""By how much five layers' confidences fall on four test sets: each shows in other layers."""


def confidences(n: int, falls: Tensor, generator: torch.Generator) -> Tensor:
    """Draw five layers' confidences that share a part, of inputs on which they fall by so much."""
    own, shared = (torch.randn(n, k, generator=generator, dtype=torch.float64) for k in (5, 1))
    return 0.8 * own + 0.6 * shared - falls


def mean_auroc(weights: Tensor, generator: torch.Generator) -> float:
    good = confidences(2000, torch.zeros(5), generator) @ weights
    bad = [confidences(2000, falls, generator) @ weights for falls in OUTSETS]
    return float(np.mean([ranking(good.numpy(), scores.numpy())["auroc"] for scores in bad]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("distance", [6.0, 12.0])
def test_layer_weights_of_separable_data_are_not_arbitrary(distance: float, seed: int) -> None:
    """Held-out sets that a line separates: shares move by less than 0.1 between halves, and AUROC keeps up.

    Without bound and with the penalty of the best accuracy the same shares went from -2.7 to +1.1, and the mean AUROC
    over out-sets fell up to five points below that of equal weights; a margin of half a point is allowed here.
    """
    generator = torch.Generator().manual_seed(seed)
    inside = confidences(500, torch.zeros(5), generator)
    falls = distance * torch.tensor([[0.6, 0.6, 0.8, 1.0, 1.2], [0.9, 0.8, 0.8, 0.9, 1.0]], dtype=torch.float64)
    outside = torch.cat([confidences(250, each, generator) for each in falls])
    fits = [fit_log_odds(inside[half::2], outside[half::2], folds=3, seed=seed)[0] for half in (0, 1)]
    shares = [weights / weights.sum() for weights in fits]
    assert all((weights >= 0).all() for weights in fits)
    assert float((shares[0] - shares[1]).abs().max()) < 0.1
    equal = 1 / unit_scale(torch.cat([inside, outside]))
    for weights in fits:
        assert (
            mean_auroc(weights, torch.Generator().manual_seed(9))
            > mean_auroc(equal, torch.Generator().manual_seed(9)) - 0.005
        )


def test_columns_that_are_all_higher_outside_get_no_weight() -> None:
    inside = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    weights, bias = fit_log_odds(inside, inside + 3, folds=3, seed=0)
    assert weights.tolist() == [0.0, 0.0]
    assert math.isfinite(bias)


def test_log_odds_of_separable_rows_and_a_constant_column_are_finite() -> None:
    inside = torch.tensor([[1.0, 5.0]] * 10) + torch.arange(10)[:, None] * torch.tensor([0.1, 0.0])
    weights, bias = fit_log_odds(inside, -inside * torch.tensor([1.0, -1.0]), folds=3, seed=0)
    assert weights.isfinite().all()
    assert math.isfinite(bias)
    assert weights[0] > 0
    assert weights[1] == 0


def test_what_no_fit_can_stand_on_is_told() -> None:
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    mixture = partial(fit_mixture, scale=torch.ones(4), floor=1e-4, tol=1e-4, max_iter=5, seed=0)
    with pytest.raises(BadData, match="a mixture of 30 components wants at least as many rows, and got 10"):
        mixture(x, 30)
    with pytest.raises(BadData, match="rows that are NaN or infinite"):
        mixture(torch.where(x == x.max(), torch.nan, x), 3)
    with pytest.raises(BadData, match="10 rows of 10 classes do not vary within their classes"):
        fit_gaussians(x, torch.arange(10), 1e-10)
    with pytest.raises(BadData, match="got 2 held-out images inside and 10 outside; expected at least 3 of each"):
        fit_log_odds(x[:2], x, folds=3, seed=0)
    with pytest.raises(BadData, match="a held-out logit is NaN or infinite"):
        calibrate(torch.where(x == x.max(), torch.inf, x), torch.zeros(10, dtype=torch.long), 0.01, 100.0)
