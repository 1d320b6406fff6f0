"""VAE: its bound, its rate and its loss against loops over the formulas, and what a bound must do."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.vae import METHODS
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.contract import LOG_DENSITY, POSTERIOR
from oodbench.densities.vae import Vae
from oodbench.errors import BadSetting
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.networks import logistic_mixture
from oodbench.networks.vae import ConvolutionalVae
from oodbench.training import TrainBatch, Training

CPU = torch.device("cpu")
DENSITY, RATE = METHODS


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(channels: int = 1, size: float = 0.3) -> ConvolutionalVae:
    """A VAE whose every weight matters: posteriors are not the prior, and the decoder heeds the code."""
    net = ConvolutionalVae((channels, 8, 8), latent=4, width=4, mixtures=2, samples=6).double().eval()
    for seed, weight in enumerate(net.parameters()):
        weight.data = size * randn(*weight.shape, seed=seed)
    return net


def images(n: int = 4, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    grey = torch.randint(256, (n, channels, 8, 8), generator=generator)
    return grey.double() / 255


def mass_by_loops(net: ConvolutionalVae, x: Tensor, z: Tensor) -> float:
    """Return log P(x|z) of one grey image: the mass of each pixel's bin under its mixture."""
    with torch.no_grad():
        logits, means, log_scales, _ = logistic_mixture.split(net.decoder(z[None]), 1, net.mixtures)
    total = 0.0
    for i in range(8):
        for j in range(8):
            weights = logits[0, :, i, j].softmax(dim=0).tolist()
            v, mass = float(2 * x[0, i, j] - 1), 0.0
            for k, pi in enumerate(weights):
                m, s = float(means[0, k, 0, i, j]), math.exp(float(log_scales[0, k, 0, i, j]))
                upper = 1.0 if v > 0.999 else 1 / (1 + math.exp(-(v + 1 / 255 - m) / s))
                lower = 0.0 if v < -0.999 else 1 / (1 + math.exp(-(v - 1 / 255 - m) / s))
                mass += pi * (upper - lower)
            total += math.log(mass)
    return total


def test_bound_by_loops() -> None:
    net, x = network(), images()
    with torch.no_grad():
        q = net.posterior(x)
        got = net.bound(x, net.noise)
        given = net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]
    for i in range(len(x)):
        terms = []
        for eps in net.noise:
            z = q.mean[i] + q.std[i] * eps
            log_p = float(Normal(0.0, 1.0).log_prob(z).sum())
            log_q = float(Normal(q.mean[i], q.std[i]).log_prob(z).sum())
            terms.append(mass_by_loops(net, x[i], z) + log_p - log_q)
        top = max(terms)
        expected = top + math.log(sum(math.exp(t - top) for t in terms) / len(terms))
        assert float(got[i]) == pytest.approx(expected, rel=1e-7)
        assert expected > sum(terms) / len(terms)  # the mean of the logs is another, looser bound
        assert float(given[i]) == pytest.approx(expected + 64 * math.log(256), rel=1e-7)


def test_bits_per_dimension_are_those_of_the_mass_over_grey_levels() -> None:
    net, x = network(3), images(channels=3)
    with torch.no_grad():
        log_mass = net.bound(x, net.noise)
        density = net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]
    np.testing.assert_allclose(bits_per_dim(density, (3, 8, 8)), -log_mass / (192 * math.log(2)), rtol=1e-10)


def test_bound_rises_with_the_number_of_draws_from_the_evidence_lower_bound() -> None:
    net, x = network(size=0.4), images(2)
    noise = randn(1024, 4, seed=5)
    with torch.no_grad():
        each = torch.stack([net.bound(x, eps[None]) for eps in noise])  # [draws n]: K = 1
        grouped = {K: each.view(-1, K, 2).logsumexp(dim=1) - math.log(K) for K in (1, 4, 16, 64)}
        q = net.posterior(x)
        both = torch.stack([net.bound(x, pair) for pair in noise[:8].split(4)])
        mass = torch.stack([net.log_mass(x, q.mean + q.std * eps) for eps in noise])
    np.testing.assert_allclose(both, grouped[4][:2], rtol=1e-12)
    means = [bound.mean(dim=0) for bound in grouped.values()]
    errors = [bound.std(dim=0) / math.sqrt(len(bound)) for bound in grouped.values()]
    assert all((high > low).all() for low, high in pairwise(means))
    assert (means[-1] - means[0] > 4 * (errors[0] + errors[-1])).all()
    kl = kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0)).sum(dim=1)
    elbo = mass.mean(dim=0) - kl
    assert ((means[0] - elbo).abs() < 5 * errors[0]).all()


def test_rate_by_loops() -> None:
    net, x = network(), images()
    with torch.no_grad():
        got = RATE.detector.score((), ModelOutputs(Trained(net, CPU), x, Access(RATE.detector.reads)))
        q = net.posterior(x)
    for i in range(len(x)):
        pairs = zip(q.mean[i].tolist(), q.std[i].tolist(), strict=True)
        expected = -sum((m * m + s * s - 1) / 2 - math.log(s) for m, s in pairs)
        assert float(got[i]) == pytest.approx(expected, rel=1e-10)
    assert (got < 0).all()


def test_rate_needs_no_pass_of_the_decoder() -> None:
    net = network()
    net.decoder = torch.nn.Identity()
    assert set(net.outputs(images(), frozenset({POSTERIOR}))) == {POSTERIOR}


def test_posteriors_begin_as_wide_as_the_prior_and_never_collapse() -> None:
    net = network()
    last = net.encoder[-1]
    last.weight.data.zero_()
    for rho, std in ((0.0, 1.0), (-1e6, math.log1p(math.exp(-15)))):
        last.bias.data = torch.tensor([0.0] * 4 + [rho] * 4, dtype=torch.float64)
        with torch.no_grad():
            q = net.posterior(images())
            np.testing.assert_allclose(q.std, std, rtol=1e-12)
            assert net.bound(images(), net.noise).isfinite().all()


def test_scores_far_from_the_training_inputs_are_finite_and_noise_takes_8_bits() -> None:
    world = toy(Vae())
    noise = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    bits = {}
    for name, x in {
        "test": world.examples["test"].x,
        "uniform": noise,
        "coins": (noise > 0.5).float(),
        "black": torch.zeros(1, 1, 8, 8),
        "white": torch.ones(1, 1, 8, 8),
    }.items():
        with torch.no_grad():
            given = world.model.net.outputs(x, frozenset({LOG_DENSITY}))
        assert given[LOG_DENSITY].dtype == torch.float64
        bits[name] = bits_per_dim(given[LOG_DENSITY], (1, 8, 8))
        assert np.isfinite(bits[name]).all()
    assert bits["test"].mean() < 8 <= bits["uniform"].mean()


def test_noise_of_the_bound_is_the_same_for_all_inputs_and_networks() -> None:
    first, second = (start(Vae(), IN_SET, torch.zeros(0), seed).net.eval() for seed in (0, 1))
    assert torch.equal(first.noise, second.noise)
    x = images(5).float()
    with torch.no_grad():
        whole = first.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]
        alone = torch.cat([first.outputs(one[None], frozenset({LOG_DENSITY}))[LOG_DENSITY] for one in x])
    np.testing.assert_allclose(alone, whole, rtol=1e-6)


# The recipe.


def test_loss_by_loops() -> None:
    net, x = network(), images()
    torch.manual_seed(5)
    noise = torch.randn(4, 4, dtype=torch.float64)
    torch.manual_seed(5)
    loss = Vae().loss(net, TrainBatch(x, torch.zeros(4).long(), torch.arange(4), 0, 0.0))
    total = 0.0
    with torch.no_grad():
        q = net.posterior(x)
    for i in range(4):
        kl = float(kl_divergence(Normal(q.mean[i], q.std[i]), Normal(0.0, 1.0)).sum())
        total += kl - mass_by_loops(net, x[i], q.mean[i] + q.std[i] * noise[i])
    assert float(loss.detach()) == pytest.approx(total / (4 * 64 * math.log(2)), rel=1e-7)


def test_both_scores_share_a_training_and_scales_have_their_sizes() -> None:
    assert DENSITY.recipe.sized("cpu", TRAINING) == RATE.recipe.sized("cpu", TRAINING)
    training = Training(network="resnet-small", epochs=12, augment=("flip",), precision="bfloat16")
    paper, cpu, tiny = (Vae().sized(scale, training) for scale in ("paper", "cpu", "tiny"))
    assert (paper.training.epochs, paper.training.batch, paper.width, paper.samples) == (3, 32, 32, 16)
    assert (cpu.training.epochs, tiny.training.epochs, cpu.samples) == (4, 12, 5)
    for recipe in (paper, cpu, tiny):
        assert (recipe.training.augment, recipe.training.precision, recipe.latent) == ((), "float32", 16)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)], ids=str)
def test_network_is_built_for_every_shape(shape) -> None:
    net = start(
        Vae(samples=2), replace(IN_SET, space=replace(IN_SET.images, shape=shape)), torch.zeros(0), 0
    ).net.eval()
    with torch.no_grad():
        given = net.outputs(torch.zeros(2, *shape), frozenset({LOG_DENSITY}))
    assert given[LOG_DENSITY].shape == (2,)
    assert given[POSTERIOR].mean.shape == (2, 16)


def test_sides_that_do_not_halve_twice_are_refused() -> None:
    with pytest.raises(BadSetting, match="30x30; both must be divisible by 4"):
        start(Vae(), replace(IN_SET, space=replace(IN_SET.images, shape=(1, 30, 30))), torch.zeros(0), 0)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe = replace(Vae(width=4), training=replace(Vae().sized("tiny", TRAINING).training, epochs=3))
    data = blobs(64, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
