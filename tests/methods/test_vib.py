"""vib and vib-entropy against loops over the paper's formulas; the divergence, the network and the loss under them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from hypothesis import given
from hypothesis import strategies as st
from oodbench.methods.vib import METHODS, Vib
from torch import Tensor
from torch.distributions import Normal

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import EMBEDDINGS, FEATURES, INPUTS, LAYERS, LOGITS, NETWORK, POSTERIOR, PRIOR, Output
from oodbench.formulas import gaussian_kl
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.networks import classifier
from oodbench.networks.bottleneck import PACE, StochasticBottleneck
from oodbench.networks.gaussian import Gaussian
from oodbench.spaces import Images, Tokens
from oodbench.training import InSet, TrainBatch

CPU = torch.device("cpu")
VIB, ENTROPY = METHODS


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(priors: int = 1, latent: int = 6, dtype: torch.dtype = torch.float64) -> StochasticBottleneck:
    """A bottleneck whose every weight matters: nothing is as it is initialised."""
    encoder = classifier("toy-cnn", InSet(Images((1, 8, 8), (0.15,), (0.25,)), 2 * latent))
    net = StochasticBottleneck(encoder, latent, 3, priors=priors, samples=4).to(dtype).eval()
    for seed, weight in enumerate(net.parameters()):
        weight.data = (0.5 * randn(*weight.shape, seed=seed)).to(dtype)
    return net


def images(n: int = 5) -> Tensor:
    return torch.from_numpy(blobs(n, 3).pixels).double()


def opened(net: StochasticBottleneck, x: Tensor, row=VIB, *more: Output) -> ModelOutputs:
    return ModelOutputs(Trained(net, CPU), x, Access(row.detector.reads | set(more)))


def score(net: StochasticBottleneck, x: Tensor, row=VIB) -> Tensor:
    with torch.no_grad():
        return row.detector.score((), opened(net, x, row))


def kl_by_loops(mean, std, prior_mean, prior_std) -> float:
    terms = zip(mean.tolist(), std.tolist(), prior_mean.tolist(), prior_std.tolist(), strict=True)
    return sum(math.log(v / s) + (s**2 + (mu - m) ** 2) / (2 * v**2) - 0.5 for mu, s, m, v in terms)


# The divergence.


def gaussians(n: int, k: int, seed: int) -> tuple[Tensor, Tensor]:
    return randn(n, k, seed=seed), randn(n, k, seed=seed + 1).exp()


def test_divergence_by_loops() -> None:
    q, r = gaussians(7, 5, 0), gaussians(3, 5, 2)
    expected = [[kl_by_loops(q[0][i], q[1][i], r[0][j], r[1][j]) for j in range(3)] for i in range(7)]
    np.testing.assert_allclose(gaussian_kl(*q, *r).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_divergence_is_the_mean_log_ratio_of_samples(seed: int) -> None:
    """KL(q || r) = E_q[log q - log r]: a Monte-Carlo estimate agrees within five of its standard errors."""
    (mean, std), (m, v) = gaussians(1, 4, 10 * seed), gaussians(1, 4, 10 * seed + 2)
    z = mean + std * randn(200_000, 4, seed=10 * seed + 4)
    ratio = (Normal(mean, std).log_prob(z) - Normal(m, v).log_prob(z)).sum(dim=1)
    error = float(ratio.std()) / math.sqrt(len(z))
    assert abs(float(ratio.mean() - gaussian_kl(mean, std, m, v))) < 5 * error
    assert error < 0.05 * float(ratio.mean())


def test_divergence_is_zero_of_equal_gaussians_and_of_no_others() -> None:
    mean, std = gaussians(20, 6, 0)
    assert not gaussian_kl(mean, std, mean, std).diagonal().any()
    for step in (1e-12, 1e-7, 1e-2):
        for k in range(6):
            other = torch.zeros(6, dtype=torch.float64).index_fill_(0, torch.tensor(k), step)
            assert (gaussian_kl(mean, std, mean + other, std).diagonal() > 0).all()
            assert (gaussian_kl(mean, std, mean, std * (1 + other)).diagonal() > 0).all()
            assert (gaussian_kl(mean, std, mean, std / (1 + other)).diagonal() > 0).all()


sizes = st.floats(1e-30, 1e30)


@given(st.floats(-1e6, 1e6), sizes, st.floats(-1e6, 1e6), st.floats(0.1, 10))
def test_divergence_is_never_negative(mean: float, std: float, m: float, v: float) -> None:
    kl = gaussian_kl(*(torch.tensor([[value]], dtype=torch.float64) for value in (mean, std, m, v)))
    assert kl >= 0
    assert kl.isfinite()


def test_divergence_is_a_sum_over_the_latents() -> None:
    mean, std = torch.ones(1, 1), torch.ones(1, 1)
    one = gaussian_kl(mean, std, 0 * mean, std)
    assert gaussian_kl(mean.expand(1, 64), std.expand(1, 64), mean.new_zeros(1, 64), std.expand(1, 64)) == 64 * one


# The network.


def test_averaged_decoder_by_loops() -> None:
    net, x = network(), images()
    with torch.no_grad():
        given = net.outputs(x, frozenset())
        for i, logits in enumerate(given[LOGITS]):
            mean, std = given[POSTERIOR].mean[i], given[POSTERIOR].std[i]
            p = sum((net.decoder.weight @ (mean + std * e) + net.decoder.bias).softmax(0) for e in net.noise) / 4
            np.testing.assert_allclose(logits.exp(), p, rtol=1e-12)
            np.testing.assert_allclose(net(x[i : i + 1])[0], logits, rtol=1e-12)
    assert net.noise.shape == (4, 6)


def test_posterior_is_as_the_paper_says() -> None:
    net, x = network(), images()
    with torch.no_grad():
        q, given = net.posterior(x), net.outputs(x, frozenset())
        out = given[LAYERS][-1] @ net.encoder.head.weight.T + net.encoder.head.bias
    np.testing.assert_allclose(q.mean, out[:, :6], rtol=1e-12)
    np.testing.assert_allclose(q.std, (out[:, 6:] - 5).exp().log1p(), rtol=1e-12)
    assert given[FEATURES] is given[POSTERIOR].mean


def test_what_is_shown_depends_on_the_input_alone() -> None:
    net, x = network(), images()
    with torch.no_grad():
        torch.manual_seed(1)
        first, state = net(x), torch.get_rng_state()
        assert torch.get_rng_state().equal(state)
        torch.manual_seed(2)
        assert net(x).equal(first)
        np.testing.assert_allclose(net(x.flip(0)).flip(0), first, rtol=1e-12)
    again = StochasticBottleneck(
        classifier("toy-cnn", InSet(Images((1, 8, 8), (0.15,), (0.25,)), 12)), 6, 3, priors=1, samples=4
    )
    assert again.noise.double().equal(net.noise)  # the same noise in every model, whatever its seed


def test_a_vanishing_posterior_stays_above_zero_and_can_come_back() -> None:
    net = network(dtype=torch.float32)
    net.encoder.head.weight.data.zero_()
    for rho in (-1e6, -60.0, 0.0):
        net.encoder.head.bias.data = torch.tensor([0.0] * 6 + [rho] * 6)
        net.zero_grad()
        q = net.posterior(images().float())
        kl = gaussian_kl(*q, *net.prior)
        assert (q.std > 0).all()
        assert kl.isfinite().all()
        kl.sum().backward()
        assert net.encoder.head.bias.grad is not None
        assert net.encoder.head.bias.grad.isfinite().all()
        if rho == -60:  # -log sigma has slope -1 there, for each of five inputs
            np.testing.assert_allclose(net.encoder.head.bias.grad[6:], -5.0, rtol=1e-5)


def test_prior_is_bounded_and_can_come_back() -> None:
    net = network()
    net.prior_log_std.data[:] = torch.tensor([-50.0, -1.0, 0.0, 1.0, 3.0, 50.0])
    v = net.prior.std
    np.testing.assert_allclose(v.detach()[0], [0.1, math.exp(-1), 1, math.e, 10, 10], rtol=1e-12)
    v.sum().backward()
    assert net.prior_log_std.grad is not None
    np.testing.assert_allclose(net.prior_log_std.grad, v.detach(), rtol=1e-12)


# The loss.


def batch(labels: list[int]) -> TrainBatch:
    y = torch.tensor(labels)
    return TrainBatch(images(len(y)), y, torch.arange(len(y)), 0, 0.0)


def loss_by_loops(net: StochasticBottleneck, data: TrainBatch, beta: float, noise: Tensor) -> float:
    total = 0.0
    for i, y in enumerate(data.labels.tolist()):
        with torch.no_grad():
            q = net.posterior(data.inputs[i : i + 1])
            logits = net.decoder(q.mean[0] + q.std[0] * noise[i]).tolist()
        log_p = logits[y] - math.log(sum(math.exp(z) for z in logits))
        total += -log_p + beta * kl_by_loops(q.mean[0], q.std[0], *(part[0] for part in net.prior))
    return total / len(data.labels)


def test_loss_by_loops() -> None:
    net, data = network(), batch([0, 2, 1, 1])
    torch.manual_seed(5)
    noise = torch.randn(4, 6, dtype=torch.float64)
    torch.manual_seed(5)
    loss = Vib(beta=0.3).loss(net, data)
    assert float(loss.detach()) == pytest.approx(loss_by_loops(net, data, 0.3, noise), rel=1e-12)
    assert Vib(beta=0.3).loss(net, data) != loss  # the next sample is another


def test_gradient_is_the_loss_s_own_but_that_the_prior_s_does_not_wait_for_beta() -> None:
    net, data, beta = network(), batch([0, 2, 1, 1]), 0.2
    torch.manual_seed(5)
    Vib(beta=beta).loss(net, data).backward()
    got = {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.grad is not None}
    net.zero_grad()
    torch.manual_seed(5)
    q = net.posterior(data.inputs)
    distortion = torch.nn.functional.cross_entropy(net.sampled(q), data.labels)
    (distortion + beta * gaussian_kl(*q, *net.prior).mean()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None
        by = PACE / beta if name.startswith("prior") else 1.0
        np.testing.assert_allclose(got[name], by * weight.grad, rtol=1e-9, atol=1e-12)


def test_loss_keeps_float32_under_autocast() -> None:
    net = network(dtype=torch.float32)
    data = replace(batch([0, 2, 1, 1]), inputs=images(4).float())
    with torch.autocast("cpu", torch.bfloat16):
        q = net.posterior(data.inputs)
        loss = Vib().loss(net, data)
    assert {q.mean.dtype, q.std.dtype, net.sampled(q).dtype, loss.dtype} == {torch.float32}
    assert loss.isfinite()


# The scores.


def test_rate_by_loops() -> None:
    net, x = network(), images()
    expected = []
    for image in x:
        with torch.no_grad():
            q = net.posterior(image[None])
        expected.append(-kl_by_loops(q.mean[0], q.std[0], *(part[0] for part in net.prior)))
    np.testing.assert_allclose(score(net, x), expected, rtol=1e-10)


def test_entropy_by_loops() -> None:
    net, x = network(), images()
    expected = []
    for image in x:
        with torch.no_grad():
            q = net.posterior(image[None])
            p = [0.0] * 3
            for e in net.noise:
                z = net.decoder(q.mean[0] + q.std[0] * e).tolist()
                p = [p[c] + math.exp(z[c]) / sum(math.exp(v) for v in z) / 4 for c in range(3)]
        expected.append(sum(value * math.log(value) for value in p))
    np.testing.assert_allclose(score(net, x, ENTROPY), expected, rtol=1e-10)


PRIORS = Gaussian(torch.zeros(1, 64), torch.ones(1, 64))


def test_rate_ranks_a_thousand_nats() -> None:
    distance = torch.linspace(5.5, 6.5, 50)[:, None].expand(50, 64).contiguous()
    s = VIB.detector.score((), Given({POSTERIOR: Gaussian(distance, torch.ones(50, 64)), PRIOR: PRIORS}))
    assert s.dtype == torch.float32
    assert -1400 < s.min() < s.max() < -900
    assert (s.diff() < 0).all()
    assert not s.exp().any()  # the paper's score, in float32


def test_entropy_ranks_margins_at_which_float32_has_one_probability() -> None:
    logits = torch.stack([torch.tensor([0.0, -margin, -margin]) for margin in range(1, 200)])
    s = ENTROPY.detector.score((), Given({LOGITS: logits}))
    assert (s.diff() > 0).all()
    assert (s < 0).all()


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_gradient_reaches_the_pixels(row) -> None:
    net, x = network(), images(2)
    got = opened(net, x, row, INPUTS, NETWORK).grad(lambda batch: row.detector.score((), batch))
    for i, place in ((0, (0, 2, 2)), (1, (0, 5, 4))):
        step = torch.zeros_like(x)
        step[i][place] = 1e-6
        slope = (score(net, x + step, row) - score(net, x - step, row))[i] / 2e-6
        assert float(slope) != 0
        assert float(got[i][place]) == pytest.approx(float(slope), rel=1e-4)


# The recipe.


def test_both_scores_share_a_training() -> None:
    assert VIB.recipe.sized("cpu", TRAINING) == ENTROPY.recipe.sized("cpu", TRAINING) == Vib(TRAINING)
    assert (Vib().beta, Vib().latent, Vib().samples) == (0.005, 64, 12)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe, data = Vib(replace(TRAINING, epochs=3)), blobs(96, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
    assert whole["prior_mean"].any()


# Texts.


def test_the_rate_of_a_text_is_that_of_its_words_whatever_is_padded_behind() -> None:
    encoder = classifier("toy-gru", InSet(Tokens(length=6, vocabulary=9), 8))
    net = StochasticBottleneck(encoder, 4, 3, priors=1, samples=4).double().eval()
    ids = torch.tensor([[3, 4, 5, 0, 0, 0], [8, 1, 0, 0, 0, 0]])
    opened_ids = ModelOutputs(Trained(net, CPU), ids, Access(VIB.detector.reads | {FEATURES, NETWORK, EMBEDDINGS}))
    with torch.no_grad():
        rates = VIB.detector.score((), opened_ids)
        short = VIB.detector.score((), ModelOutputs(Trained(net, CPU), ids[:, :3], Access(VIB.detector.reads)))
        q = net.encoded(encoder(ids))
    torch.testing.assert_close(rates, short)
    torch.testing.assert_close(rates, -gaussian_kl(*q, *net.prior)[:, 0])
    assert net.entries == {EMBEDDINGS, FEATURES}
    moved = opened_ids.at(replacing={EMBEDDINGS: opened_ids[EMBEDDINGS].flip(0)})  # and the padding stays its own's
    assert not torch.allclose(moved[FEATURES], opened_ids[FEATURES])
