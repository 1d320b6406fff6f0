"""The IB-INN against autograd and loops over its formulas: layers, mixture, losses, BatchNorm, scores, recipe."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.ib_inn import BETAS, METHODS, PAPER, IbInn
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import cross_entropy

from oodbench.check.parameters import from_json, to_json
from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.contract import FEATURES, LATENT, LOG_DENSITY, LOGITS
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.networks.inn import (
    Code,
    GenerativeClassifier,
    Sizes,
    convolutions,
    estimate_norms,
    losses,
)
from oodbench.networks.inn_layers import Coupling, Dct, Haar, Rotation, Scale, cosines
from oodbench.networks.inn_means import first_means, squared_distances
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch

CPU = torch.device("cpu")
SIZES = Sizes((1, 2), (4, 6), fc=(8, 8), dropout=(0.0, 0.0), initial=0.75, gain=0.5, clamp=0.7)
ROWS = {row.name: row for row in METHODS}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stirred(net: nn.Module) -> nn.Module:
    """The same network in float64, no weight and no statistic as it is initialised."""
    for seed, (name, weight) in enumerate([*net.named_parameters(), *net.named_buffers()]):
        if name.endswith("running_var"):
            weight.data = randn(*weight.shape, seed=seed).exp().float()
        elif weight.is_floating_point() and name.split(".")[-1] not in ("q", "rows", "columns", "u", "mean", "std"):
            weight.data = weight.data + 0.3 * randn(*weight.shape, seed=seed).float()
    return net.double().eval()


def network(shape=(1, 8, 8), sizes: Sizes = SIZES) -> GenerativeClassifier:
    c = shape[0]
    torch.manual_seed(0)
    net = GenerativeClassifier(shape, 3, (0.2,) * c, (0.25,) * c, sizes, m=5.0, pace=3.0, noise=0.01)
    return stirred(net)


def images(n: int = 4, seed: int = 3) -> Tensor:
    return torch.from_numpy(blobs(n, seed).pixels).double()


def score(net, x: Tensor, name: str, state=()) -> Tensor:
    detector = ROWS[name].detector
    with torch.no_grad():
        return detector.score(state, ModelOutputs(Trained(net, CPU), x, Access(detector.reads)))


# The layers.


def net_of(inputs: int, outputs: int) -> nn.Module:
    return convolutions(inputs, 5, outputs, 0.0)


LAYERS = {
    "haar": (Haar, (2, 4, 6)),
    "rotation": (lambda: Rotation(5), (5, 2, 3)),
    "scale": (lambda: Scale(3, 0.75), (3, 2, 4)),
    "coupling": (lambda: Coupling(net_of(3, 4), (3, 2), clamp=0.7, gain=0.5), (5, 3, 4)),
    "second": (lambda: Coupling(net_of(2, 6), (3, 2), clamp=0.7, gain=0.5, second=True), (5, 3, 4)),
    "dct": (lambda: Dct((2, 4, 3)), (2, 4, 3)),
}


def assert_bijective(layer: nn.Module, x: Tensor, back) -> None:
    """`back` undoes it, and its log-determinant is that of autograd's Jacobian, for each input."""
    z, log_det = layer(x)
    torch.testing.assert_close(back(z), x, atol=1e-5, rtol=0)
    assert log_det.shape == (len(x),) and log_det.dtype == torch.float64
    for i in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda one: layer(one[None])[0].flatten(), x[i])
        expected = torch.linalg.slogdet(jacobian.reshape(x[i].numel(), -1)).logabsdet
        torch.testing.assert_close(log_det[i], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_inverts_and_knows_its_jacobian(name: str) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(1)
    layer = stirred(make())
    assert_bijective(layer, randn(3, *shape), layer.inverse)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 8), (1, 6, 6)], ids=str)
def test_network_inverts_and_knows_its_jacobian(shape) -> None:
    net = network(shape)
    net.dequantise.u.zero_()

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        code = net.code(x)
        return code.z, code.log_det + math.prod(shape) * math.log(255 / 256)

    x = torch.rand(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert_bijective(f, x, lambda z: net.decode(z) * 256 / 255)


@pytest.mark.parametrize("name", ["haar", "rotation", "dct"])
def test_rotations_keep_lengths(name: str) -> None:
    make, shape = LAYERS[name]
    x = randn(3, *shape)
    z, log_det = make().double()(x)
    torch.testing.assert_close(z.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-6, atol=0)
    assert not log_det.any()


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_cosines_are_orthonormal(n: int) -> None:
    torch.testing.assert_close(cosines(n) @ cosines(n).T, torch.eye(n, dtype=torch.float64), atol=1e-12, rtol=0)


def test_wavelets_average_first() -> None:
    z, _ = Haar()(randn(1, 3, 4, 4))
    torch.testing.assert_close(z[:, :3], 2 * nn.functional.avg_pool2d(randn(1, 3, 4, 4), 2))


def test_log_scales_are_bounded_wherever_the_input_lies() -> None:
    layer = stirred(LAYERS["coupling"][0]())
    _, log_det = layer(1e6 * randn(5, 5, 3, 4))
    assert (log_det.abs() <= 0.7 * 2 * 3 * 4 + 1e-9).all()


# The mixture and the losses.


@pytest.mark.parametrize("classes, dims, m", [(10, 784, 5.0), (3, 64, 3.5), (100, 3072, 5.0)])
def test_means_begin_m_apart(classes: int, dims: int, m: float) -> None:
    mu = first_means(classes, dims, m)
    np.testing.assert_allclose(torch.pdist(mu).numpy(), m, rtol=0.03)
    assert float(mu[1, 1]) == pytest.approx(m / math.sqrt(2 * (dims // classes)))
    net = GenerativeClassifier((1, 8, 8), 3, (0.2,), (0.25,), SIZES, m=m, pace=3.0, noise=0.0)
    torch.testing.assert_close(net.mu, first_means(3, 64, m))


def joint_by_loops(net: GenerativeClassifier, z: list[float]) -> list[float]:
    phi, mu = net.phi.tolist(), net.mu.tolist()
    log_sum = math.log(sum(math.exp(v) for v in phi))
    return [phi[k] - log_sum - sum((a - b) ** 2 for a, b in zip(z, mu[k], strict=True)) / 2 for k in range(len(phi))]


def log_sum_exp(values: list[float]) -> float:
    return max(values) + math.log(sum(math.exp(v - max(values)) for v in values))


def test_views_by_loops() -> None:
    net, x = network(), images()
    with torch.no_grad():
        code, given = net.code(x), net.outputs(x, frozenset())
    constant = 32 * math.log(2 * math.pi)
    for i in range(len(x)):
        joint, log_det = joint_by_loops(net, code.z[i].tolist()), float(code.log_det[i])
        total = log_sum_exp(joint)
        np.testing.assert_allclose(given[LOGITS][i], [v - total for v in joint], rtol=1e-9, atol=1e-12)
        assert float(given[LOG_DENSITY][i]) == pytest.approx(total - constant + log_det, rel=1e-9)
        of_classes = [v - w - constant + log_det for v, w in zip(joint, net.w.tolist(), strict=True)]
        np.testing.assert_allclose(given[LOG_DENSITY.of_members][i], of_classes, rtol=1e-9)
        assert float(score(net, x, "ib-inn-2-class-likelihood")[i]) == pytest.approx(max(of_classes), rel=1e-9)
        rest = joint[: (top := joint.index(max(joint)))] + joint[top + 1 :]
        assert float(score(net, x, "ib-inn-2-msp")[i]) == pytest.approx(joint[top] - log_sum_exp(rest), rel=1e-9)
    torch.testing.assert_close(given[LATENT], code.z - net.mu[given[LOGITS].argmax(dim=1)])
    assert not (net.prior.mean - net.mu).any() and (net.prior.std == 1).all()


def test_the_posterior_is_ranked_where_it_is_1_in_float32() -> None:
    """Codes between two means that lie 60 apart: the largest p(k|y) is a logistic function of the place."""
    net = network().float()
    net.paced_means.data.zero_()
    net.phi.data.zero_()
    net.paced_means.data[1, 0], net.paced_means.data[2, 1] = 20.0, 1e3
    z = torch.zeros(3, 64)
    z[:, 0] = torch.tensor([35.0, 40.0, 45.0])
    net.code = lambda _: Code(z, torch.zeros(3).double(), net.w - squared_distances(z, net.mu) / 2)  # type: ignore[method-assign]
    assert (net(torch.zeros(3, 1, 8, 8)).exp().amax(dim=1) == 1).all()
    got = score(net, torch.zeros(3, 1, 8, 8), "ib-inn-2-msp")
    expected = [60.0 * (at - 30) for at in (35, 40, 45)]  # all weights are equal
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_losses_by_loops() -> None:
    net, x, labels = network(), images(), [0, 2, 1, 1]
    with torch.no_grad():
        code = net.code(x)
        l_x, l_y = losses(code, torch.tensor(labels), label_smoothing=0.02)
    by_x, by_y = [], []
    for i, label in enumerate(labels):
        joint = joint_by_loops(net, code.z[i].tolist())
        by_x.append((-log_sum_exp(joint) - float(code.log_det[i])) / 64)
        target = [0.02 / 3 + (0.98 if k == label else 0) for k in range(3)]
        by_y.append(-sum(t * (v - log_sum_exp(joint)) for t, v in zip(target, joint, strict=True)))
    assert float(l_x) == pytest.approx(sum(by_x) / 4, rel=1e-10)
    assert float(l_y) == pytest.approx(sum(by_y) / 4, rel=1e-10)


def test_far_codes_keep_their_distances() -> None:
    """In float32 ||z||^2 - 2 z mu + ||mu||^2 is off by whole nats at a length of 10,000."""
    z, mu = (1250 + randn(1, 64)).float(), first_means(3, 64, 5.0)
    expected = [sum((a - b) ** 2 for a, b in zip(z[0].tolist(), mean.tolist(), strict=True)) for mean in mu]
    np.testing.assert_allclose(squared_distances(z, mu)[0], expected, rtol=1e-13)
    expanded = z.square().sum() - 2 * z @ mu.T + mu.square().sum(dim=1)
    assert np.abs(expanded[0].numpy() - expected).max() > 1


def loss_and_gradient(beta, labels: list[int]) -> tuple[float, dict[str, Tensor]]:
    net = network()
    loss = IbInn(beta=beta).loss(net, TrainBatch(images(), torch.tensor(labels), torch.arange(4), 0, 0.0))
    loss.backward()
    return loss.item(), {name: weight.grad for name, weight in net.named_parameters()}


def test_beta_infinity_is_cross_entropy() -> None:
    labels = [0, 2, 1, 1]
    loss, got = loss_and_gradient("inf", labels)
    net = network()
    (expected := 2 * cross_entropy(net(images()), torch.tensor(labels))).backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, weight in net.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(got[name], weight.grad, rtol=1e-9, atol=1e-12)


def test_beta_zero_ignores_labels() -> None:
    loss, gradient = loss_and_gradient(0, [0, 2, 1, 1])
    again, same = loss_and_gradient(0, [1, 1, 0, 2])
    assert loss == again
    assert all(gradient[name].equal(same[name]) for name in gradient)
    assert loss_and_gradient(2, [0, 2, 1, 1])[0] != loss_and_gradient(2, [1, 1, 0, 2])[0]


@pytest.mark.parametrize("beta, of_x, of_y", [(0, 2, 0), (1, 1, 1), (8, 2 / 9, 16 / 9), ("inf", 0, 2)])
def test_weights_of_the_losses(beta, of_x: float, of_y: float) -> None:
    net, batch = network(), TrainBatch(images(), torch.tensor([0, 1, 2, 0]), torch.arange(4), 0, 0.0)
    l_x, l_y = losses(net.code(batch.inputs), batch.labels)
    assert IbInn(beta=beta).loss(net, batch).item() == pytest.approx((of_x * l_x + of_y * l_y).item(), rel=1e-10)


# The density's unit.


def test_density_of_a_network_that_only_standardises() -> None:
    """With no coupling the density is that of independent Gaussians about the channels' means."""
    still = Sizes((), (), fc=(), dropout=(0.0, 0.0), initial=1.0, gain=1.0, clamp=0.7)
    net = GenerativeClassifier((3, 4, 4), 2, (0.1, 0.4, 0.7), (0.2, 0.3, 0.05), still, m=5.0, pace=1.0, noise=0.0)
    net.paced_means.data.zero_()
    net.double().eval()
    x = torch.rand(5, 3, 4, 4, dtype=torch.float64)
    mean, std = torch.tensor([[0.1, 0.4, 0.7], [0.2, 0.3, 0.05]]).double()[:, :, None, None]
    expected = Normal(mean, std).log_prob(net.dequantise(x)).sum(dim=(1, 2, 3))
    with torch.no_grad():
        got = net.outputs(x, frozenset())[LOG_DENSITY]
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-4)
    # by hand: at its mean a Gaussian has the density 1 / (std sqrt(2 pi)), and a grey level is 1 / 256 wide
    net.dequantise.u.zero_()
    at_the_mean = (mean * 256 / 255).expand(1, 3, 4, 4)
    with torch.no_grad():
        bits = bits_per_dim(net.outputs(at_the_mean, frozenset())[LOG_DENSITY].numpy(), (3, 4, 4))
    by_hand = np.mean([math.log2(256 * s * math.sqrt(2 * math.pi)) for s in (0.2, 0.3, 0.05)])
    assert bits[0] == pytest.approx(by_hand, abs=1e-6)


def test_noise_is_added_in_training_alone() -> None:
    net = network()
    net.noise, net.dequantise.u = 0.5, torch.zeros_like(net.dequantise.u)
    x = torch.full((2000, 1, 8, 8), 0.5, dtype=torch.float64)
    seen: list[Tensor] = []
    net.standardise.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net.code(x)
        net.train().code(x)
    assert float(seen[0].std()) < 1e-12
    assert float(seen[1].std()) == pytest.approx(0.5, rel=0.01)


def test_scores_are_finite_on_anything() -> None:
    net = network().float()
    x = torch.cat([torch.rand(20, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])
    x = torch.cat([x, torch.randint(0, 2, (20, 1, 8, 8)).float()])
    assert score(net, x, "ib-inn-2-class-likelihood").isfinite().all()
    assert torch.stack([*net.outputs(x, frozenset())[LOG_DENSITY]]).isfinite().all()


# BatchNorm.


def test_norms_get_the_exact_cumulative_statistics() -> None:
    net, batches = network(), [images(8, seed) for seed in range(3)]
    estimate_norms(net, batches)
    assert not any(module.training for module in net.modules())
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}
    for norm in norms:
        norm.register_forward_pre_hook(lambda module, inputs: seen[module].append(inputs[0]))
    got = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    with torch.no_grad():
        for norm in norms:
            norm.train()
        for x in batches:
            net.code(x)
    assert len(norms) == 6
    for norm, (mean, var) in zip(norms, got, strict=True):
        means = torch.stack([x.mean(dim=(0, 2, 3)) for x in seen[norm]])
        variances = torch.stack([x.transpose(0, 1).flatten(1).var(dim=1) for x in seen[norm]])
        torch.testing.assert_close(mean, means.mean(dim=0))
        torch.testing.assert_close(var, variances.mean(dim=0))


def test_statistics_mix_the_classes_of_a_sorted_data_set() -> None:
    net, black, white = network(), torch.zeros(64, 1, 8, 8).double(), torch.ones(64, 1, 8, 8).double()
    recipe = IbInn(replace(TRAINING, batch=32))
    halves = [TrainBatch(x, torch.zeros(32), torch.arange(32), 0, 1.0) for x in torch.cat([black, white]).split(32)]
    torch.manual_seed(0)
    recipe.settle(net, iter(halves))
    norm = next(module for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    mixed = norm.running_var.clone()
    estimate_norms(net, [batch.inputs for batch in halves])
    assert (mixed > 1.5 * norm.running_var).all()


# The recipe and the rows.


def test_paper_scale_is_as_printed() -> None:
    recipe = IbInn(beta=4).sized("paper", TRAINING)
    how = recipe.training
    assert (how.epochs, how.batch, how.optimiser, how.lr, how.weight_decay) == (450, 128, "sgd", 0.07, 1e-4)
    assert (how.schedule, how.gamma, how.clip, how.label_smoothing) == ("step", 0.1, 8.0, 0.02)
    assert [round(450 * milestone) for milestone in how.milestones] == [150, 250, 350]
    assert (recipe.beta, recipe.sizes, recipe.m, recipe.noise, recipe.looks) == (4, PAPER, 5.0, 0.01, 5)
    assert recipe.pace**2 == pytest.approx(3)  # under SGD a step of lr on mu / pace is one of lr pace^2 on mu


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)], ids=str)
def test_every_shape_can_be_built(shape) -> None:
    c = shape[0]
    net = start(
        IbInn().sized("tiny", TRAINING),
        InSet(Images(shape, (0.5,) * c, (0.25,) * c), 10),
        torch.zeros(0, dtype=torch.int64),
        0,
    ).net.eval()
    with torch.no_grad():
        given = net.outputs(torch.rand(2, *shape), frozenset())
    assert given[FEATURES].shape == given[LATENT].shape == (2, math.prod(shape))
    assert given[LOG_DENSITY].dtype == torch.float64


def test_there_is_a_row_for_each_beta() -> None:
    assert [f"ib-inn-{beta}" for beta in (0, 1, 2, 4, 8, 16, 32, "inf")] == [row.name for row in METHODS][:8]
    assert ROWS["ib-inn-2"].recipe == ROWS["ib-inn-2-class-likelihood"].recipe == ROWS["ib-inn-2-msp"].recipe
    for row, beta in zip(METHODS, BETAS, strict=False):
        recipe = row.recipe
        assert recipe == from_json(recipe, json.loads(json.dumps(to_json(recipe, "recipe"), allow_nan=False)))
        assert recipe.beta == beta


def test_without_labels_it_is_no_classifier() -> None:
    assert LOGITS not in IbInn(beta=0).provides
    assert all(LOGITS in IbInn(beta=beta).provides for beta in BETAS if beta)
    assert all(row.detector.reads <= row.recipe.provides for row in METHODS)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe = replace(IbInn().sized("tiny", replace(TRAINING, epochs=3)), sizes=SIZES)
    data = blobs(96, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
    assert not whole["paced_means"].equal(first_means(3, 64, 5.0) / 3)
