"""The one training loop, for any recipe: progress, a checkpoint after each epoch, resume, a stop on divergence.

Everything random is drawn from streams named by (seed, epoch), so that a run resumed after a kill is bit-equal, on one
device, to one that was left alone.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from bench.contract import Recipe, Shape, TrainBatch, Training
from bench.errors import Diverged
from bench.subjects import checkpoint
from bench.subjects.seeding import generator, seeded

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
    """Return a freshly initialised subject."""
    with seeded(seed, "initialise"):
        return recipe.build(shape, classes.count, classes.mean, classes.std)


def train(
    recipe: Recipe,
    images: Pixels,
    classes: Classes,
    seed: int,
    *,
    device: torch.device,
    resume_from: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    """Return a subject trained by a recipe, in evaluation mode.

    Args:
        recipe: What to build and minimise.
        images: The training split.
        classes: Of the in-set.
        seed: Names every random stream.
        device: Where to train.
        resume_from: A file that is written after each epoch and, where it exists, is gone on from.
        report: Told of each epoch.

    Raises:
        Diverged: the loss is no longer finite.
        BadCheckpoint: `resume_from` belongs to another architecture or is broken.
    """
    how = recipe.training
    net = build(recipe, images.shape, classes, seed)
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser(net, how)
    start = _resume(net, optimiser, resume_from) if resume_from and resume_from.exists() else 0
    steps = math.ceil(len(images) / how.batch)
    for epoch in range(start, how.epochs):
        net.train()
        total = 0.0
        with seeded(seed, "epoch", epoch):
            for step, (x, y, index) in enumerate(batches(images, how, seed, epoch, device)):
                done = epoch * steps + step
                set_rate(optimiser, rate(how, done, how.epochs * steps))
                loss = _step(recipe, net, optimiser, TrainBatch(x, y, index, done / (how.epochs * steps)))
                if not math.isfinite(loss):
                    raise Diverged(
                        f"training diverged: loss {loss} in epoch {epoch + 1}, step {step + 1}; "
                        f"learning rate {optimiser.param_groups[0]['lr']:.4g} may be too high"
                    )
                total += loss
        report(f"loss {total / steps:.3f}", epoch + 1, how.epochs)
        if resume_from and epoch + 1 < how.epochs:
            _save(net, optimiser, epoch + 1, resume_from)
    return net.eval()


def _step(recipe: Recipe, net: nn.Module, optimiser: torch.optim.Optimizer, batch: TrainBatch) -> float:
    # Half precision is for training alone: nothing that is ranked comes from under this autocast.
    half = recipe.training.precision == "bfloat16"
    with torch.autocast(batch.inputs.device.type, dtype=torch.bfloat16, enabled=half):
        loss = recipe.loss(net, batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item()


def batches(
    images: Pixels, how: Training, seed: int, epoch: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield (inputs, labels, index) of one epoch, shuffled and augmented by streams of (seed, epoch)."""
    order = torch.randperm(len(images), generator=generator(seed, "order", epoch))
    chance = generator(seed, "augment", epoch)
    labels = images.labels if images.labels is not None else np.zeros(len(images), dtype=np.int64)
    for index in torch.split(order, how.batch):
        x = torch.from_numpy(images.batch(index.numpy()))
        for name in how.augment:
            x = AUGMENTATIONS[name](x, chance)
        y = torch.from_numpy(labels[index.numpy()])
        yield x.to(device, memory_format=torch.channels_last), y.to(device), index.to(device)


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


def make_optimiser(net: nn.Module, how: Training) -> torch.optim.Optimizer:
    """Return the optimiser of a training."""
    if how.optimiser == "adam":
        return torch.optim.Adam(net.parameters(), lr=how.lr, weight_decay=how.weight_decay)
    return torch.optim.SGD(
        net.parameters(), lr=how.lr, momentum=0.9, nesterov=how.nesterov, weight_decay=how.weight_decay
    )


def rate(how: Training, step: int, steps: int) -> float:
    """Return the learning rate of one step out of `steps`."""
    done = step / steps
    match how.schedule:
        case "constant":
            return how.lr
        case "step":
            return how.lr * how.gamma ** sum(done >= milestone for milestone in how.milestones)
        case "cosine":
            return _cosine(how.lr, 1e-6, done)
        case "onecycle":  # up from lr/25 over the first 30 %, then down to lr/250,000 (Smith & Topin 2017)
            up = 0.3
            return (
                _cosine(how.lr / 25, how.lr, done / up)
                if done < up
                else _cosine(how.lr, how.lr / 25e4, (done - up) / (1 - up))
            )


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def _save(net: nn.Module, optimiser: torch.optim.Optimizer, epoch: int, path: Path) -> None:
    slots, numbers = checkpoint.pack(optimiser.state_dict(), "optimiser")
    weights = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    checkpoint.save(path, {**weights, **slots}, {"epoch": epoch, "numbers": numbers})


def _resume(net: nn.Module, optimiser: torch.optim.Optimizer, path: Path) -> int:
    tensors, meta = checkpoint.load(path)
    weights = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    checkpoint.restore(net, weights, str(path))
    checkpoint.unpack(optimiser, tensors, meta["numbers"], "optimiser")
    return int(meta["epoch"])
