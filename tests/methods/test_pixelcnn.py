"""pixelcnn++ against loops over the paper's formula: the mixture, the order of pixels, the first batch, training."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oodbench.methods.pixelcnn import METHODS
from torch import Tensor, nn
from torch.nn.functional import elu

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.contract import LOG_DENSITY
from oodbench.data.matrix import load_matrices
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.errors import BadSetting
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models import checkpoint
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start, train
from oodbench.networks import logistic_mixture
from oodbench.networks.logistic_mixture import Mixture, log_mass, split, width
from oodbench.networks.pixelcnn import Convolution, Doubling, PixelCnnPlusPlus, concat_elu
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch

CPU = torch.device("cpu")
GREY = 2 * torch.arange(256, dtype=torch.float64) / 255 - 1
(ROW,) = METHODS


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(*shape: int, seed: int = 0) -> Tensor:
    """Images of 8 bits."""
    return (255 * rand(*shape, seed=seed)).round() / 255


def network(
    channels: int = 1, stages: int = 1, side: int = 8, blocks: int = 1, dropout: float = 0.0
) -> PixelCnnPlusPlus:
    """A density whose every weight matters: its first batch initialises it, and nothing of it is narrow."""
    with torch.random.fork_rng():
        torch.manual_seed(channels + 10 * stages)
        shape = (channels, side, side)
        net = PixelCnnPlusPlus(shape, stages=stages, blocks=blocks, filters=4, mixtures=3, dropout=dropout).double()
        net(rand(16, *shape))
    return net.eval()


def log_density(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]


# The mixture.


def mixture(channels: int, n: int = 40, K: int = 3, reach: float = 1.0, seed: int = 0) -> Mixture:
    outputs = torch.randn(
        1, width(channels, K), 1, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return split(reach * outputs, channels, K)


@pytest.mark.parametrize("reach", [0.3, 1.0, 3.0, 10.0, 1e3, 1e9])
def test_the_mass_over_the_256_grey_levels_is_1(reach: float) -> None:
    x = GREY.view(256, 1, 1, 1).expand(256, 1, 1, 40)
    for precision, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        parts = Mixture(*(part.to(precision) for part in mixture(1, reach=reach)))
        log_P = log_mass(parts, x.to(precision))
        assert log_P.isfinite().all()
        torch.testing.assert_close(log_P.exp().sum(dim=0), torch.ones(1, 40, dtype=precision), rtol=0, atol=tolerance)


@pytest.mark.parametrize("mean", [-1.0, -0.999, -1e4, 0.0, 1 / 255, 1.0, 50.0])
@pytest.mark.parametrize("log_scale", [-30.0, -7.0, 0.0, 7.0, 30.0])
def test_the_mass_of_an_extreme_logistic_is_1(mean: float, log_scale: float) -> None:
    outputs = torch.tensor([0.0, mean, log_scale], dtype=torch.float64).view(1, 3, 1, 1)
    log_P = log_mass(split(outputs, 1, 1), GREY.view(256, 1, 1, 1))
    assert log_P.isfinite().all()
    assert float(log_P.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_the_edge_bins_hold_the_tails() -> None:
    outputs = torch.tensor([0.0, 0.0, math.log(2)], dtype=torch.float64).view(1, 3, 1, 1)
    P = log_mass(split(outputs, 1, 1), GREY.view(256, 1, 1, 1)).exp().flatten()
    assert float(P[0]) == pytest.approx(sigma((-1 + 1 / 255) / 2), rel=1e-12)
    assert float(P[255]) == pytest.approx(1 - sigma((1 - 1 / 255) / 2), rel=1e-12)
    assert float(P[0]) > 40 * float(P[1])


@pytest.mark.parametrize("channels", [2, 3])
def test_the_mass_of_a_sub_pixel_given_those_before_it_is_1(channels: int) -> None:
    """sum over the last channel of P(r, g, b) is P(r, g)."""
    whole = Mixture(*(part.expand(256, *part.shape[1:]) for part in mixture(channels, n=7)))
    c = channels - 1
    fewer = Mixture(
        whole.logits, whole.means[:, :, :c], whole.log_scales[:, :, :c], whole.coefficients[:, :, : c * (c - 1) // 2]
    )
    before = (2 * levels(1, c, 1, 7) - 1).expand(256, -1, -1, -1)
    x = torch.cat([before, GREY.view(256, 1, 1, 1).expand(256, 1, 1, 7)], dim=1)
    torch.testing.assert_close(log_mass(whole, x).exp().sum(dim=0), log_mass(fewer, before)[0].exp())


def test_a_sub_pixel_depends_on_those_before_it_alone() -> None:
    parts = mixture(3, n=4)
    x = (2 * levels(1, 3, 1, 4) - 1).requires_grad_()
    means = logistic_mixture.conditional_means(parts, x)
    for c in range(3):
        (slope,) = torch.autograd.grad(means[:, :, c].sum(), x, retain_graph=True, allow_unused=True)
        slope = torch.zeros_like(x) if slope is None else slope
        assert (slope[:, c:] == 0).all()
        assert (slope[:, :c] != 0).all()


def test_it_is_openai_s_formula_where_that_does_not_approximate() -> None:
    x = GREY.view(256, 1, 1, 1).expand(256, 1, 1, 40)
    parts = mixture(1, K=1)
    m, s = parts.means[:, 0], parts.log_scales[:, 0].exp()
    delta = torch.sigmoid((x - m + 1 / 255) / s) - torch.sigmoid((x - m - 1 / 255) / s)
    sure = (delta > 1e-5) & (x.abs() < 0.999)
    assert int(sure.sum()) > 5000
    torch.testing.assert_close(log_mass(parts, x)[:, None][sure], delta.log()[sure], rtol=1e-9, atol=1e-9)


def test_float32_keeps_the_log_of_a_mass_far_below_1() -> None:
    exact, x = mixture(1, n=200, reach=5.0), GREY.view(256, 1, 1, 1).expand(256, 1, 1, 200)
    single = log_mass(Mixture(*(part.float() for part in exact)), x.float())
    expected = log_mass(exact, x)
    assert float(expected.min()) < -100
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


# The density by loops.


def sigma(t: float) -> float:
    return 1 / (1 + math.exp(-t)) if t >= 0 else math.exp(t) / (1 + math.exp(t))


def bin_mass(g: int, mean: float, s: float) -> float:
    x = 2 * g / 255 - 1
    if g == 0:
        return sigma((x + 1 / 255 - mean) / s)
    if g == 255:
        return sigma(-(x - 1 / 255 - mean) / s)
    a, b = (x + 1 / 255 - mean) / s, (x - 1 / 255 - mean) / s
    return sigma(a) - sigma(b) if a + b < 0 else sigma(-b) - sigma(-a)


def pixel_mass(parameters: list[float], pixel: list[int], K: int) -> float:
    """The mass of one pixel: components in turn, its channels in turn."""
    C = len(pixel)
    logits, parameters = parameters[:K], parameters[K:]
    means, log_scales, raw = parameters[: K * C], parameters[K * C : 2 * K * C], parameters[2 * K * C :]
    x = [2 * g / 255 - 1 for g in pixel]
    total = 0.0
    for k in range(K):
        mass = math.exp(logits[k]) / sum(math.exp(logit) for logit in logits)
        pairs = [math.tanh(r) for r in raw[k * C * (C - 1) // 2 : (k + 1) * C * (C - 1) // 2]]
        for c in range(C):
            mean = means[k * C + c]
            if c == 1:
                mean += pairs[0] * x[0]
            if c == 2:
                mean += pairs[1] * x[0] + pairs[2] * x[1]
            mass *= bin_mass(pixel[c], mean, math.exp(max(log_scales[k * C + c], -7)))
        total += mass
    return total


@pytest.mark.parametrize(("channels", "stages"), [(1, 1), (1, 3), (3, 1), (3, 2)])
def test_log_density_by_loops(channels: int, stages: int) -> None:
    """Grey levels in all, every pixel's 256 of them where there is one channel; 256^-D is the volume of a level."""
    side = 4 if stages < 3 else 8
    net, x = network(channels, stages, side), levels(2, channels, side, side)
    with torch.no_grad():
        parameters = net(x)
    expected = []
    for n in range(2):
        total = 0.0
        for i in range(side):
            for j in range(side):
                grey = [round(255 * float(value)) for value in x[n, :, i, j]]
                here = parameters[n, :, i, j].tolist()
                if channels == 1:
                    table = [pixel_mass(here, [g], 3) for g in range(256)]
                    assert sum(table) == pytest.approx(1, abs=1e-12)
                    total += math.log(table[grey[0]])
                else:
                    total += math.log(pixel_mass(here, grey, 3))
        expected.append(total + channels * side * side * math.log(256))
    given = log_density(net, x)
    assert given.dtype == torch.float64
    np.testing.assert_allclose(given.numpy(), expected, rtol=1e-10)
    assert float((given[0] - given[1]).abs()) > 1


def test_the_score_is_total_nats_in_float64() -> None:
    net, x = network().float(), levels(3, 1, 8, 8).float()
    outputs = ModelOutputs(Trained(net, CPU), x, Access(ROW.detector.reads))
    with torch.no_grad():
        score = ROW.detector.score((), outputs)
    assert score.dtype == torch.float64
    assert score.equal(log_density(net, x))
    exact = log_density(net.double(), x.double())
    torch.testing.assert_close(score, exact, rtol=1e-5, atol=1e-3)
    assert not score.equal(exact), "the network is float32, only the mixture is not"


def test_the_loss_is_the_harness_s_bits_per_dimension() -> None:
    net, x = network(3), levels(5, 3, 8, 8)
    batch = TrainBatch(x, torch.zeros(5, dtype=torch.int64), torch.arange(5), 0, 0.0)
    bits = bits_per_dim(log_density(net, x).numpy(), (3, 8, 8))
    assert PixelCnn().loss(net, batch).item() == pytest.approx(bits.mean(), rel=1e-5)


def test_what_lies_between_two_grey_levels_is_not_rounded() -> None:
    net, x = network(), levels(4, 1, 8, 8).clamp(0.1, 0.9)
    assert (log_density(net, x + 0.2 / 255) != log_density(net, x)).all()


# The order of the pixels.


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_a_pixel_s_parameters_depend_on_the_pixels_before_it_alone(channels: int, stages: int) -> None:
    net = network(channels, stages)
    x = rand(1, channels, 8, 8, seed=4).requires_grad_()
    outputs = net(x)
    weights = torch.randn(outputs.shape[1], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for i in (0, 1, 3, 4, 7):
        for j in (0, 1, 2, 3, 4, 7):
            (slope,) = torch.autograd.grad((weights * outputs[0, :, i, j]).sum(), x, retain_graph=True)
            before = slope[0].flatten(1)[:, : 8 * i + j], slope[0].flatten(1)[:, 8 * i + j :]
            assert (before[1] == 0).all(), f"({i}, {j}) sees itself or what comes after it"
            if i:
                assert (slope[0, :, i - 1, max(j - 1, 0) : j + 2] != 0).all()
            if j:
                assert (slope[0, :, i, j - 1] != 0).all()


def test_nothing_before_a_pixel_is_blind_to_it() -> None:
    net = network(stages=3, blocks=2)
    x = rand(1, 1, 8, 8, seed=4).requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[0, :, 7, 7].sum(), x)
    assert (slope.flatten()[:-1] != 0).all()
    assert slope.flatten()[-1] == 0


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_first_pixel_s_parameters_are_the_same_for_all_images(stages: int) -> None:
    with torch.no_grad():
        first = network(stages=stages)(rand(6, 1, 8, 8))[:, :, 0, 0]
    assert (first == first[0]).all()


def test_all_weights_take_part() -> None:
    for channels, stages in ((1, 1), (3, 3)):
        net = network(channels, stages).train()
        net.log_mass(levels(4, channels, 8, 8)).sum().backward()
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_inputs_that_cannot_be_halved_are_told() -> None:
    with pytest.raises(BadSetting, match="of 3 stages got inputs of 30x32; both must be divisible by 4"):
        PixelCnnPlusPlus((1, 30, 32), stages=3, blocks=1, filters=2, mixtures=1)


# The first batch.


def fresh(dropout: float = 0.0) -> PixelCnnPlusPlus:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return PixelCnnPlusPlus((3, 8, 8), stages=2, blocks=1, filters=5, mixtures=2, dropout=dropout).double()


def outputs_of(net: PixelCnnPlusPlus, x: Tensor) -> dict[str, Tensor]:
    """What each convolution puts out."""
    seen: dict[str, Tensor] = {}
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, Convolution | Doubling)}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, layer in layers.items()
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_the_first_batch_gives_pre_activations_mean_0_and_deviation_1() -> None:
    net, x = fresh().train(), rand(8, 3, 8, 8)
    net(x)
    seen = outputs_of(net, x)
    assert len(seen) == 3 + (2 * 5 + 2) + (3 * 6 + 2) + 1
    for name, out in seen.items():
        std = 0.1 if name.endswith("second") else 1.0
        mean, deviation = out.mean(dim=(0, 2, 3)), out.std(dim=(0, 2, 3), correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-9)
        torch.testing.assert_close(deviation, torch.full_like(mean, std), rtol=1e-6, atol=0)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


def test_it_happens_once_and_only_in_training() -> None:
    net, x = fresh(), rand(8, 3, 8, 8)
    before = bits(net)
    net.eval()(x)
    assert bits(net) == before
    net.train()(x)
    after = bits(net)
    assert after["initialised"] == b"\x01"
    assert all(after[name] != before[name] for name in before if "original0" in name or "bias" in name)
    assert all(after[name] == before[name] for name in before if "original1" in name)
    net(0.1 * rand(8, 3, 8, 8, seed=1))
    assert bits(net) == after


def test_half_precision_begins_after_the_first_batch_has_set_the_weights() -> None:
    single, half = (fresh().float().train() for _ in range(2))
    x = rand(8, 3, 8, 8).float()
    single(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = half(x)
    assert bits(half) == bits(single)
    assert outputs.dtype == torch.float32
    outputs.sum().backward()
    assert all(weight.grad is not None for weight in half.parameters())


def test_concat_elu_is_elu_of_both_signs_and_so_is_its_slope() -> None:
    x = torch.tensor([-30.0, -2.0, -1e-3, 1e-3, 0.5, 40.0], dtype=torch.float64).view(1, 6, 1, 1).requires_grad_()
    torch.testing.assert_close(concat_elu(x), elu(torch.cat([x, -x], dim=1)))
    assert torch.autograd.gradcheck(concat_elu, x)


SMALL = PixelCnn().sized("tiny", replace(TRAINING, epochs=6))


def trained(**more: Any) -> nn.Module:
    return train(SMALL, blobs(64, 0), IN_SET, 0, device=CPU, **more)


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    def report(text: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    resume = tmp_path / "resume.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(resume_from=resume, report=report)
    assert checkpoint.load(resume)[1]["epoch"] == 1
    assert bits(trained(resume_from=resume)) == bits(trained())


# Evaluation.


def test_dropout_is_off_in_evaluation_and_on_in_training() -> None:
    net, x = network(dropout=0.5), levels(3, 1, 8, 8)
    assert log_density(net, x).equal(log_density(net, x))
    net.train()
    assert not log_density(net, x).equal(log_density(net, x))


def test_the_density_draws_no_random_number() -> None:
    net, x = network(dropout=0.5), levels(3, 1, 8, 8)
    before = torch.get_rng_state()
    log_density(net, x)
    assert torch.get_rng_state().equal(before)


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return toy(ROW.recipe).model.net


def test_the_toy_costs_less_than_8_bits_and_uniform_noise_more(net: nn.Module) -> None:
    """The cross-entropy of uniform grey levels is at least their entropy, 8 bits, under any masses that sum to 1."""
    inside = bits_per_dim(log_density(net, torch.from_numpy(blobs(90, 2).batch(slice(None)))), (1, 8, 8))
    noise = bits_per_dim(log_density(net, levels(200, 1, 8, 8).float()), (1, 8, 8))
    assert inside.mean() < 7
    assert noise.mean() >= 8


def test_scores_are_finite_on_anything(net: nn.Module) -> None:
    constants = torch.linspace(0, 1, 50).view(50, 1, 1, 1).expand(50, 1, 8, 8)
    checks = (torch.arange(64).view(1, 1, 8, 8) % 2).float()
    for x in (constants, checks, rand(50, 1, 8, 8).float(), levels(50, 1, 8, 8).float()):
        assert log_density(net, x).isfinite().all()
    with torch.no_grad():
        for weight in (wild := fresh().float().eval()).parameters():
            weight.mul_(30)
    assert log_density(wild, rand(20, 3, 8, 8).float()).isfinite().all()


def test_the_mean_of_the_weights_takes_their_place() -> None:
    raw = train(replace(SMALL, training=replace(SMALL.training, average=0.0)), blobs(64, 0), IN_SET, 0, device=CPU)
    mean = trained()
    assert SMALL.training.average > 0
    assert bits(mean)["initialised"] == b"\x01"
    assert bits(raw) != bits(mean)


# Sizes.


def test_at_paper_scale_it_is_as_printed() -> None:
    how = load_matrices()["cifar10-v1"].training
    recipe = PixelCnn().sized("paper", how)
    assert (recipe.stages, recipe.blocks, recipe.filters, recipe.mixtures) == (3, 5, 160, 10)
    paper = recipe.training
    assert (paper.optimiser, paper.betas, paper.lr) == ("adam", (0.95, 0.9995), 1e-3)
    assert (paper.epochs, paper.batch, paper.dropout, paper.average) == (5000, 128, 0.5, 0.9995)
    assert paper.augment == () and paper.weight_decay == 0
    assert paper.gamma ** len(paper.milestones) == pytest.approx(0.999995 ** (4950 * 391), rel=1e-9)


@pytest.mark.parametrize("scale", ["cpu", "tiny"])
def test_on_two_cores_it_is_small(scale: Any) -> None:
    recipe = PixelCnn().sized(scale, replace(TRAINING, epochs=12, augment=("flip",), dropout=0.3))
    assert recipe.training.epochs == {"cpu": 1, "tiny": 6}[scale]
    assert recipe.training.augment == () and recipe.training.dropout == 0
    for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32)):
        built = start(
            recipe, InSet(Images(shape, (0.5,) * shape[0], (0.2,) * shape[0]), 10), torch.zeros(0, dtype=torch.int64), 0
        ).net
        assert sum(weight.numel() for weight in built.parameters()) < 60_000


def test_the_row() -> None:
    assert ROW.name == "pixelcnn++"
    assert ROW.materials == frozenset() and ROW.tuning_access == "none"
