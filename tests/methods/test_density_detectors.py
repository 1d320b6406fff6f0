"""Scores on log densities: WAIC, typicality, and the ensembles whose members they compare."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.deep_ensemble import DeepEnsemble
from oodbench.methods.typicality import METHODS as TYPICALITY
from oodbench.methods.waic import METHODS as WAICS
from scipy.stats import kstest
from torch import Tensor

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import LOG_DENSITY
from oodbench.densities.ensemble import DensityEnsemble
from oodbench.densities.glow import Glow
from oodbench.densities.vae import Vae
from oodbench.detectors.densities import LIKELIHOOD, WAIC, Typicality, TypicalityMean
from oodbench.ensembles import members
from oodbench.models.train import start


class Data:
    """Training inputs by their log densities."""

    def __init__(self, log_density: Tensor) -> None:
        self.train = Given({LOG_DENSITY: log_density})


def fitted(detector: Any, reference: Tensor, log_density: Tensor) -> Tensor:
    score: Tensor = detector.score(detector.fit(Data(reference)), Given({LOG_DENSITY: log_density}))
    return score


def normal(n: int, seed: int, mean: float = -2000.0, std: float = 60.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + std * torch.randn(n, generator=generator, dtype=torch.float64)


# WAIC.


def test_waic_by_loops() -> None:
    log_p = normal(20, 0).view(4, 5)
    expected = []
    for row in log_p.tolist():
        mean = sum(row) / 5
        expected.append(mean - sum((v - mean) ** 2 for v in row) / 5)  # over 5, not 4
    got = WAIC.score((), Given({LOG_DENSITY.of_members: log_p}))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert got.dtype == torch.float64


def test_waic_of_identical_members_is_the_log_density() -> None:
    log_p = normal(6, 0)
    got = WAIC.score((), Given({LOG_DENSITY.of_members: log_p[:, None].expand(-1, 5)}))
    np.testing.assert_allclose(got, LIKELIHOOD.score((), Given({LOG_DENSITY: log_p})), rtol=1e-12)


def test_waic_takes_whole_images_in_nats() -> None:
    """In bits a dimension the variance all but vanishes, and the order is that of the mean."""
    log_p = torch.tensor([[-1000.0] * 5, [-990.0, -940.0, -890.0, -940.0, -990.0]], dtype=torch.float64)
    sure, unsure = WAIC.score((), Given({LOG_DENSITY.of_members: log_p}))
    assert sure > unsure
    sure, unsure = WAIC.score((), Given({LOG_DENSITY.of_members: log_p / (784 * math.log(2))}))
    assert sure < unsure


# The ensembles.


def some_ensemble() -> tuple[Any, list[Any], Tensor]:
    recipe = DensityEnsemble(Vae(), M=3).sized("tiny", TRAINING)
    parts = [start(density, IN_SET, torch.zeros(0), seed).net.eval() for density, seed in recipe.parts(0, (0,))]
    net = start(recipe, IN_SET, torch.zeros(0), 0, parts).net
    return net.eval(), parts, torch.from_numpy(blobs(7, 3).pixels)


def test_members_show_what_they_show_alone() -> None:
    net, parts, x = some_ensemble()
    with torch.no_grad():
        given = net.outputs(x, frozenset({LOG_DENSITY, LOG_DENSITY.of_members}))
        alone = [part.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY] for part in parts]
    assert torch.equal(given[LOG_DENSITY.of_members], torch.stack(alone, dim=1))
    assert len({each.numpy().tobytes() for each in alone}) == 3
    assert net.passes == 3
    for i, row in enumerate(given[LOG_DENSITY.of_members].tolist()):
        top = max(row)
        mean = math.log(sum(math.exp(v - top) for v in row) / 3) + top
        assert float(given[LOG_DENSITY][i]) == pytest.approx(mean, rel=1e-12)


def test_members_are_the_models_of_the_models_own_rows() -> None:
    for row in WAICS:
        recipe = row.recipe.sized("cpu", TRAINING)
        assert recipe.parts(0, (0,)) == tuple((row.recipe.density.sized("cpu", TRAINING), m) for m in range(5))
        assert recipe.training.epochs == 0
    assert {type(row.recipe.density) for row in WAICS} >= {Glow, Vae}


def test_an_ensemble_of_densities_has_the_members_of_one_of_classifiers() -> None:
    for seeds in ((0, 1, 2, 3, 4), (3,)):
        for seed in seeds:
            own = [m for _, m in DensityEnsemble(Vae()).parts(seed, seeds)]
            assert own == [m for _, m in DeepEnsemble().parts(seed, seeds)] == members(5, seed, seeds)
            assert len(set(own)) == 5


# Typicality.


def p_by_loops(reference: list[float], value: float) -> float:
    low = sum(v <= value for v in reference) / len(reference)
    high = sum(v >= value for v in reference) / len(reference)
    return min(1.0, 2 * min(low, high))


def test_p_value_by_loops() -> None:
    reference = normal(57, 0)
    inside = torch.cat([reference[:20], normal(40, 1).clamp(reference.min(), reference.max())])
    got = fitted(Typicality(), reference, inside)
    np.testing.assert_allclose(got, [p_by_loops(reference.tolist(), v) for v in inside.tolist()], rtol=1e-12)
    assert (got > 0).all()
    assert got.max() <= 1


def test_p_value_of_equal_references_is_at_most_1() -> None:
    assert fitted(Typicality(), torch.full((9,), -5.0), torch.tensor([-5.0])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_p_values_of_held_out_inputs_are_uniform(seed: int) -> None:
    draw = torch.distributions.Gamma(torch.tensor(2.0), torch.tensor(0.01))  # skewed, as log densities are
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reference, held_out = -draw.sample((20_000,)).double(), -draw.sample((2_000,)).double()
    p = fitted(Typicality(), reference, held_out)
    assert kstest(p.clamp(min=0).numpy(), "uniform").pvalue > 0.01
    shifted = fitted(Typicality(), reference, held_out - 30)  # as those of an over-fitted model are
    assert kstest(shifted.clamp(min=0).numpy(), "uniform").pvalue < 1e-6


def test_what_an_attacker_follows_orders_as_the_score_on_either_side_and_has_a_derivative() -> None:
    reference = normal(500, 0)
    state = Typicality().fit(Data(reference))
    middle = float(reference.median())
    for side in (torch.linspace(0, 400, 80), -torch.linspace(0, 400, 80)):  # within the range and beyond
        log_p = (middle + side.double()).requires_grad_()
        followed = Typicality().differentiable(state, Given({LOG_DENSITY: log_p}))
        assert (followed.diff() < 0).all()
        assert (fitted(Typicality(), reference, log_p.detach()).diff() <= 0).all()
        (slope,) = torch.autograd.grad(followed.sum(), log_p)
        assert slope[1:] == pytest.approx(-side[1:].sign().double())


def test_order_is_first_by_p_then_by_distance_to_the_range() -> None:
    reference = normal(500, 0)
    low, high = float(reference.min()), float(reference.max())
    far = torch.tensor([0.0, 1e-6, 0.5, 3.0, 1e3, 1e7, 1e11], dtype=torch.float64)
    below, above = fitted(Typicality(), reference, low - far), fitted(Typicality(), reference, high + far)
    np.testing.assert_allclose(below[1:], -far[1:], rtol=1e-3)
    np.testing.assert_allclose(above[1:], -far[1:], rtol=1e-3)
    for side in (below, above):
        assert (side.diff() < 0).all()
        assert side[0] == 2 / 500  # the least p inside is above all beyond
        assert side.isfinite().all()
    middle = fitted(Typicality(), reference, reference.median()[None])
    assert middle > fitted(Typicality(), reference, reference.sort().values[30:31]) > below[0] > above[1]


def test_likelier_than_all_training_inputs_is_as_untypical_as_less_likely() -> None:
    reference = normal(2000, 0)
    images = torch.tensor([-2000.0, -2000.0 - 600, -2000.0 + 600], dtype=torch.float64)
    for detector in (Typicality(), TypicalityMean()):
        typical, less, more = fitted(detector, reference, images)
        assert typical > less
        assert typical > more
    assert LIKELIHOOD.score((), Given({LOG_DENSITY: images})).argmax() == 2


def test_distance_to_the_mean_by_loops() -> None:
    reference, x = normal(57, 0), normal(10, 1)
    mean = sum(reference.tolist()) / 57
    got = fitted(TypicalityMean(), reference, x)
    np.testing.assert_allclose(got, [-abs(v - mean) for v in x.tolist()], rtol=1e-9)
    assert got.dtype == torch.float64


def test_reference_is_the_training_split_as_it_is_and_nothing_else() -> None:
    for row in TYPICALITY:
        assert row.detector.reads == {LOG_DENSITY}
        assert not row.detector.fits_on
        assert row.recipe == Glow()
