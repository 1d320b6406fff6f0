"""The confidence-calibrating GAN: three losses by hand, three sets of weights, one training."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from oodbench.methods.gan_confidence import METHODS, GanConfidence, divergence
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, blends, blobs
from oodbench.contract import FEATURES, LAYERS, LOGITS
from oodbench.errors import Diverged
from oodbench.models import checkpoint
from oodbench.models.optimise import Mover
from oodbench.models.seeding import seeded
from oodbench.models.train import start, train
from oodbench.networks.dcgan import Discriminator, Generator, Trio
from oodbench.recipes import Plain
from oodbench.spaces import Images
from oodbench.training import InSet, Player, TrainBatch, Training

CPU = torch.device("cpu")
IMAGES, OUTLIERS = blobs(96, 0), blends(70, 1)
HOW = Training(network="toy-cnn", epochs=3, batch=32, lr=0.05, dropout=0.2)
RECIPES = tuple(row.recipe.sized("tiny", HOW) for row in METHODS)
BOTH = pytest.mark.parametrize("recipe", RECIPES, ids=["alone", "outliers"])


def trio(recipe: Any, seed: int = 0) -> Trio:
    with seeded(seed, "test"):
        return start(
            recipe, InSet(Images((1, 8, 8), (0.15,), (0.25,)), 3), torch.zeros(0, dtype=torch.int64), 0
        ).net.train()


def step(recipe: Any, n: int = 16) -> TrainBatch:
    chance = torch.Generator().manual_seed(5)
    outliers = torch.rand(n, 1, 8, 8, generator=chance) if recipe.wants else None
    return TrainBatch(torch.rand(n, 1, 8, 8, generator=chance), torch.arange(n) % 3, torch.arange(n), 0, 0.0, outliers)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in net.state_dict().items()}


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# Losses.


def kl(logits: Tensor) -> float:
    """The mean of KL(U || p), a probability at a time."""
    rows = logits.double().softmax(dim=1).tolist()
    return mean([sum(math.log(1 / len(p) / q) / len(p) for q in p) for p in rows])


@BOTH
def test_the_losses_are_the_papers_sums(recipe: GanConfidence, monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = trio(recipe).double(), step(recipe)
    batch = replace(
        batch,
        inputs=batch.inputs.double(),
        outliers=None if batch.outliers is None else batch.outliers.double(),
    )
    net.classifier.eval()  # so that a second look shows the same
    fakes = net.generator.draw(len(batch.inputs))
    monkeypatch.setattr(net.generator, "draw", lambda n: fakes)
    real, fake = (net.discriminator(x).tolist() for x in (batch.inputs, fakes))
    z, z_fake = net(batch.inputs), net(fakes)
    discriminating = mean([-math.log(sigmoid(t)) for t in real]) + mean([-math.log(1 - sigmoid(t)) for t in fake])
    generating = mean([-math.log(sigmoid(t)) for t in fake]) + recipe.beta * kl(z_fake)
    p = z.softmax(dim=1).tolist()
    judging = mean([-math.log(row[y]) for row, y in zip(p, batch.labels.tolist(), strict=True)])
    judging += recipe.beta * kl(z_fake)
    if batch.outliers is not None:
        judging += recipe.lam * (kl(net(batch.outliers)) + math.log(3))
    expected = discriminating, generating, judging
    assert [player.loss(batch).item() for player in recipe.players(net)] == pytest.approx(expected, rel=1e-12)


def test_the_divergence_from_uniform_is_h_less_log_c() -> None:
    z = 3 * torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    assert divergence(z).item() == pytest.approx(kl(z), rel=1e-5)
    uniform = torch.full((20,), 1 / 7).repeat(7, 1).T
    independent = nn.functional.kl_div(z.log_softmax(dim=1), uniform, reduction="batchmean")
    torch.testing.assert_close(divergence(z), independent)
    assert divergence(torch.full((4, 7), 2.5)).item() == pytest.approx(0, abs=1e-6)


@BOTH
def test_the_classifier_sees_inputs_fakes_and_outliers_in_one_pass(recipe: GanConfidence) -> None:
    net, batch = trio(recipe), step(recipe)
    seen: list[int] = []
    net.classifier.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    recipe.loss(net, batch)
    assert seen == [16 * (3 if recipe.wants else 2)]


# Moves.


@BOTH
@pytest.mark.parametrize("mover", [0, 1, 2], ids=["discriminator", "generator", "classifier"])
def test_each_move_moves_only_its_own(recipe: GanConfidence, mover: int) -> None:
    """Running statistics are among what does not move."""
    net, batch = trio(recipe), step(recipe)
    before = bits(net)
    player = recipe.players(net)[mover]
    Mover(player, player.training or recipe.training).move(batch, step=1, steps=10)
    moved = {name for name, value in bits(net).items() if value != before[name]}
    side = ("discriminator", "generator", "classifier")[mover]
    assert {name for name in moved if not name.startswith(f"{side}.")} == set()
    own = {name for name, _ in net.named_parameters() if name.startswith(f"{side}.")}
    assert own <= moved
    assert all(part.training for part in net.modules())


@BOTH
def test_the_players_share_all_weights_between_them(recipe: GanConfidence) -> None:
    net = trio(recipe)
    weights = [id(weight) for player in recipe.players(net) for weight in player.weights]
    assert sorted(weights) == sorted(id(weight) for weight in net.parameters())


def test_a_generator_alone_learns_to_fool_and_to_be_doubted() -> None:
    recipe = replace(RECIPES[0], beta=1.0)
    net, batch = trio(recipe), step(recipe)
    generator = recipe.players(net)[1]
    alone = Mover(generator, replace(recipe.training, lr=0.01, schedule="constant"))
    losses = [alone.move(batch, i, 40) for i in range(40)]
    assert losses[-1] < losses[0]


# Training.


def trained(recipe: Any, **more: Any) -> nn.Module:
    outliers = OUTLIERS if recipe.wants else None
    return train(recipe, IMAGES, IN_SET, 0, device=CPU, outliers=outliers, **more)


@BOTH
def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, recipe: GanConfidence) -> None:
    resume = tmp_path / "resume.safetensors"

    def killer(text: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(recipe, resume_from=resume, report=killer)
    tensors, meta = checkpoint.load(resume)
    assert meta["epoch"] == 1
    assert {name.split(".")[0] for name in tensors} == {"net", "optimiser0", "optimiser1", "optimiser2"}
    assert bits(trained(recipe, resume_from=resume)) == bits(trained(recipe))


@BOTH
@pytest.mark.parametrize("mover", [0, 1, 2], ids=["discriminator", "generator", "classifier"])
def test_one_player_that_diverges_stops_all(recipe: GanConfidence, mover: int, monkeypatch: pytest.MonkeyPatch) -> None:
    players, side = GanConfidence.players, ("discriminator", "generator", "classifier")[mover]

    def spoilt(self: GanConfidence, net: nn.Module) -> tuple[Player, ...]:
        found = list(players(self, net))
        loss = found[mover].loss
        found[mover] = found[mover]._replace(loss=lambda batch: loss(batch) * (math.inf if batch.epoch else 1))
        return tuple(found)

    monkeypatch.setattr(GanConfidence, "players", spoilt)
    with pytest.raises(Diverged, match=f"training diverged: loss inf of the {side} in epoch 2, step 1; learning rate"):
        trained(recipe)


@BOTH
def test_a_rate_that_is_far_too_high_is_told(recipe: GanConfidence) -> None:
    with pytest.raises(Diverged, match=r"loss (nan|inf) of the \w+ in epoch \d+, step \d; learning rate 1e\+30"):
        trained(replace(recipe, training=replace(recipe.training, lr=1e30, schedule="constant", epochs=20)))


@BOTH
def test_what_is_shown_is_the_classifiers(recipe: GanConfidence) -> None:
    net = trained(recipe)
    x = torch.from_numpy(IMAGES.batch(slice(0, 5)))
    wanted = frozenset({LOGITS, FEATURES, LAYERS})
    with torch.no_grad():
        given = net.outputs(x, wanted)
        assert given[LOGITS].equal(net(x))
        assert (given[FEATURES] @ net.head.weight.T + net.head.bias).allclose(given[LOGITS], atol=1e-6)
    state = torch.get_rng_state()
    assert net.outputs(x, wanted)[LOGITS].equal(given[LOGITS])
    assert torch.get_rng_state().equal(state), "a look draws nothing"


# The pair.


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (2, 9, 13), (1, 5, 4)])
def test_the_pair_fits_images_of_any_shape(shape: tuple[int, int, int]) -> None:
    generator, discriminator = Generator(shape, latent=7, width=2), Discriminator(shape, width=2)
    fakes = generator.draw(3)
    assert fakes.shape == (3, *shape)
    assert fakes.min() >= 0 and fakes.max() <= 1
    assert discriminator(fakes).shape == (3,)
    assert not [name for pair in (generator, discriminator) for name, _ in pair.named_buffers()]


def test_at_32_pixels_it_has_the_layers_of_the_authors_code() -> None:
    shapes = [tuple(w.shape) for w in Generator((3, 32, 32), 100, 64).parameters() if w.ndim == 4]
    assert shapes == [(100, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4)]
    shapes = [tuple(w.shape) for w in Discriminator((3, 32, 32), 64).parameters() if w.ndim == 4]
    assert shapes == [(128, 3, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)]


# Sizes.


def test_paper_scale_is_the_authors_code() -> None:
    recipe = GanConfidence().sized("paper", replace(HOW, epochs=200))
    how = recipe.training
    assert (how.optimiser, how.lr, how.epochs, how.weight_decay) == ("adam", 2e-4, 100, 0)
    assert (how.schedule, how.milestones, how.gamma, how.network) == ("step", (0.6,), 0.1, "toy-cnn")
    assert (recipe.beta, recipe.latent, recipe.width) == (0.1, 100, 64)


def test_on_two_cores_it_is_short() -> None:
    long = replace(HOW, epochs=8)
    assert [GanConfidence().sized(scale, long).training.epochs for scale in ("cpu", "tiny")] == [4, 8]


def test_as_much_comes_from_outside_as_in_outlier_exposure() -> None:
    assert {GanConfidence(lam=0.5).sized(scale, HOW).training.outlier_ratio for scale in ("paper", "cpu", "tiny")} == {
        1
    }


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["gan-confidence", "gan-confidence-oe"]
    assert [row.materials for row in METHODS] == [set(), {"outliers"}]
    assert [row.tuning_access for row in METHODS] == ["none", "none"]
    assert GanConfidence.provides == Plain.provides
