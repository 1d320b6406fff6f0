"""The IB-INN for ImageNet: layers and network against autograd, its size, its means of low rank, what it refuses."""

import math
from typing import Any

import pytest
import torch
from oodbench.methods.ib_inn import METHODS as OF_SMALL_IMAGES
from oodbench.methods.ib_inn import IbInn
from oodbench.methods.ib_inn_imagenet import METHODS, TRIAL, IbInnImageNet
from torch import Tensor

from oodbench.check.toy import TRAINING
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting
from oodbench.models.train import start
from oodbench.networks.inn import GenerativeClassifier, losses
from oodbench.networks.inn_layers import FrequencyFirst, Permutation, Times
from oodbench.networks.inn_means import LowRankMeans, squared_distances
from oodbench.networks.inn_resnet import IMAGENET, HalvingCoupling, ResNetSizes, SoftScale, bottleneck, entry
from oodbench.run.plan import Skip, plan
from oodbench.run.registry import Registered
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch

NARROW = ResNetSizes(blocks=(2, 1), planes=(3, 4), entry=4, full=80, rank=3)
WHOLE = ResNetSizes(blocks=(3, 4, 6, 3), planes=(2, 2, 2, 2), entry=2, full=96, rank=3)
LIKE_IMAGENET = Images((3, 224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stirred(net: Any) -> Any:
    """The same in float64, no weight and no statistic as it is initialised."""
    for seed, (name, value) in enumerate([*net.named_parameters(), *net.named_buffers()]):
        if name.endswith("running_var"):
            value.data = randn(*value.shape, seed=seed).exp().float()
        elif value.is_floating_point() and name.split(".")[-1] not in ("rows", "columns", "u", "mean", "std"):
            value.data = value.data + 0.1 * randn(*value.shape, seed=seed).float()
    return net.double().eval().requires_grad_(False)


def network(shape: tuple[int, int, int], sizes: ResNetSizes, classes: int = 3) -> GenerativeClassifier:
    torch.manual_seed(0)
    c = shape[0]
    return GenerativeClassifier(shape, classes, (0.2,) * c, (0.25,) * c, sizes, m=3.5, pace=1.0, noise=0.0)


def log_det_by_autograd(f, x: Tensor) -> float:
    """log|det| of the Jacobian at one input [1 ...]: of a copy a dimension of the output, each gives a row."""
    n = x.numel()
    copies = x.repeat(n, *[1] * (x.ndim - 1)).requires_grad_()
    (rows,) = torch.autograd.grad(f(copies).diagonal().sum(), copies)
    return float(torch.linalg.slogdet(rows.reshape(n, n)).logabsdet)


def halving() -> HalvingCoupling:
    return HalvingCoupling(entry(2, 3, 8, halves=True), bottleneck(4, 2, 16), (2, 1), clamp=0.7)


LAYERS = {
    "permutation": (lambda: Permutation(5), (5, 2, 3)),
    "times": (lambda: Times(0.5, 12), (3, 2, 2)),
    "frequency-first": (lambda: FrequencyFirst((3, 2, 4)), (24,)),
    "soft-scale": (lambda: SoftScale(3, 7.0), (3, 2, 4)),
    "halving": (halving, (3, 4, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_inverts_and_knows_its_jacobian(name: str) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(1)
    layer, x = stirred(make()), randn(3, *shape)
    z, log_det = layer(x)
    torch.testing.assert_close(layer.inverse(z), x, atol=1e-10, rtol=0)
    assert log_det.shape == (3,) and log_det.dtype == torch.float64
    for i in range(3):
        expected = log_det_by_autograd(lambda one: layer(one)[0].flatten(1), x[i : i + 1])
        assert float(log_det[i]) == pytest.approx(expected, abs=1e-9)


def assert_a_density(net: GenerativeClassifier, x: Tensor) -> None:
    """The network inverts, and its log-determinant is that of its Jacobian."""
    net.dequantise.u.zero_()
    code = net.code(x)
    torch.testing.assert_close(net.decode(code.z) * 256 / 255, x, atol=1e-9, rtol=0)
    expected = log_det_by_autograd(lambda one: net.code(one).z, x[:1])
    assert float(code.log_det[0]) == pytest.approx(expected - x[0].numel() * math.log(255 / 256), abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 16, 16)], ids=str)
def test_network_inverts_and_knows_its_jacobian(shape) -> None:
    x = torch.rand(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert_a_density(stirred(network(shape, NARROW)), x)


@pytest.mark.slow
def test_all_sixteen_blocks_invert_and_know_their_jacobian_at_32() -> None:
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert_a_density(stirred(network((3, 32, 32), WHOLE)), x)


def test_the_authors_network_inverts_at_32() -> None:
    net = network((3, 32, 32), IMAGENET, classes=10).eval()
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(net.decode(net.code(x).z), net.dequantise(x), atol=1e-3, rtol=0)


def couplings(c: int, blocks, planes):
    """Inputs, width and outputs of every bottleneck; all counts are of ordinary convolutions and BatchNorms."""
    for stage, (n, width) in enumerate(zip(blocks, planes, strict=True)):
        for block in range(n):
            half = c // 2
            if stage and not block:
                yield from ((half, width, 8 * half), (4 * half, width, 8 * half))
                c *= 4
            else:
                yield half, width, 2 * half


def test_it_has_as_many_weights_as_its_parts() -> None:
    def of_bottleneck(i: int, p: int, o: int) -> int:
        return 2 * i + i * p + 2 * p + 9 * p * p + 2 * p + 4 * p * p + 8 * p + 4 * p * o + o

    down = 9 * 2 * 64 + 128 + 9 * 64 * 64 + 128 + 64 * 8 + 8  # of 2 of 3 channels, for 4 of the other one, twice
    flat = 9 * 4 * 64 + 128 + 64 * 16  # of those 4, for 8 of the first two, twice
    after_haar = 24 * 48 + 48 + 48 * 48 + 48
    stages = sum(of_bottleneck(*one) for one in couplings(48, (3, 4, 6, 3), (64, 128, 256, 512)))
    channels = 12 + 48 + 48 * 3 + 192 * 4 + 768 * 6 + 3072 * 3  # behind each coupling two numbers a channel
    flow = down + flat + after_haar + stages + 2 * channels

    with torch.device("meta"):
        small = network((3, 32, 32), IMAGENET, classes=10)
        large = network(LIKE_IMAGENET.shape, IMAGENET, classes=1000)
    assert sum(one.numel() for one in small.flow.parameters()) == flow == 55_412_304
    assert small.tail is None and small.mu.shape == (10, 3072)
    means = 1000 * 3072 + 1000 * 128 + 128 * (224 * 224 * 3 - 3072)
    assert sum(one.numel() for one in large.parameters()) == flow + means + 1000
    assert large.flow.layers[-1].shape == (3072, 7, 7)


def test_means_of_low_rank_by_loops() -> None:
    tail = LowRankMeans(4, 50, 3, 0.5).double()
    z = 100 + randn(5, 50)
    mu = tail.t @ tail.m
    torch.testing.assert_close(tail.mu, mu)
    torch.testing.assert_close(tail.squared_distances(z), squared_distances(z, mu), rtol=1e-12, atol=0)


def test_distances_are_those_to_the_whole_means() -> None:
    net = stirred(network((3, 16, 16), NARROW))
    assert net.tail is not None and net.tail.m.shape == (3, 3 * 16 * 16 - 80) and net.mu.shape == (3, 3 * 16 * 16)
    code = net.code(torch.rand(2, 3, 16, 16, dtype=torch.float64))
    torch.testing.assert_close(code.log_joint, net.w - squared_distances(code.z, net.mu) / 2, rtol=1e-10, atol=0)


def test_frequency_0_comes_first() -> None:
    """The first dimensions of the code are the channels' means over places, where class means are free."""
    net = network((3, 8, 16), NARROW).double()
    *_, dct, half, order = net.flow.layers
    maps = randn(2, *dct.shape)
    z, _ = order(half(dct(maps)[0])[0])
    places = dct.shape[1] * dct.shape[2]
    torch.testing.assert_close(z[:, : dct.shape[0]], maps.mean(dim=(2, 3)) * math.sqrt(places) / 2, rtol=1e-6, atol=0)


def test_every_channel_begins_at_seven_tenths() -> None:
    with torch.no_grad():
        z, _ = SoftScale(2, 7.0)(torch.ones(1, 2, 1, 1))
    assert z.flatten().tolist() == pytest.approx([0.2 * math.log(1 + math.exp(3.5))] * 2)
    assert float(z[0, 0, 0, 0]) == pytest.approx(0.706, abs=1e-3)


@pytest.mark.parametrize("beta, of_x, of_y", [(0, 1, 0), (1, 0.5, 0.5), ("inf", 0, 1)])
def test_weights_of_the_losses(beta, of_x: float, of_y: float) -> None:
    recipe = IbInnImageNet(beta=beta, sizes=TRIAL)
    net = stirred(network((1, 8, 8), TRIAL))
    batch = TrainBatch(torch.rand(4, 1, 8, 8).double(), torch.tensor([0, 1, 2, 0]), torch.arange(4), 0, 0.0)
    l_x, l_y = losses(net.code(batch.inputs), batch.labels)
    assert float(recipe.loss(net, batch)) == pytest.approx(float(of_x * l_x + of_y * l_y), rel=1e-10)


def test_class_weights_stay_equal() -> None:
    space = Images((1, 8, 8), (0.2,), (0.25,))
    fit = start(IbInnImageNet().sized("tiny", TRAINING), InSet(space, 3), torch.zeros(0, dtype=torch.int64), 0)
    (player,) = fit.players
    assert not any(weight is fit.net.phi for weight in player.weights)
    assert len(player.weights) == len([*fit.net.parameters()]) - 1


# What does not fit.


def test_each_recipe_refuses_the_others_images_and_names_it() -> None:
    small, large = IbInn(), IbInnImageNet()
    assert small.refuses(Images((3, 32, 32), (0.5,) * 3, (0.2,) * 3)) is None
    assert large.refuses(LIKE_IMAGENET) is None
    said = small.refuses(LIKE_IMAGENET)
    assert said and "3x224x224" in said and "at most 64" in said
    assert METHODS[0].name in said
    said = large.refuses(Images((1, 28, 28), (0.3,), (0.3,)))
    assert said and "1x28x28" in said and "multiples of 64" in said
    assert "ib-inn-2" in said.split() and "ib-inn-2" in [row.name for row in OF_SMALL_IMAGES]
    with pytest.raises(BadSetting, match="3x224x224"):
        start(small, InSet(LIKE_IMAGENET, 1000), torch.zeros(0, dtype=torch.int64), 0)


def test_a_plan_skips_what_does_not_fit() -> None:
    both = [Registered(rows[0], "") for rows in (OF_SMALL_IMAGES, METHODS)]
    skipped, job = plan(find_matrix("imagenet-v1"), both, [0])
    assert isinstance(skipped, Skip) and "ib-inn-imagenet-2" in skipped.reason
    assert not isinstance(job, Skip)
    job, skipped = plan(find_matrix("fashion-mnist-v2"), both, [0])
    assert isinstance(skipped, Skip) and "1x28x28" in skipped.reason
    assert not isinstance(job, Skip)
