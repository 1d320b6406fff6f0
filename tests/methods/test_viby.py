"""viby-1 and viby-2 against loops over the paper's formulas."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.viby import METHODS, Viby
from torch import Tensor

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import INPUTS, LOGITS, NETWORK, POSTERIOR, PRIOR
from oodbench.formulas import gaussian_kl
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.networks import classifier
from oodbench.networks.bottleneck import PACE, StochasticBottleneck
from oodbench.networks.gaussian import Gaussian
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch

CPU = torch.device("cpu")
VIBY_1, VIBY_2 = METHODS


@pytest.fixture
def net() -> StochasticBottleneck:
    net = (
        StochasticBottleneck(
            classifier("toy-cnn", InSet(Images((1, 8, 8), (0.15,), (0.25,)), 12)), 6, 3, priors=3, samples=4
        )
        .double()
        .eval()
    )
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = 0.5 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return net


def images(n: int = 5) -> Tensor:
    return torch.from_numpy(blobs(n, 3).pixels).double()


def score(net: StochasticBottleneck, x: Tensor, row) -> Tensor:
    with torch.no_grad():
        return row.detector.score((), ModelOutputs(Trained(net, CPU), x, Access(row.detector.reads)))


def kl_by_loops(q: Gaussian, i: int, prior: Gaussian, c: int) -> float:
    return sum(
        math.log(v / s) + (s**2 + (mu - m) ** 2) / (2 * v**2) - 0.5
        for mu, s, m, v in zip(
            q.mean[i].tolist(), q.std[i].tolist(), prior.mean[c].tolist(), prior.std[c].tolist(), strict=True
        )
    )


def test_scores_by_loops(net: StochasticBottleneck) -> None:
    x = images()
    expected, least = [], []
    for image in x:
        with torch.no_grad():
            q = net.posterior(image[None])
            p = [0.0] * 3
            for e in net.noise:
                z = net.decoder(q.mean[0] + q.std[0] * e).tolist()
                p = [p[c] + math.exp(z[c]) / sum(math.exp(v) for v in z) / 4 for c in range(3)]
        kl = [kl_by_loops(q, 0, net.prior, c) for c in range(3)]
        expected.append(-sum(p[c] * kl[c] for c in range(3)))
        least.append(-min(kl))
    np.testing.assert_allclose(score(net, x, VIBY_1), expected, rtol=1e-10)
    np.testing.assert_allclose(score(net, x, VIBY_2), least, rtol=1e-10)
    assert (score(net, x, VIBY_1) < score(net, x, VIBY_2)).all()


def batch(labels: list[int]) -> TrainBatch:
    y = torch.tensor(labels)
    return TrainBatch(images(len(y)), y, torch.arange(len(y)), 0, 0.0)


def test_loss_by_loops(net: StochasticBottleneck) -> None:
    data, beta = batch([0, 2, 1, 1]), 0.3
    torch.manual_seed(5)
    noise = torch.randn(4, 6, dtype=torch.float64)
    torch.manual_seed(5)
    loss = float(Viby(beta=beta).loss(net, data).detach())
    total = 0.0
    with torch.no_grad():
        q = net.posterior(data.inputs)
        for i, y in enumerate(data.labels.tolist()):
            logits = net.decoder(q.mean[i] + q.std[i] * noise[i]).tolist()
            total += math.log(sum(math.exp(z) for z in logits)) - logits[y] + beta * kl_by_loops(q, i, net.prior, y)
    assert loss == pytest.approx(total / 4, rel=1e-12)


def test_the_rate_is_taken_to_the_true_class_s_prior(net: StochasticBottleneck) -> None:
    """Priors of classes that are not in the batch get no gradient; the others that of their own images."""
    data = batch([2, 0, 2, 2])
    Viby().loss(net, data).backward()
    got = net.prior_mean.grad
    assert got is not None
    assert not got[1].any()
    with torch.no_grad():
        q, prior = net.posterior(data.inputs), net.prior
    for c, members in ((0, [1]), (2, [0, 2, 3])):
        slope = sum((prior.mean[c] - q.mean[i]) / prior.std[c] ** 2 for i in members) / 4
        np.testing.assert_allclose(got[c], 3 * PACE * slope, rtol=1e-10)


def test_priors_end_where_the_rate_to_them_is_least(net: StochasticBottleneck) -> None:
    """With the posteriors held still, the best prior has each class's mean, and its variance: E[sigma^2] + Var[mu]."""
    data = batch([0, 1, 2] * 20)
    with torch.no_grad():
        q = net.posterior(data.inputs)
    weights = (net.prior_mean, net.prior_log_std)
    optimiser = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    for _ in range(500):
        optimiser.zero_grad()
        gaussian_kl(*q, *net.paced_prior(1.0)).gather(1, data.labels[:, None]).mean().backward()
        optimiser.step()
    for c in range(3):
        mine = data.labels == c
        m = q.mean[mine].mean(dim=0)
        v = (q.std[mine].square() + (q.mean[mine] - m).square()).mean(dim=0).sqrt().clamp(0.1, 10)
        np.testing.assert_allclose(net.prior.mean[c].detach(), m, atol=1e-3)
        np.testing.assert_allclose(net.prior.std[c].detach(), v, atol=1e-3)


PRIORS = Gaussian(torch.tensor([[0.0], [1.0]]).expand(2, 64), torch.ones(2, 64))


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_a_thousand_nats_are_ranked(row) -> None:
    mean = torch.linspace(-6.5, -5.5, 50)[:, None].expand(50, 64).contiguous()
    logits = torch.tensor([0.0, -200.0]).expand(50, 2)
    s = row.detector.score((), Given({POSTERIOR: Gaussian(mean, torch.ones(50, 64)), PRIOR: PRIORS, LOGITS: logits}))
    assert s.dtype == torch.float32
    assert -1400 < s.min() < s.max() < -900
    assert (s.diff() > 0).all()
    assert not s.exp().any()  # the paper's score, in float32


def test_both_scores_share_a_training() -> None:
    assert VIBY_1.recipe.sized("cpu", TRAINING) == VIBY_2.recipe.sized("cpu", TRAINING) == Viby(TRAINING)
    assert (Viby().beta, Viby().latent, Viby().samples) == (0.01, 64, 12)
    built = start(
        Viby(TRAINING), InSet(Images((1, 8, 8), (0.15,), (0.25,)), 3), torch.zeros(0, dtype=torch.int64), 0
    ).net
    assert [part.shape for part in built.prior] == [(3, 64), (3, 64)]


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_gradient_reaches_the_pixels(net: StochasticBottleneck, row) -> None:
    x = images(2)
    reads = Access(row.detector.reads | {INPUTS, NETWORK})
    got = ModelOutputs(Trained(net, CPU), x, reads).grad(lambda batch: row.detector.score((), batch))
    step = torch.zeros_like(x)
    step[0, 0, 2, 2] = 1e-6
    slope = float((score(net, x + step, row) - score(net, x - step, row))[0]) / 2e-6
    assert slope != 0
    assert float(got[0, 0, 2, 2]) == pytest.approx(slope, rel=1e-4)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe, data = Viby(replace(TRAINING, epochs=3)), blobs(96, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
    assert whole["prior_mean"].any()
