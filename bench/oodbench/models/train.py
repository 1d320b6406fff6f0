"""The one training loop, for any recipe: progress, a checkpoint after each epoch, resume, a stop on divergence.

Everything random is drawn from streams named by (seed, epoch), so that a run resumed after a kill is bit-equal, on one
device, to one that was left alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.errors import BadSetting, Diverged
from oodbench.models import checkpoint
from oodbench.models.optimise import Mover, RunningMean
from oodbench.models.seeding import generator, seeded
from oodbench.training import AUGMENTATIONS, Fit, InSet, Recipe, TrainBatch, Training

Report = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much there is."""


def silent(text: str, done: int, total: int) -> None:
    """Report nothing."""


class Examples(Protocol):
    """A set to train on: `batch(indices)` returns float32 pixels in [0, 1] or ids of tokens, `labels` their classes."""

    @property
    def labels(self) -> np.ndarray | None: ...  # noqa: D102

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> np.ndarray: ...  # noqa: D102


def start(recipe: Recipe, in_set: InSet, labels: Tensor, seed: int, parts: Sequence[nn.Module] = ()) -> Fit:
    """Return a freshly initialised model and how it is trained; without its parts, what weights are loaded into.

        start(Plain(), InSet(Images((1, 28, 28), (0.29,), (0.35,)), classes=10), labels, seed=0).net

    Args:
        recipe: What to build.
        in_set: What it is trained on.
        labels: Classes of the training split [N].
        seed: Names every random stream.
        parts: Trained models, for a recipe that begins from others.

    Raises:
        BadSetting: The recipe refuses such inputs.
    """
    if refusal := recipe.refuses(in_set.space):
        raise BadSetting(refusal)
    with seeded(seed, "initialise"):
        return recipe.start(in_set, tuple(parts), labels, seed)


def train(
    recipe: Recipe,
    images: Examples,
    in_set: InSet,
    seed: int,
    *,
    device: torch.device,
    outliers: Examples | None = None,
    parts: Sequence[nn.Module] = (),
    resume_from: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    """Return a model trained by a recipe, in evaluation mode.

    Args:
        recipe: What to build and minimise.
        images: The training split.
        in_set: What its network must know of them.
        seed: Names every random stream.
        device: Where to train.
        outliers: Auxiliary outliers, for a recipe that wants them.
        parts: Trained models, for a recipe that begins from others.
        resume_from: A file that is written after each epoch and, where it exists, is gone on from.
        report: Told of each epoch.

    Raises:
        Diverged: the loss is no longer finite.
        BadCheckpoint: `resume_from` belongs to another architecture or is broken.
    """
    if (model := recipe.given()) is not None:
        raise BadSetting(f"{model.name} is a given model, whose weights are loaded; there is nothing to train")
    how = recipe.training
    fit = start(recipe, in_set, labels_of(images), seed, parts)
    net = fit.net
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    movers = [Mover(player, player.training or how) for player in fit.players]
    optimisers = [mover.optimiser for mover in movers]
    mean = RunningMean(net, how.average)
    done = _resume(net, mean, optimisers, resume_from) if resume_from and resume_from.exists() else 0
    steps = math.ceil(len(images) / how.batch)
    for epoch in range(done, how.epochs):
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
    with seeded(seed, "settle"):
        fit.finish(in_order(images, how, device))
    return net.eval()


def in_order(images: Examples, how: Training, device: torch.device) -> Iterator[TrainBatch]:
    """Yield the training split once, as it is."""
    labels = labels_of(images)
    for index in torch.split(torch.arange(len(images)), how.batch):
        x = placed(torch.from_numpy(images.batch(index.numpy())), device)
        yield TrainBatch(x, labels[index].to(device), index.to(device), how.epochs, 1.0)


def batches(
    images: Examples, how: Training, seed: int, epoch: int, device: torch.device, outliers: Examples | None = None
) -> Iterator[TrainBatch]:
    """Yield the steps of one epoch, shuffled and augmented by streams of (seed, epoch).

    Outliers come in order from a random place, as Hendrycks 2019 draws them, and are augmented as the inputs are.
    """
    order = torch.randperm(len(images), generator=generator(seed, "order", epoch))
    chance = generator(seed, "augment", epoch)
    begin = int(torch.randint(len(outliers), (), generator=generator(seed, "outliers", epoch))) if outliers else 0
    labels = labels_of(images)
    for done, index in zip(range(0, len(images), how.batch), torch.split(order, how.batch), strict=True):
        x = _augmented(images, index, how, chance)
        y = labels[index]
        progress = (epoch + done / len(images)) / how.epochs
        beside = None
        if outliers is not None:
            places = begin + done * how.outlier_ratio + torch.arange(len(index) * how.outlier_ratio)
            beside = placed(_augmented(outliers, places % len(outliers), how, chance), device)
        yield TrainBatch(placed(x, device), y.to(device), index.to(device), epoch, progress, beside)


def placed(x: Tensor, device: torch.device) -> Tensor:
    """Return a batch on a device; images with their channels last in memory, as convolutions like them."""
    return x.to(device, memory_format=torch.channels_last) if x.ndim == 4 else x.to(device)


def _augmented(images: Examples, index: Tensor, how: Training, chance: torch.Generator) -> Tensor:
    x = torch.from_numpy(images.batch(index.numpy()))
    for name in how.augment:
        x = AUGMENTATIONS.find(name)(x, chance)
    return x


def labels_of(images: Examples) -> Tensor:
    """Return the classes of images [N]; 0 where there are none."""
    return torch.zeros(len(images), dtype=torch.int64) if images.labels is None else torch.from_numpy(images.labels)


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
