"""The one training loop, for any recipe: progress, a checkpoint after each epoch, resume, a stop on divergence.

Everything random is drawn from streams named by (seed, epoch), so that a run resumed after a kill is bit-equal, on one
device, to one that was left alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from oodbench.contract import Game, MadeOfOthers, Player, Prepared, Recipe, Settled, Shape, TrainBatch, Training
from oodbench.errors import Diverged
from oodbench.models import checkpoint
from oodbench.models.optimise import Mover, RunningMean
from oodbench.models.seeding import generator, seeded

Report = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much there is."""


def silent(text: str, done: int, total: int) -> None:
    """Report nothing."""


class Pixels(Protocol):
    """A set of training images: `batch(indices)` returns float32 pixels in [0, 1], `labels` their classes."""

    @property
    def shape(self) -> Shape: ...  # noqa: D102

    @property
    def labels(self) -> np.ndarray | None: ...  # noqa: D102

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Classes:
    """What a network must know of its in-set: how many classes, and what to standardise by."""

    count: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def build(recipe: Recipe, shape: Shape, classes: Classes, seed: int) -> nn.Module:
    """Return a freshly initialised model."""
    with seeded(seed, "initialise"):
        return recipe.build(shape, classes.count, classes.mean, classes.std)


def train(
    recipe: Recipe,
    images: Pixels,
    classes: Classes,
    seed: int,
    *,
    device: torch.device,
    outliers: Pixels | None = None,
    parts: Sequence[nn.Module] = (),
    resume_from: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    """Return a model trained by a recipe, in evaluation mode.

    Args:
        recipe: What to build and minimise.
        images: The training split.
        classes: Of the in-set.
        seed: Names every random stream.
        device: Where to train.
        outliers: Auxiliary outliers, for a recipe that wants them.
        parts: Trained models, for a recipe that is made of others.
        resume_from: A file that is written after each epoch and, where it exists, is gone on from.
        report: Told of each epoch.

    Raises:
        Diverged: the loss is no longer finite.
        BadCheckpoint: `resume_from` belongs to another architecture or is broken.
    """
    how = recipe.training
    net = blank(recipe, images, classes, seed)
    if isinstance(recipe, MadeOfOthers):
        recipe.assemble(net, tuple(parts))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    players = recipe.players(net) if isinstance(recipe, Game) else (_alone(recipe, net),)
    movers = [Mover(player, player.training or how) for player in players]
    optimisers = [mover.optimiser for mover in movers]
    mean = RunningMean(net, how.average)
    start = _resume(net, mean, optimisers, resume_from) if resume_from and resume_from.exists() else 0
    steps = math.ceil(len(images) / how.batch)
    for epoch in range(start, how.epochs):
        net.train()
        total = 0.0
        with seeded(seed, "epoch", epoch):
            for step, batch in enumerate(batches(images, how, seed, epoch, device, outliers)):
                for mover in movers:
                    loss = mover.move(batch, epoch * steps + step, how.epochs * steps)
                    if not math.isfinite(loss):
                        raise Diverged(
                            f"training diverged: loss {loss} of the {mover.player.name} in epoch {epoch + 1}, "
                            f"step {step + 1}; learning rate {mover.rate:.4g} may be too high"
                        )
                    total += loss
                mean.update()
        report(f"loss {total / steps:.3f}", epoch + 1, how.epochs)
        if resume_from and epoch + 1 < how.epochs:
            _save(net, mean, optimisers, epoch + 1, resume_from)
    mean.settle()
    if isinstance(recipe, Settled):
        with seeded(seed, "settle"):
            recipe.settle(net, in_order(images, how, device))
    return net.eval()


def blank(recipe: Recipe, images: Pixels, classes: Classes, seed: int) -> nn.Module:
    """Return a freshly initialised model with all its buffers: what weights are loaded into."""
    net = build(recipe, images.shape, classes, seed)
    if isinstance(recipe, Prepared):
        recipe.prepare(net, torch.from_numpy(_labels(images)), classes.count, seed)
    return net


def _alone(recipe: Recipe, net: nn.Module) -> Player:
    return Player("network", tuple(net.parameters()), partial(recipe.loss, net))


def in_order(images: Pixels, how: Training, device: torch.device) -> Iterator[TrainBatch]:
    """Yield the training split once, as it is."""
    labels = _labels(images)
    for index in torch.split(torch.arange(len(images)), how.batch):
        x = torch.from_numpy(images.batch(index.numpy())).to(device, memory_format=torch.channels_last)
        yield TrainBatch(x, torch.from_numpy(labels[index.numpy()]).to(device), index.to(device), how.epochs, 1.0)


def batches(
    images: Pixels, how: Training, seed: int, epoch: int, device: torch.device, outliers: Pixels | None = None
) -> Iterator[TrainBatch]:
    """Yield the steps of one epoch, shuffled and augmented by streams of (seed, epoch).

    Outliers come in order from a random place, as Hendrycks 2019 draws them, and are augmented as the inputs are.
    """
    order = torch.randperm(len(images), generator=generator(seed, "order", epoch))
    chance = generator(seed, "augment", epoch)
    begin = int(torch.randint(len(outliers), (), generator=generator(seed, "outliers", epoch))) if outliers else 0
    labels = _labels(images)
    for done, index in zip(range(0, len(images), how.batch), torch.split(order, how.batch), strict=True):
        x = _augmented(images, index, how, chance)
        y = torch.from_numpy(labels[index.numpy()])
        progress = (epoch + done / len(images)) / how.epochs
        beside = None
        if outliers is not None:
            places = begin + done * how.outlier_ratio + torch.arange(len(index) * how.outlier_ratio)
            beside = _augmented(outliers, places % len(outliers), how, chance)
            beside = beside.to(device, memory_format=torch.channels_last)
        x = x.to(device, memory_format=torch.channels_last)
        yield TrainBatch(x, y.to(device), index.to(device), epoch, progress, beside)


def _augmented(images: Pixels, index: Tensor, how: Training, chance: torch.Generator) -> Tensor:
    x = torch.from_numpy(images.batch(index.numpy()))
    for name in how.augment:
        x = AUGMENTATIONS[name](x, chance)
    return x


def _labels(images: Pixels) -> np.ndarray:
    return images.labels if images.labels is not None else np.zeros(len(images), dtype=np.int64)


def flip(x: Tensor, chance: torch.Generator) -> Tensor:
    """Mirror each image on its width with probability one half."""
    mirrored = torch.rand(len(x), generator=chance) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)


def shift(x: Tensor, chance: torch.Generator, by: int) -> Tensor:
    """Translate each image by up to `by` pixels on each axis, zeros moving in."""
    n, _, h, w = x.shape
    rows = torch.randint(0, 2 * by + 1, (n, 1), generator=chance) + torch.arange(h)
    columns = torch.randint(0, 2 * by + 1, (n, 1), generator=chance) + torch.arange(w)
    padded = pad(x, (by, by, by, by))
    return padded[
        torch.arange(n)[:, None, None, None],
        torch.arange(x.shape[1])[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "flip": flip,
    "crop4": lambda x, chance: shift(x, chance, 4),
    "shift2": lambda x, chance: shift(x, chance, 2),
}


def _save(
    net: nn.Module, mean: RunningMean, optimisers: Sequence[torch.optim.Optimizer], epoch: int, path: Path
) -> None:
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors |= {f"mean.{name}": tensor for name, tensor in mean.weights.items()}
    numbers: list[tuple[str, object]] = []
    for place, optimiser in enumerate(optimisers):
        slots, more = checkpoint.pack(optimiser.state_dict(), f"optimiser{place}")
        tensors |= slots
        numbers += more
    checkpoint.save(path, tensors, {"epoch": epoch, "numbers": numbers, "averaged": mean.steps})


def _resume(net: nn.Module, mean: RunningMean, optimisers: Sequence[torch.optim.Optimizer], path: Path) -> int:
    tensors, meta = checkpoint.load(path)
    weights = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    checkpoint.restore(net, weights, str(path))
    for name in mean.weights:
        mean.weights[name].copy_(tensors[f"mean.{name}"])
    mean.steps = int(meta["averaged"])
    for place, optimiser in enumerate(optimisers):
        checkpoint.unpack(optimiser, tensors, meta["numbers"], f"optimiser{place}")
    return int(meta["epoch"])
