"""Flow-GAN: two losses by loops, samples that the flow takes back, and what an adversary alone does to a density."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from given import Given
from oodbench.methods.flow_gan import METHODS
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blobs, toy
from oodbench.contract import LATENT, LOG_DENSITY
from oodbench.densities.flow_gan import FlowGan
from oodbench.densities.glow import Glow
from oodbench.detectors.densities import LIKELIHOOD
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.optimise import Mover
from oodbench.models.seeding import seeded
from oodbench.models.train import start
from oodbench.networks.flow_gan import Critic, FlowGanNet, slopes
from oodbench.networks.glow import GlowNet, code_shapes
from oodbench.training import TrainBatch, Training

CPU = torch.device("cpu")
ADVERSARIAL, WEAK, HYBRID, LIKELIHOOD_ALONE = (row.recipe for row in METHODS)
BOTH = pytest.mark.parametrize("recipe", [HYBRID, ADVERSARIAL], ids=["hybrid", "adversarial"])
SMALL = {"depth": 1, "hidden": 4, "width": 2}


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step(n: int = 5) -> TrainBatch:
    return TrainBatch(rand(n, 1, 8, 8), torch.zeros(n).long(), torch.arange(n), 0, 0.0)


def network(recipe: FlowGan = HYBRID) -> FlowGanNet:
    """Return a pair in float64 and evaluation mode, no weight as it is initialised."""
    net = start(replace(recipe, **SMALL), IN_SET, torch.zeros(0), 0).net.double().eval()
    assert isinstance(net, FlowGanNet)
    for seed, weight in enumerate(net.parameters()):
        weight.data += 0.1 * (rand(*weight.shape, seed=seed) - 0.5)
    return net


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# The losses.


def test_the_critics_loss_by_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = network(), step()
    y, fakes = net.flow.dequantise(batch.inputs), net.draw(5).detach()
    monkeypatch.setattr(net, "draw", lambda n: fakes)
    with seeded(0, "between"):
        got = HYBRID.judging(net, batch)
    with seeded(0, "between"):
        a = torch.rand(5, 1, 1, 1, dtype=torch.float64).flatten().tolist()
    steep = []
    for i in range(5):
        between = (a[i] * fakes[i] + (1 - a[i]) * y[i]).requires_grad_()
        (by_y,) = torch.autograd.grad(net.critic(between[None])[0], between)
        steep.append((math.sqrt(sum(v * v for v in by_y.flatten().tolist())) - 1) ** 2)
    said, of_fakes = (mean([net.critic(one[None]).item() for one in many]) for many in (y, fakes))
    assert got.item() == pytest.approx(of_fakes - said + 10 * mean(steep), rel=1e-10)


@pytest.mark.parametrize("lam", [0.0, 0.1, 1.0, 20.0])
def test_the_flows_loss_by_loops(lam: float, monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = network(), step()
    fakes = net.draw(5)
    monkeypatch.setattr(net, "draw", lambda n: fakes)
    deceit = mean([net.critic(one[None]).item() for one in fakes])
    log_p = mean([net.flow(one[None]).item() for one in batch.inputs])
    expected = (-deceit - lam * log_p) / lam / (64 * math.log(2)) if lam else -deceit
    assert FlowGan(lam=lam).loss(net, batch).item() == pytest.approx(expected, rel=1e-12)


def test_slopes_are_each_inputs_own_and_the_critic_learns_by_them() -> None:
    net, y = network(), rand(4, 1, 8, 8, seed=1)
    alone = torch.cat([slopes(net.critic, one[None]) for one in y])
    torch.testing.assert_close(slopes(net.critic, y), alone, rtol=1e-12, atol=0)
    slopes(net.critic, y).sum().backward()
    first = net.critic.body[0].weight
    before = first.grad.flatten()[0].item()
    delta = torch.zeros_like(first)
    delta.view(-1)[0] = 1e-6
    ends = []
    for sign in (1, -1):
        first.data += sign * delta
        ends.append(slopes(net.critic, y).sum().item())
        first.data -= sign * delta
    assert before == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def flow_gradient(loss: Tensor, flow: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(flow.parameters()))])


def test_for_large_lambda_it_is_glow() -> None:
    net, batch = network(), step()
    glow = flow_gradient(Glow().loss(net.flow, batch), net.flow)
    near = flow_gradient(FlowGan(lam=1e9).loss(net, batch), net.flow)
    alone = flow_gradient(LIKELIHOOD_ALONE.loss(net, batch), net.flow)
    far = flow_gradient(FlowGan(lam=1e-3).loss(net, batch), net.flow)
    torch.testing.assert_close(near, glow, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(alone, glow, rtol=1e-12, atol=0)
    assert torch.cosine_similarity(near, glow, dim=0) > 1 - 1e-9
    assert torch.cosine_similarity(far, glow, dim=0) < 0.99


# Samples.


@pytest.mark.parametrize("shape, levels", [((1, 8, 8), 1), ((1, 28, 28), 2), ((3, 32, 32), 3)], ids=str)
def test_codes_have_the_shapes_that_the_flow_sets_aside(shape, levels: int) -> None:
    flow = GlowNet(shape, levels=levels, depth=1, hidden=2, volume="affine").eval()
    with torch.no_grad():
        eps = flow.encode(torch.zeros(1, *shape)).eps
    assert code_shapes(shape, levels) == tuple(e.shape[1:] for e in eps)


def test_a_sample_is_the_decoded_code() -> None:
    net = network()
    with torch.no_grad(), seeded(0, "code"):
        y = net.draw(7)
    with seeded(0, "code"):
        expected = [torch.randn(7, *shape, dtype=torch.float64) for shape in net.flow.codes]
    with torch.no_grad():
        found = net.flow.encode(y).eps
    assert y.shape == (7, 1, 8, 8)
    for got, eps in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, eps, atol=1e-9)


@BOTH
def test_what_a_trained_flow_draws_it_takes_back(recipe: FlowGan) -> None:
    net = toy(recipe).model.net
    with torch.no_grad(), seeded(0, "samples"):
        y = net.draw(100)
        np.testing.assert_allclose(net.flow.decode(net.flow.encode(y).eps), y, atol=1e-4)
        assert y.mean() == pytest.approx(0.14, abs=0.1)  # the blobs' own


# Moves.


@BOTH
def test_the_first_batch_standardises_the_flow_before_it_draws(recipe: FlowGan) -> None:
    """No loss of the adversary alone ever shows the flow an image."""
    net, batch = start(recipe, IN_SET, torch.zeros(0), 0).net.double().train(), step(32)
    recipe.players(net)[0].loss(batch)
    assert all(buffer for name, buffer in net.named_buffers() if name.endswith("initialised"))
    with torch.no_grad(), seeded(0, "samples"):
        assert net.draw(500).mean() == pytest.approx(batch.inputs.mean().item(), abs=0.05)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    recipe.players(net)[0].loss(replace(batch, inputs=batch.inputs / 9))
    assert all(weight.equal(before[name]) for name, weight in net.state_dict().items())


@BOTH
@pytest.mark.parametrize("side", ["critic", "flow"])
def test_each_move_moves_only_its_own(recipe: FlowGan, side: str) -> None:
    net, batch = start(recipe, IN_SET, torch.zeros(0), 0).net.double().train(), step(32)
    net.meet(batch.inputs)
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    player = next(player for player in recipe.players(net) if player.name == side)
    for _ in range(2):  # the couplings' first layers have no gradient before their last, which begin as 0, have moved
        Mover(player, player.training or recipe.training).move(batch, step=1, steps=10)
    moved = {name for name, weight in net.named_parameters() if not weight.equal(before[name])}
    assert moved == {name for name in before if name.startswith(f"{side}.")}


def test_rows_differ_in_lambda_alone_and_without_an_adversary_no_critic_moves() -> None:
    net = network()
    assert {replace(row.recipe, lam=1) for row in METHODS} == {FlowGan()}
    for recipe in (ADVERSARIAL, WEAK, HYBRID):
        critic, again, flow = recipe.players(net)
        assert critic == again
        assert (critic.name, critic.training, flow.name) == ("critic", None, "flow")
        assert flow.training == replace(recipe.training, lr=0.25 * recipe.training.lr)
    assert [player.name for player in LIKELIHOOD_ALONE.players(net)] == ["flow"]


@BOTH
def test_killed_and_resumed_it_ends_with_the_same_bits(recipe: FlowGan, killed_and_resumed: Any) -> None:
    recipe = replace(recipe.sized("tiny", TRAINING), **SMALL)
    recipe = replace(recipe, training=replace(recipe.training, epochs=3))
    data = blobs(64, 0)
    resumed, whole = killed_and_resumed(recipe, data, IN_SET)
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())


# Scores.


@BOTH
def test_the_score_is_the_flows_log_density_and_the_critic_has_no_say(recipe: FlowGan) -> None:
    net, x = network(recipe), rand(6, 1, 8, 8, seed=4)
    with torch.no_grad():
        given = net.outputs(x, frozenset({LOG_DENSITY}))
        nn.init.zeros_(net.critic.body[0].weight)
        again = net.outputs(x, frozenset({LOG_DENSITY}))
        code = net.flow.encode((255 * x + net.flow.dequantise.u) / 256)
    score = LIKELIHOOD.score((), Given(given))
    assert score.equal(code.log_prior + code.log_det)
    assert score.equal(again[LOG_DENSITY])


@BOTH
def test_scores_are_finite_on_anything(recipe: FlowGan) -> None:
    net = toy(recipe).model.net
    x = torch.cat([rand(100, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)]).float()
    x = torch.cat([x, (torch.arange(64).view(1, 1, 8, 8) % 2).float()])
    with torch.no_grad():
        given = net.outputs(x, frozenset())
    assert given[LOG_DENSITY].isfinite().all()
    assert given[LOG_DENSITY].dtype == torch.float64
    assert given[LATENT].shape == (103, 64)


def test_an_adversary_alone_makes_a_worse_density() -> None:
    bits = {}
    for recipe in (HYBRID, ADVERSARIAL):
        given = toy(recipe).examples["test"].outputs[LOG_DENSITY]
        bits[recipe.lam] = bits_per_dim(given.numpy(), (1, 8, 8)).mean()
    assert bits[1.0] < 6.5
    assert bits[0.0] > bits[1.0] + 0.3


# Sizes.


def test_sizes_at_each_scale() -> None:
    training = Training(network="resnet-small", epochs=96, augment=("flip",), precision="bfloat16")
    for row in METHODS:
        paper, cpu, tiny = (row.recipe.sized(scale, training) for scale in ("paper", "cpu", "tiny"))
        assert (paper.training.epochs, paper.training.batch, paper.training.lr) == (500, 100, 1e-4)
        assert (paper.moves, paper.pace, paper.penalty, paper.lam) == (5, 1.0, 10.0, row.recipe.lam)
        assert (paper.levels, paper.depth, paper.hidden, paper.training.schedule) == (3, 32, 512, "constant")
        assert (cpu.levels, cpu.depth, cpu.hidden, cpu.moves) == (2, 3, 24, 2)
        assert (cpu.training.epochs, tiny.training.epochs) == (8, 36)
        assert row.recipe.sized("cpu", replace(training, epochs=8)).training.epochs == 1
        for recipe in (paper, cpu, tiny):
            how = recipe.training
            assert (how.augment, how.precision, how.optimiser, how.betas) == ((), "float32", "adam", (0.5, 0.9))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)], ids=str)
def test_every_shape_can_be_built(shape) -> None:
    net = start(HYBRID, replace(IN_SET, space=replace(IN_SET.images, shape=shape)), torch.zeros(0), 0).net.eval()
    with torch.no_grad():
        assert net.critic(net.draw(2)).shape == (2,)
        assert net.outputs(torch.zeros(2, *shape), frozenset())[LATENT].shape == (2, math.prod(shape))
    assert not [m for m in Critic(shape, 2).modules() if isinstance(m, nn.BatchNorm2d)]


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["flow-gan-0", "flow-gan-0.1", "flow-gan-1", "flow-gan-inf"]
    assert [row.recipe.lam for row in METHODS] == [0, 0.1, 1, "inf"]
    assert all(row.detector == LIKELIHOOD and row.tuning_access == "none" for row in METHODS)
