"""Invertible layers and Glow: they invert, their log-determinants are autograd's, and the scores are the formulas'."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.glow import METHODS, norm, shell
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.contract import LATENT, LOG_DENSITY
from oodbench.densities.glow import Glow, halvings
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.train import start
from oodbench.networks.flow import (
    LIMIT,
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    Chain,
    Convolution1x1,
    CouplingNet,
    Invertible,
    Split,
    Squeeze,
    bounded,
)
from oodbench.networks.glow import Code, GlowNet, Volume
from oodbench.training import TrainBatch, Training

CPU = torch.device("cpu")
SHAPES = ((1, 8, 8), (3, 8, 8))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(net: nn.Module, size: float = 0.2) -> nn.Module:
    """Return the net in float64, no weight as it is initialised: at first couplings and priors are constants."""
    net.double().eval()
    for seed, weight in enumerate(net.parameters()):
        weight.data += size * randn(*weight.shape, seed=seed)
    return net


def flow(shape: tuple[int, int, int] = (1, 8, 8), volume: Volume = "affine", levels: int = 2, size: float = 0.1):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = shaken(GlowNet(shape, levels=levels, depth=2, hidden=6, volume=volume), size)
    assert isinstance(net, GlowNet)
    return net


def flat(code: Code) -> Tensor:
    return torch.cat([e.flatten(1) for e in code.eps], dim=1)


def log_normal(eps: Tensor) -> Tensor:
    return -(eps**2 + math.log(2 * math.pi)).sum(dim=1) / 2


def log_det_of(f, x: Tensor) -> list[float]:
    """Return log|det| of autograd's Jacobian of f at each input alone."""
    found = []
    for one in x:
        J = jacobian(lambda v: f(v[None]).flatten(), one).flatten(1)
        found.append(float(torch.linalg.slogdet(J).logabsdet))
    return found


LAYERS: dict[str, tuple[Invertible, int]] = {
    "actnorm": (ActNorm(4), 4),
    "convolution": (Convolution1x1(4), 4),
    "squeeze": (Squeeze(), 4),
    "squeeze-grey": (Squeeze(), 1),
    "squeeze-colour": (Squeeze(), 3),
    "affine": (AffineCoupling(CouplingNet(2, 5, 4)), 4),
    "additive": (AdditiveCoupling(CouplingNet(2, 5, 2)), 4),
    "chain": (Chain([Squeeze(), ActNorm(8), Convolution1x1(8), AffineCoupling(CouplingNet(4, 5, 8))]), 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_invert_and_have_the_log_determinant_of_autograds_jacobian(name: str) -> None:
    layer, channels = LAYERS[name]
    shaken(layer)
    x = randn(3, channels, 4, 4, seed=9)
    with torch.no_grad():
        z, log_det = layer(x)
        np.testing.assert_allclose(layer.inverse(z), x, atol=1e-10)
    assert log_det.dtype == torch.float64
    assert log_det.shape == (3,)
    np.testing.assert_allclose(log_det, log_det_of(lambda v: layer(v)[0], x), atol=1e-9)


def test_actnorm_takes_codes_that_are_no_maps() -> None:
    layer = shaken(ActNorm(5))
    x = randn(3, 5)
    with torch.no_grad():
        z, log_det = layer(x)
        np.testing.assert_allclose(layer.inverse(z), x, atol=1e-12)
    np.testing.assert_allclose(log_det, log_det_of(lambda v: layer(v)[0], x), atol=1e-10)


def test_split_inverts_and_has_the_log_determinant_of_autograds_jacobian() -> None:
    split = shaken(Split(4))
    x = randn(3, 4, 4, 4, seed=9)
    with torch.no_grad():
        (kept, eps), log_det = split(x)
        np.testing.assert_allclose(split.inverse(kept, eps), x, atol=1e-10)
    np.testing.assert_allclose(log_det, log_det_of(lambda v: torch.cat(split(v)[0], dim=1), x), atol=1e-9)


def test_convolution_begins_as_a_rotation_and_its_log_determinant_does_not_underflow() -> None:
    layer = Convolution1x1(48)
    np.testing.assert_allclose((layer.weight @ layer.weight.T).detach(), np.eye(48), atol=1e-5)
    assert float(layer(torch.zeros(1, 48, 4, 4))[1].detach()) == pytest.approx(0, abs=1e-3)
    layer.weight.data *= 1e-2  # the determinant is 1e-96: 0 in float32
    assert float(layer(torch.zeros(1, 48, 4, 4))[1].detach()) == pytest.approx(16 * 48 * math.log(1e-2), rel=1e-6)


def test_affine_scale_is_the_sigmoid_of_h_plus_2() -> None:
    class Says(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x + 3, torch.full_like(x, 0.5)], dim=1)

    z, log_det = AffineCoupling(Says())(torch.tensor([[[[1.0]], [[2.0]]]]))
    s = 1 / (1 + math.exp(-(LIMIT * math.tanh(0.5 / LIMIT)) - 2))
    np.testing.assert_allclose(z.flatten(), [1, (2 + 4) * s], rtol=1e-6)
    assert float(log_det) == pytest.approx(math.log(s), rel=1e-6)


def test_log_scales_are_bounded_and_couplings_begin_as_constants() -> None:
    h = torch.tensor([-1e30, -1.0, 0.0, 1e-3, 1e30])
    np.testing.assert_allclose(bounded(h), [-LIMIT, LIMIT * math.tanh(-1 / LIMIT), 0, 1e-3, LIMIT], rtol=1e-5)
    assert not CouplingNet(2, 5, 4)(torch.randn(3, 2, 4, 4)).any()


def test_first_training_batch_initialises_actnorm_and_no_other_does() -> None:
    layer = ActNorm(3)
    x = 5 + 7 * torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    x[:, 2] = 1.5  # a channel that does not vary
    assert torch.equal(layer.eval()(x)[0], x)
    assert not layer.initialised
    z = layer.train()(x)[0].detach()
    np.testing.assert_allclose(z.mean(dim=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(z[:, :2].std(dim=(0, 2, 3), correction=0), 1, atol=1e-5)
    assert z.isfinite().all()
    again = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    layer(9 * x)
    assert all(torch.equal(tensor, again[name]) for name, tensor in layer.state_dict().items())
    assert again["initialised"]


# The whole flow.


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("volume", ["affine", "constant"])
def test_flow_inverts_and_its_code_has_the_log_determinant_of_autograds_jacobian(shape, volume: Volume) -> None:
    net = flow(shape, volume)
    y = rand(2, *shape)
    with torch.no_grad():
        code = net.encode(y)
        np.testing.assert_allclose(net.decode(code.eps), y, atol=1e-8)
    whitening = code.log_prior - log_normal(flat(code))
    assert flat(code).shape == (2, math.prod(shape))
    assert whitening.abs().min() > 1e-3
    np.testing.assert_allclose(code.log_det + whitening, log_det_of(lambda v: flat(net.encode(v)), y), atol=1e-7)


def test_trained_flow_inverts_in_float32() -> None:
    net = toy(Glow()).model.net
    y = rand(50, 1, 8, 8).float()
    with torch.no_grad():
        np.testing.assert_allclose(net.decode(net.encode(y).eps), y, atol=1e-4)


def test_log_density_by_loops() -> None:
    net = flow(levels=1)  # one level: the prior is that of each channel
    x = rand(3, 1, 8, 8)
    with torch.no_grad():
        z, log_det = net.levels[0]((255 * x + net.dequantise.u) / 256)
        log_prior, volume = net.parts(x)
        given = net.outputs(x, frozenset({LOG_DENSITY}))[LOG_DENSITY]
    mean, std = -net.top.bias.detach(), (-net.top.log_scale.detach()).exp()
    for i in range(3):
        total = 0.0
        for c in range(4):
            m, v = float(mean[c]), float(std[c])
            for value in z[i, c].flatten().tolist():
                total += -0.5 * ((value - m) / v) ** 2 - math.log(v) - 0.5 * math.log(2 * math.pi)
        assert float(log_prior[i]) == pytest.approx(total, rel=1e-10)
    assert torch.equal(volume, log_det)
    assert torch.equal(given, log_prior + volume)


def test_prior_of_what_is_split_off_is_a_normal_of_the_kept() -> None:
    net = flow()
    y = rand(2, 1, 8, 8)
    with torch.no_grad():
        code = net.encode(y)
        h = net.levels[0](y)[0]
        kept, aside = h.chunk(2, dim=1)
        mean, log_std = net.splits[0].net(kept).chunk(2, dim=1)
        v = (LIMIT * torch.tanh(log_std / LIMIT)).exp()
        finest = torch.distributions.Normal(mean, v).log_prob(aside).sum(dim=(1, 2, 3))
        top = torch.distributions.Normal(-net.top.bias.view(-1, 1, 1), (-net.top.log_scale).exp().view(-1, 1, 1))
        coarsest = top.log_prob(net.levels[1](kept)[0]).sum(dim=(1, 2, 3))
    np.testing.assert_allclose(code.log_prior, finest + coarsest, rtol=1e-10)


def test_constant_volume_is_the_same_for_all_inputs_and_affine_is_not() -> None:
    x = torch.cat([rand(4, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])
    with torch.no_grad():
        _, constant = flow(volume="constant").parts(x)
        _, affine = flow(volume="affine").parts(x)
    assert (constant == constant[0]).all()
    assert constant[0] != 0  # actnorms and convolutions still have one
    assert affine.std() > 1e-2 * affine.abs().mean()


@pytest.mark.parametrize("volume", ["affine", "constant"])
def test_noise_takes_8_bits_a_dimension_or_more_and_nothing_is_infinite(volume: Volume) -> None:
    net = toy(Glow(volume=volume)).model.net
    bits = {}
    for name, x in {
        "test": toy(Glow(volume=volume)).examples["test"].x,
        "uniform": rand(200, 1, 8, 8).float(),
        "checks": (torch.arange(64).view(1, 1, 8, 8) % 2).float(),
        "black": torch.zeros(1, 1, 8, 8),
        "white": torch.ones(1, 1, 8, 8),
    }.items():
        with torch.no_grad():
            bits[name] = bits_per_dim(net(x), (1, 8, 8))
        assert np.isfinite(bits[name]).all()
    assert bits["test"].mean() < 8 <= bits["uniform"].mean()
    assert max(b.max() for b in bits.values()) < 1e4


def test_float64_density_of_a_float32_flow_that_depends_on_each_input_alone() -> None:
    world = toy(Glow())
    x, net = world.examples["test"].x, world.model.net
    with torch.no_grad():
        given = net.outputs(x, frozenset({LOG_DENSITY, LATENT}))
        alone = torch.cat([net.outputs(one[None], frozenset())[LOG_DENSITY] for one in x[:9]])
    assert given[LOG_DENSITY].dtype == torch.float64
    assert given[LATENT].dtype == torch.float32
    np.testing.assert_allclose(alone, given[LOG_DENSITY][:9], rtol=1e-5)


def test_codes_of_training_inputs_are_about_standard_normal() -> None:
    eps = toy(Glow()).examples["train"].outputs[LATENT]
    assert float(eps.mean()) == pytest.approx(0, abs=0.2)
    assert float(eps.std()) == pytest.approx(1, abs=0.2)


# The scores.


def test_shell_and_norm_by_loops() -> None:
    latent = randn(6, 49, seed=3) * torch.tensor([0.0, 0.5, 1, 1, 2, 1e4])[:, None]
    outputs = Given({LATENT: latent})
    lengths = [math.sqrt(sum(v * v for v in row)) for row in latent.tolist()]
    np.testing.assert_allclose(shell(outputs), [-abs(length - 7) for length in lengths], rtol=1e-12)
    np.testing.assert_allclose(norm(outputs), [-length for length in lengths], rtol=1e-12)


def test_rows_share_two_trainings() -> None:
    glow, constant, *codes = (row.recipe.sized("tiny", TRAINING) for row in METHODS)
    assert {glow, *codes} == {glow}
    assert constant == replace(glow, volume="constant")
    for row in METHODS[:2]:
        given = torch.tensor([1.0, 2.0], dtype=torch.float64)
        assert torch.equal(row.detector.score((), Given({LOG_DENSITY: given})), given)


# The recipe.


def test_loss_is_bits_a_dimension_less_8() -> None:
    recipe, net = Glow(), flow()
    x = rand(5, 1, 8, 8)
    loss = recipe.loss(net, TrainBatch(x, torch.zeros(5).long(), torch.arange(5), 0, 0.0))
    with torch.no_grad():
        assert float(loss.detach()) == pytest.approx(float(bits_per_dim(net(x), (1, 8, 8)).mean()) - 8, rel=1e-9)


def test_sizes_at_each_scale() -> None:
    training = Training(network="resnet-small", epochs=12, augment=("flip",), precision="bfloat16")
    paper, cpu, tiny = (Glow().sized(scale, training) for scale in ("paper", "cpu", "tiny"))
    assert (paper.levels, paper.depth, paper.hidden, paper.training.epochs) == (3, 32, 512, 250)
    assert (cpu.levels, cpu.depth, cpu.hidden, cpu.training.epochs) == (2, 4, 32, 2)
    assert tiny.training.epochs == 9
    for recipe in (paper, cpu, tiny):
        how = recipe.training
        assert (how.augment, how.precision, how.weight_decay, how.clip) == ((), "float32", 0.0, 0.0)
    assert (paper.training.optimiser, paper.training.schedule, paper.training.lr) == ("adamax", "warmup", 1e-3)
    assert (cpu.training.optimiser, cpu.training.schedule, cpu.training.lr) == ("adam", "warmup-cosine", 4e-3)
    assert [halvings(side) for side in (7, 8, 28, 32)] == [0, 3, 2, 5]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)], ids=str)
def test_flow_is_built_for_every_shape_and_its_code_has_as_many_dimensions(shape) -> None:
    net = start(
        Glow(levels=3), replace(IN_SET, space=replace(IN_SET.images, shape=shape)), torch.zeros(0), 0
    ).net.eval()
    with torch.no_grad():
        given = net.outputs(torch.zeros(2, *shape), frozenset())
    assert given[LATENT].shape == (2, math.prod(shape))
    assert len(net.levels) == (2 if shape[1] == 28 else 3)


def test_killed_and_resumed_it_ends_with_the_same_bits(killed_and_resumed: Any) -> None:
    recipe = Glow(replace(Glow().sized("tiny", TRAINING).training, epochs=3), depth=1, hidden=4)
    data = blobs(64, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())
    assert whole["top.initialised"]
