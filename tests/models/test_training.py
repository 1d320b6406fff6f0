"""The training loop: the same bits from the same seed, also when it was killed on the way."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, blobs
from oodbench.data.images import ArrayImages
from oodbench.errors import BadCheckpoint, Diverged
from oodbench.models import checkpoint, optimise
from oodbench.models.augment import flip
from oodbench.models.optimise import Mover, RunningMean, rate
from oodbench.models.seeding import generator, seeded, stream
from oodbench.models.train import batches, train
from oodbench.recipes import Plain
from oodbench.training import AUGMENTATIONS, Fit, Player, Training

CPU = torch.device("cpu")
IMAGES = blobs(96, 0)
SGD = Training(network="toy-cnn", epochs=4, batch=32, lr=0.05, dropout=0.2, augment=("flip", "shift2", "crop4"))
ADAM = dataclasses.replace(SGD, optimiser="adam", lr=0.01, schedule="cosine")
ADAMAX = dataclasses.replace(ADAM, optimiser="adamax", schedule="warmup")


class Killed(Exception):
    """What a kill looks like from inside."""


def trained(how: Training, seed: int = 0, **more: Any) -> nn.Module:
    return train(Plain(how), more.pop("images", IMAGES), IN_SET, seed, device=CPU, **more)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("how", [SGD, ADAM, ADAMAX], ids=["sgd", "adam", "adamax"])
def test_the_same_seed_gives_the_same_bits_whatever_ran_before(how: Training) -> None:
    first = bits(trained(how))
    torch.manual_seed(12345)
    torch.rand(7)
    assert bits(trained(how)) == first
    assert bits(trained(how, seed=1)) != first


def test_training_leaves_the_global_generators_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()  # type: ignore[index,union-attr]  # noqa: NPY002
    trained(SGD)
    assert torch.get_rng_state().equal(before[0])
    assert np.random.get_state()[1].tobytes() == before[1]  # type: ignore[index,union-attr]  # noqa: NPY002


def test_it_learns_and_comes_back_in_evaluation_mode() -> None:
    net = trained(Training(network="toy-cnn", epochs=12, batch=32, lr=0.05))
    assert not any(part.training for part in net.modules())
    with torch.no_grad():
        right = net(torch.from_numpy(IMAGES.batch(slice(None)))).argmax(1).numpy() == IMAGES.labels
    assert right.mean() > 0.95


@dataclasses.dataclass(eq=False)
class Slippery:
    """Images that are taken away in the middle of an epoch."""

    images: ArrayImages
    calls: int

    @property
    def shape(self) -> Any:
        return self.images.shape

    @property
    def labels(self) -> Any:
        return self.images.labels

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise Killed
        return self.images.batch(indices)


@pytest.mark.parametrize("how", [SGD, ADAM, ADAMAX], ids=["sgd", "adam", "adamax"])
@pytest.mark.parametrize("after", [1, 3])
def test_killed_after_an_epoch_and_resumed_it_ends_with_the_same_bits(
    tmp_path: Path, how: Training, after: int
) -> None:
    resume = tmp_path / "resume.safetensors"

    def killer(text: str, done: int, total: int) -> None:
        if done == after + 1:
            raise Killed

    with pytest.raises(Killed):
        trained(how, resume_from=resume, report=killer)
    assert checkpoint.load(resume)[1]["epoch"] == after
    told: list[int] = []
    resumed = trained(how, resume_from=resume, report=lambda text, done, total: told.append(done))
    assert told == list(range(after + 1, how.epochs + 1))
    assert bits(resumed) == bits(trained(how))


def test_killed_in_mid_epoch_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    resume = tmp_path / "resume.safetensors"
    for calls in (4, 2, 5):  # three steps an epoch: killed in the second, again in the second, then in the third
        with pytest.raises(Killed):
            trained(SGD, images=Slippery(IMAGES, calls), resume_from=resume)
    assert checkpoint.load(resume)[1]["epoch"] == 2
    assert bits(trained(SGD, resume_from=resume)) == bits(trained(SGD))


def test_resuming_another_network_is_refused(tmp_path: Path) -> None:
    resume = tmp_path / "resume.safetensors"
    checkpoint.save(resume, {"net.head.weight": torch.zeros(3, 9)}, {"epoch": 1, "numbers": []})
    with pytest.raises(BadCheckpoint, match=r"resume\.safetensors: weights of another architecture"):
        trained(SGD, resume_from=resume)


@pytest.mark.parametrize("how", [SGD, ADAM, ADAMAX], ids=["sgd", "adam", "adamax"])
def test_a_rate_that_is_far_too_high_is_told(how: Training) -> None:
    wild = dataclasses.replace(how, lr=1e30, schedule="constant", epochs=20)
    told = r"loss (nan|inf) of the \w+ in epoch \d+, step \d; learning rate 1e\+30 may be too high"
    with pytest.raises(Diverged, match=told):
        trained(wild)


def test_half_precision_is_for_training_only() -> None:
    net = trained(dataclasses.replace(SGD, precision="bfloat16"))
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}
    assert net(torch.rand(2, 1, 8, 8)).dtype == torch.float32
    assert bits(net) != bits(trained(SGD))


# Learning rates.


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("constant", {0: 0.1, 500: 0.1, 999: 0.1}),
        ("step", {0: 0.1, 499: 0.1, 500: 0.01, 749: 0.01, 750: 0.001, 999: 0.001}),
        ("cosine", {0: 0.1, 250: 0.1 * (1 + 2**-0.5) / 2, 500: 0.05, 1000: 1e-6}),
        ("warmup", {0: 0.001, 1: 0.0025, 20: 0.05, 40: 0.1, 999: 0.1}),
        ("warmup-cosine", {0: 0.001, 20: 0.05, 40: 0.1, 520: 0.0505, 1000: 0.001}),
        ("onecycle", {0: 0.004, 150: 0.052, 300: 0.1, 650: 0.05, 1000: 0.1 / 250_000}),
    ],
)
def test_schedules_take_their_closed_values(schedule: Any, values: dict[int, float]) -> None:
    how = Training(network="toy-cnn", epochs=1, lr=0.1, schedule=schedule, milestones=(0.5, 0.75), gamma=0.1)
    for step, value in values.items():
        assert rate(how, step, 1000) == pytest.approx(value, rel=1e-4, abs=1e-6), step


def test_every_step_has_the_rate_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    real = optimise.set_rate

    def noted(optimiser: torch.optim.Optimizer, lr: float) -> None:
        real(optimiser, lr)
        used.append(optimiser.param_groups[0]["lr"])

    monkeypatch.setattr(optimise, "set_rate", noted)
    trained(SGD)
    assert used == [rate(SGD, step, 12) for step in range(12)]


def test_the_bell_rises_and_falls_as_a_gaussian() -> None:
    """Laine 2017: exp(-5 (1 - e/80)^2) up to epoch 80 of 300, exp(-(0.5 e)^2 / 50) in the last 50, e from 0 to 50."""
    how = Training(network="toy-cnn", epochs=300, lr=0.003, schedule="bell")
    for epoch in (0, 10, 40, 79):
        assert rate(how, epoch, 300) == pytest.approx(0.003 * math.exp(-5 * (1 - epoch / 80) ** 2), rel=1e-9)
    assert rate(how, 80, 300) == rate(how, 165, 300) == rate(how, 250, 300) == 0.003
    for e in (1, 25, 49):
        assert rate(how, 250 + e, 300) == pytest.approx(0.003 * math.exp(-((0.5 * e) ** 2) / 50), rel=1e-9)


def test_the_gradient_s_norm_is_clipped() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    batch = next(batches(IMAGES, SGD, 0, 0, CPU))
    gradient = torch.tensor([6.0, 8.0])
    for clip, step in ((0.0, [6.0, 8.0]), (1.0, [0.6, 0.8]), (100.0, [6.0, 8.0])):
        weight.data = torch.tensor([3.0, 4.0])
        how = dataclasses.replace(SGD, lr=1.0, clip=clip, schedule="constant", weight_decay=0.0, nesterov=False)
        Mover(Player("one", (weight,), lambda _: (weight * gradient).sum()), how).move(batch, 0, 1)
        assert weight.tolist() == pytest.approx([3 - step[0], 4 - step[1]], rel=1e-5)


def test_the_running_mean_is_the_weighted_mean_of_what_stood_after_each_step() -> None:
    net = nn.Linear(2, 1, bias=False)
    mean = RunningMean(net, 0.9)
    values = [[1.0, 2.0], [5.0, -1.0], [0.5, 0.25]]
    for value in values:
        net.weight.data = torch.tensor([value])
        mean.update()
    by = np.array([0.9 ** (2 - i) for i in range(3)])
    mean.settle()
    assert net.weight.tolist()[0] == pytest.approx(by @ np.array(values) / by.sum(), rel=1e-6)


def test_averaged_training_also_ends_with_the_same_bits_after_a_kill(tmp_path: Path) -> None:
    how = dataclasses.replace(ADAM, average=0.9, clip=1.0)
    resume = tmp_path / "resume.safetensors"

    def killer(text: str, done: int, total: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        trained(how, resume_from=resume, report=killer)
    assert bits(trained(how, resume_from=resume)) == bits(trained(how)) != bits(trained(ADAM))


@dataclasses.dataclass(frozen=True)
class Counting(Plain):
    """Counts the training images once the weights are final."""

    def start(self, *of: Any) -> Fit:
        fit = super().start(*of)
        fit.net.register_buffer("seen", torch.zeros(0, dtype=torch.int64))

        def finish(batches: Any) -> None:
            seen = [batch.index for batch in batches if torch.equal(batch.inputs, pixels(batch.index))]
            fit.net.seen = torch.cat(seen)  # type: ignore[assignment]

        return dataclasses.replace(fit, finish=finish)


def pixels(index: Tensor) -> Tensor:
    return torch.from_numpy(IMAGES.batch(index.numpy()))


def test_a_recipe_looks_at_the_plain_images_once_its_weights_are_final() -> None:
    net = train(Counting(SGD), IMAGES, IN_SET, 0, device=CPU)
    assert net.seen.tolist() == list(range(96))  # type: ignore[union-attr,operator]


# Batches and augmentations.


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    how = Training(network="toy-cnn", epochs=2, batch=40)
    orders = []
    for epoch in (0, 1, 0):
        parts = list(batches(IMAGES, how, 0, epoch, CPU))
        assert [len(part.inputs) for part in parts] == [40, 40, 16]
        assert [part.progress for part in parts] == [(epoch + done / 96) / 2 for done in (0, 40, 80)]
        x, y, index = (torch.cat([getattr(p, name) for p in parts]) for name in ("inputs", "labels", "index"))
        assert sorted(index.tolist()) == list(range(96))
        assert x.numpy().tobytes() == IMAGES.batch(index.numpy()).tobytes()
        assert (y.numpy() == IMAGES.labels[index.numpy()]).all()  # type: ignore[index]
        orders.append(index.tolist())
    assert orders[0] == orders[2] != orders[1]


def test_outliers_stand_beside_each_batch_in_order_from_a_random_place() -> None:
    how = Training(network="toy-cnn", epochs=2, batch=40, outlier_ratio=2)
    outliers = IMAGES.take(slice(0, 70))
    places = []
    for epoch in (0, 1, 0):
        parts = list(batches(IMAGES, how, 0, epoch, CPU, outliers))
        assert [len(part.outliers) for part in parts] == [80, 80, 32]  # type: ignore[arg-type]
        seen = torch.cat([part.outliers for part in parts])  # type: ignore[misc]
        first = next(i for i in range(70) if torch.equal(torch.from_numpy(outliers.batch(slice(i, i + 1)))[0], seen[0]))
        expected = outliers.batch((first + np.arange(192)) % 70)
        assert seen.numpy().tobytes() == expected.tobytes()
        places.append(first)
    assert places[0] == places[2] != places[1]


def chance(seed: int = 0) -> torch.Generator:
    return generator(seed, "test")


def test_flip_mirrors_about_half_of_the_images_left_to_right() -> None:
    x = torch.rand(1000, 2, 3, 5)
    flipped = flip(x, chance())
    kept = (flipped == x).flatten(1).all(1)
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert 430 < int(mirrored.sum()) < 570


@pytest.mark.parametrize(("move", "by"), [("shift2", 2), ("crop4", 4)])
def test_a_shift_moves_each_image_by_its_own_offset_and_zeros_move_in(move: str, by: int) -> None:
    x = torch.rand(600, 2, 7, 6) + 0.1
    moved = AUGMENTATIONS.find(move)(x, chance())
    offsets = [(down, right) for down in range(-by, by + 1) for right in range(-by, by + 1)]
    fits = torch.stack([(moved == translated(x, *offset)).flatten(1).all(1) for offset in offsets])
    assert (fits.sum(0) == 1).all()  # one offset for each image
    assert fits.any(1).all()  # an image for each offset


def translated(x: Tensor, down: int, right: int) -> Tensor:
    """Naively, a pixel at a time."""
    h, w = x.shape[2:]
    out = torch.zeros_like(x)
    for i in range(h):
        for j in range(w):
            if 0 <= i - down < h and 0 <= j - right < w:
                out[:, :, i, j] = x[:, :, i - down, j - right]
    return out


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_augmentations_are_a_function_of_their_generator(name: str) -> None:
    x = torch.rand(64, 1, 8, 8)
    augment: Callable[[Tensor, torch.Generator], Tensor] = AUGMENTATIONS.find(name)
    before = x.clone()
    assert augment(x, chance()).equal(augment(x, chance()))
    assert not augment(x, chance()).equal(augment(x, chance(1)))
    assert x.equal(before)


# Streams.


def test_streams_are_apart_by_seed_and_by_name() -> None:
    names = [(0, "order", 0), (0, "order", 1), (1, "order", 0), (0, "augment", 0), (0, "order")]
    assert len({stream(*name) for name in names}) == len(names)
    assert stream(0, "order", 0) == stream(0, "order", 0)
    with seeded(3, "a"):
        first = torch.rand(2)
    with seeded(3, "a"):
        assert torch.rand(2).equal(first)
