"""feature-vae, feature-maf and feature-maf-spread against loops over the papers' formulas, and what made them trip."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods import feature_maf, feature_vae
from oodbench.methods.feature_maf import FeatureMaf
from oodbench.methods.feature_vae import FeatureAutoencoder
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.distributions import MultivariateNormal

from oodbench.contract import FEATURES
from oodbench.detectors.trained import LEAST, Schedule, filled, minimise, units
from oodbench.networks.feature_vae import LIMIT, PACE, FeatureVae
from oodbench.networks.made import Made, Maf, hidden_degrees

MAF = FeatureMaf("spread", layers=5, hidden=64, steps=400, epochs=60)
VAE = FeatureAutoencoder(hidden=64, latent=4, rate=5e-3, steps=900, epochs=60)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(detector: Any, f: Tensor, seed: int = 0) -> Any:
    with torch.no_grad():
        return detector.fit(SimpleNamespace(train=SimpleNamespace(features=f), seed=seed))


def score(detector: Any, state: Any, f: Tensor) -> Tensor:
    with torch.no_grad():
        return detector.score(state, SimpleNamespace(features=f))


def moons(n: int, seed: int) -> Tensor:
    """Two half circles that reach into each other, away from the origin and in unequal units."""
    chance = generator(seed)
    angle, upper = math.pi * torch.rand(n, generator=chance), torch.arange(n) % 2
    x = torch.stack([angle.cos() + upper, (1 - 2 * upper) * (angle.sin() - 0.25)], dim=1)
    return (x + 0.1 * torch.randn(n, 2, generator=chance)) * torch.tensor([2.0, 0.5]) + torch.tensor([3.0, 1.0])


def shaken(net: Any) -> Any:
    """Return a network in float64 with weights of no symmetry: as built, its last layers are 0."""
    chance = generator(5)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=chance))
    return net.double()


@pytest.fixture(scope="module")
def fitted() -> dict[str, tuple[Any, Any]]:
    """A flow and an auto-encoder of the moons."""
    f = moons(2000, 1)
    return {"maf": (MAF, fit(MAF, f)), "vae": (VAE, fit(VAE, f))}


def test_degrees() -> None:
    assert hidden_degrees(5, 6, "sequential").tolist() == [1, 2, 3, 4, 1, 2]
    assert hidden_degrees(5, 6, "spread").tolist() == [1, 2, 2, 3, 3, 4]
    assert hidden_degrees(342, 128, "sequential").tolist() == list(range(1, 129))
    spread = hidden_degrees(342, 128, "spread")
    assert (spread[0], spread[-1]) == (1, 341)
    assert set(spread.diff().tolist()) == {2, 3}
    assert [hidden_degrees(1, 3, degrees).tolist() for degrees in ("sequential", "spread")] == [[0, 0, 0]] * 2


def dependence(features: int, hidden: int, degrees: Any) -> Tensor:
    """Return whether output i of a MADE depends on input j, for mu or alpha, at any of many points [F F]."""
    made = shaken(Made(features, hidden, degrees, generator()))
    found = torch.zeros(features, features, dtype=torch.bool)
    for x in torch.randn(40, features, generator=generator(2), dtype=torch.float64):
        for part in range(2):
            found |= jacobian(lambda v, part=part: made(v[None])[part][0], x) != 0
    return found


@pytest.mark.parametrize("degrees", ["sequential", "spread"])
@pytest.mark.parametrize(("features", "hidden"), [(1, 4), (2, 4), (6, 24), (9, 5)])
def test_a_made_is_autoregressive(features: int, hidden: int, degrees: Any) -> None:
    found = dependence(features, hidden, degrees)
    assert not found.triu().any()
    if hidden >= features:
        assert torch.equal(found, torch.ones_like(found).tril(-1))


def test_sequential_degrees_leave_out_what_lies_beyond_the_hidden_units() -> None:
    features, hidden = 12, 5
    sequential, spread = (dependence(features, hidden, degrees) for degrees in ("sequential", "spread"))
    assert not sequential[:, hidden:].any()
    assert sequential[hidden:, :hidden].all()
    assert spread[-1, :-1].all()
    assert spread[:, hidden:].sum() > 10


def test_log_density_of_a_flow_is_the_change_of_variables() -> None:
    net = shaken(Maf(4, 5, 7, "spread", generator()))
    x = torch.randn(6, 4, generator=generator(1), dtype=torch.float64)
    got = net.log_density(x)
    for row, log_p in zip(x, got, strict=True):
        u = row
        for made in net.mades:  # one feature after the other, and the order reversed
            mu, alpha = (part[0] for part in made(u[None]))
            u = torch.stack([(u[i] - mu[i]) / alpha[i].exp() for i in reversed(range(4))])
        J = jacobian(lambda v: net.noise(v[None])[0][0], row)
        expected = sum(-0.5 * v**2 - 0.5 * math.log(2 * math.pi) for v in u.tolist()) + J.det().abs().log()
        assert log_p.item() == pytest.approx(expected.item(), rel=1e-9)


def test_a_fresh_flow_is_standard_normal() -> None:
    x = torch.randn(5, 3, generator=generator())
    expected = MultivariateNormal(torch.zeros(3), torch.eye(3)).log_prob(x).double()
    torch.testing.assert_close(Maf(3, 5, 8, "sequential", generator()).log_density(x), expected, rtol=1e-5, atol=1e-5)


def test_score_of_a_flow_counts_the_units() -> None:
    f = moons(300, 3).double()
    detector = replace(MAF, steps=20)
    state = fit(detector, f)
    net = filled(detector._net(2, generator()), state.weights).double()
    J = torch.diag(1 / f.std(dim=0, correction=0))
    z = (f - f.mean(dim=0)) @ J
    torch.testing.assert_close(
        score(detector, state, f).double(), net.log_density(z) + J.det().log(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("K", [1, 3])
def test_bound_of_an_autoencoder_by_loops(K: int) -> None:
    net = shaken(FeatureVae(3, hidden=5, latent=2, floor=1e-4, generator=generator()))
    x = torch.randn(4, 3, generator=generator(1), dtype=torch.float64)
    noise = torch.randn(K, 2, generator=generator(2), dtype=torch.float64)
    sigma2 = [1e-4 + math.exp(PACE * v) for v in net.log_variance.tolist()]
    for row, got in zip(x, net.bound(x, noise).tolist(), strict=True):
        encoded = net.encoder(row).tolist()
        weights = []
        for eps in noise.tolist():
            variance = [math.exp(v) for v in encoded[2:]]
            z = [m + math.sqrt(v) * e for m, v, e in zip(encoded[:2], variance, eps, strict=True)]
            mean = net.decoder(torch.tensor(z, dtype=torch.float64)).tolist()
            p = normal(row.tolist(), mean, sigma2) * normal(z, [0, 0], [1, 1])
            weights.append(p / normal(z, encoded[:2], variance))
        assert got == pytest.approx(math.log(sum(weights) / K), rel=1e-9)


def normal(x: list[float], mean: list[float], variance: list[float]) -> float:
    factors = zip(x, mean, variance, strict=True)
    return math.prod(math.exp(-((v - m) ** 2) / (2 * s)) / math.sqrt(2 * math.pi * s) for v, m, s in factors)


def test_noise_of_its_own_for_each_row_is_what_training_uses() -> None:
    net = shaken(FeatureVae(3, hidden=5, latent=2, floor=1e-4, generator=generator()))
    x, noise = (
        torch.randn(4, 3, dtype=torch.float64, generator=generator(1)),
        torch.randn(1, 4, 2, generator=generator(2)),
    )
    rows = [net.bound(x[i : i + 1], noise[:, i]) for i in range(4)]
    torch.testing.assert_close(net.bound(x, noise), torch.cat(rows))


def test_bound_rises_with_the_samples(fitted) -> None:
    detector, state = fitted["vae"]
    noise, f = torch.randn(64, 4, generator=generator(9)), moons(200, 4)

    def mean(K: int) -> float:
        return float(np.mean([score(detector, state._replace(noise=part), f).mean() for part in noise.split(K)]))

    assert mean(1) + 0.001 < mean(8)  # Jensen: the same noise in larger parts
    assert mean(8) < mean(64)


@pytest.mark.parametrize("kind", ["maf", "vae"])
def test_density_integrates_to_one(fitted, kind: str) -> None:
    detector, state = fitted[kind]
    x, y = torch.arange(-5, 14, 0.04, dtype=torch.float64), torch.arange(-0.6, 2.8, 0.01, dtype=torch.float64)
    if kind == "vae":  # its bound is below the density, by less the more samples it takes
        x, y = x[::2], y[::2]
        state = state._replace(noise=torch.randn(32, 4, generator=generator(8)))
    cell = (x[1] - x[0]) * (y[1] - y[0])
    mass = float(score(detector, state, torch.cartesian_prod(x, y).float()).double().exp().sum() * cell)
    assert mass == pytest.approx(1, abs=0.02) if kind == "maf" else 0.8 < mass < 1.02


@pytest.mark.parametrize("kind", ["maf", "vae"])
def test_held_out_moons_are_likelier_than_under_one_gaussian(fitted, kind: str) -> None:
    train, held_out = moons(2000, 1), moons(1000, 2)
    gaussian = MultivariateNormal(train.mean(dim=0), train.T.cov()).log_prob(held_out).mean()
    assert score(*fitted[kind], held_out).mean() > gaussian + (0.15 if kind == "maf" else 0.02)


@pytest.mark.parametrize("kind", ["maf", "vae"])
def test_scores_are_finite_far_away_and_fall(fitted, kind: str) -> None:
    far = torch.stack([score(*fitted[kind], c * moons(50, 2)) for c in (1, 10, 1e4, 1e6)])
    assert far.isfinite().all()
    assert (far.mean(dim=1).diff() < 0).all()


def test_log_scales_are_bounded() -> None:
    x = 1e6 * torch.randn(20, 4, generator=generator(), dtype=torch.float64)
    assert shaken(Made(4, 6, "spread", generator()))(x)[1].abs().max() <= 3
    net = shaken(FeatureVae(4, hidden=6, latent=2, floor=1e-4, generator=generator()))
    assert net.encoder(x)[:, 2:].max() > LIMIT
    assert net.bound(x, torch.ones(2, 2, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("detector", [replace(MAF, steps=300), replace(VAE, steps=300)])
def test_a_feature_that_is_never_active(detector: Any) -> None:
    f = torch.cat([moons(400, 1), torch.zeros(400, 1)], dim=1)
    f[0, 2] = 1e-6
    state = fit(detector, f)
    assert state.units.scale[2] == pytest.approx(LEAST * math.sqrt(float(f.var(dim=0, correction=0).mean())), rel=1e-4)
    alive = f + torch.tensor([0.0, 0.0, 1.0])
    assert score(detector, state, alive).isfinite().all()
    assert (score(detector, state, alive) < score(detector, state, f)).all()


def test_units_of_features_that_are_all_constant() -> None:
    assert units(torch.full((7, 3), 2.0)).scale.tolist() == [1, 1, 1]


def test_noise_in_training_keeps_the_density_of_a_repeated_value_bounded() -> None:
    f = torch.cat([moons(400, 1)[:, :1], torch.arange(400)[:, None] % 2 * 1.0], dim=1)
    detector = replace(MAF, steps=300, epochs=1000)
    scores = score(detector, fit(detector, f), f)
    # at most the density of a unit normal of standard deviation 1 %, half a mass each, beside that of the first feature
    assert scores.mean() < -math.log(0.01 * float(f[:, 1].std())) - 1.4 + 0.1


@pytest.mark.parametrize("kind", ["maf", "vae"])
def test_the_seed_decides_the_fit(kind: str) -> None:
    detector, f = replace(MAF if kind == "maf" else VAE, steps=20), moons(200, 1)
    before = torch.get_rng_state()
    first, again, other = fit(detector, f), fit(detector, f), fit(detector, f, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.weights, again.weights)
    assert not torch.equal(first.weights, other.weights)


def test_training_ends_with_the_weights_that_were_best_on_what_it_set_aside() -> None:
    class Walk(torch.nn.Module):
        """One weight that each step of training pushes on: good at 0.5, worse after."""

        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(1))

    net, seen = Walk(), []

    def loss(_: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return -net.w.sum()
        seen.append(net.w.item())
        return (net.w - 0.5).square().sum()

    minimise(net, loss, torch.zeros(100, 1), Schedule(0.1, 10, 40, 100, 1.0), generator())
    assert len(seen) == 20
    assert max(seen) > 1
    assert net.w.item() == min(seen, key=lambda w: abs(w - 0.5))


@pytest.mark.parametrize(("epochs", "expected"), [(1000, 40), (2, 18)])
def test_a_training_ends_after_its_steps_or_epochs(epochs: int, expected: int) -> None:
    net, steps = torch.nn.Linear(1, 1), []

    def loss(rows: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            steps.append(len(rows))
        return net(rows).square().mean()

    minimise(net, loss, torch.randn(100, 1, generator=generator()), Schedule(0.1, 10, 40, epochs, 1.0), generator())
    assert steps == [10] * expected


def walked(schedule: Schedule, n: int = 100) -> tuple[float, int]:
    """Return how far Adam went down a constant slope, which is the sum of its rates, and how often it was judged."""

    class Walk(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    net, looks = Walk(), []

    def loss(rows: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            looks.append(len(rows))
        return -net.w.sum()

    minimise(net, loss, torch.zeros(n, 1), schedule, generator())
    return net.w.item(), len(looks)


def test_the_rate_falls_after_each_pass_or_on_a_cosine() -> None:
    passes = Schedule(0.1, 10, None, 4, 1.0, decay=0.5, looks=4)  # of 9 steps each: a tenth is set aside
    assert walked(passes) == (pytest.approx(9 * 0.1 * (1 + 0.5 + 0.25 + 0.125), rel=1e-6), 4)
    assert walked(passes._replace(decay=1.0, looks=36)) == (pytest.approx(36 * 0.1, rel=1e-6), 36)
    cosine = [0.05 * (1 + math.cos(math.pi * step / 36)) for step in range(36)]
    assert walked(passes._replace(decay=None)) == (pytest.approx(sum(cosine), rel=1e-6), 4)
    uneven = Schedule(0.1, 20, None, 2, 1.0, decay=0.5)  # 4.5 steps a pass
    assert walked(uneven)[0] == pytest.approx(0.1 * (5 + 4 * 0.5), rel=1e-6)


def test_scale_paper_takes_the_papers_training_and_the_others_what_they_took() -> None:
    for method in (*feature_maf.METHODS, *feature_vae.METHODS):
        assert method.sized("cpu") == method.sized("tiny") == method
        at_paper = method.sized("paper").detector
        assert (at_paper.epochs, at_paper.steps) == (1000, None)
        kept = {"epochs": method.detector.epochs, "steps": method.detector.steps, "batch": method.detector.batch}
        assert replace(at_paper, **kept, decay=None, looks=20) == method.detector
    (vae,) = (method.sized("paper").detector for method in feature_vae.METHODS)
    maf = feature_maf.METHODS[0].sized("paper").detector
    assert (vae.rate, vae.batch, vae.decay) == (1e-3, 128, 0.9995)
    assert (maf.rate, maf.batch, maf.decay) == (1e-2, 32, 1.0)


@pytest.mark.parametrize("detector", [replace(MAF, hidden=8), replace(VAE, hidden=8)], ids=["maf", "vae"])
def test_a_fit_as_long_as_the_papers_differs_in_nothing_but_its_schedule(detector: Any) -> None:
    """In small: as many passes as asked for, whatever their number of steps."""
    f = moons(100, 1)
    long = replace(detector, steps=None, epochs=3, decay=1.0, looks=3)
    unlimited, limited = fit(long, f), fit(replace(long, steps=100), f)
    assert torch.equal(unlimited.weights, limited.weights)
    assert not torch.equal(unlimited.weights, fit(replace(long, epochs=6), f).weights)


def test_no_labels_are_read_and_sizes_are_the_papers() -> None:
    maf, spread = (method.detector for method in feature_maf.METHODS)
    (vae,) = (method.detector for method in feature_vae.METHODS)
    assert (maf.degrees, spread.degrees) == ("sequential", "spread")
    assert replace(maf, degrees="spread") == spread
    assert (maf.layers, maf.hidden, vae.hidden, vae.latent) == (5, 128, 512, 128)
    assert all(not detector.fits_on and detector.reads == {FEATURES} for detector in (maf, spread, vae))


@pytest.mark.parametrize("degrees", ["sequential", "spread"])
def test_the_flow_in_the_lab(lab, degrees: Any) -> None:
    detector = FeatureMaf(degrees)
    got = lab.score(detector, lab.test)
    assert np.median(got[:9]) > np.median(got[9:])
