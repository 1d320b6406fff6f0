"""The toy: images of a bright blob in one of three places, and a small network that tells the places apart.

It is a fake that belongs to the package: whatever runs on a matrix runs on it, in a second and without data. A recipe
that trains its own network does so here too, at scale "tiny".
"""

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.contract import LOGITS, Material, Output
from oodbench.data import toys
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.toys import CLASSES, SIDE
from oodbench.models import checkpoint
from oodbench.models.outputs import Trained, to_store
from oodbench.models.seeding import stream
from oodbench.models.train import labels_of, start, train
from oodbench.recipes import Plain
from oodbench.run.attack import gradient, predict
from oodbench.run.models import describe
from oodbench.spaces import Images
from oodbench.store import digest
from oodbench.training import InSet, Recipe, Training

N_TRAIN = 360
CPU = torch.device("cpu")
TRAINING = Training(network="toy-cnn", epochs=12, batch=32, lr=0.05)
IN_SET = InSet(Images((1, SIDE, SIDE), mean=(0.15,), std=(0.25,)), CLASSES)

MATERIALS: frozenset[Material] = frozenset(
    {"labels", "validation", "ood_validation", "adversarial_validation", "outliers"}
)
"""What the toy offers."""

FGSM = 0.25
"""Length of the attack's step in pixels: it fools the toy network on most images, not on all."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Pixels [n 1 8 8], classes [n] (0 where there are none) and the model's outputs for them, of one pass."""

    x: Tensor
    y: Tensor
    outputs: Mapping[Output, Any]


@dataclass(frozen=True, eq=False)
class Toy:
    """A model, and everything that a method can be handed of it.

    Attributes:
        model: Trained by the recipe.
        examples: By role: "train", "validation", "ood_validation" (three blobs at half brightness or less),
            "adversarial_validation" (validation images after one step, those that fooled the classifier), "test", and
            "far" (uniform noise in [0, 1/2]: no blob for a classifier to see, and nothing like the training inputs).
    """

    model: Trained
    examples: dict[str, Examples] = field(default_factory=dict)


@cache
def toy(recipe: Recipe) -> Toy:
    """Return the toy of a recipe; recipes that are equal share one training."""
    sized = recipe.sized("tiny", TRAINING)
    images = {"train": blobs(N_TRAIN, 0), "validation": blobs(120, 1), "test": blobs(90, 2)}
    images |= {"ood_validation": blends(60, 3), "far": noise(90, 4)}
    model = toy_model(sized, 0)
    examples = {role: _examples(model, pictures, sized) for role, pictures in images.items()}
    classifier = model if LOGITS in sized.provides else toy(Plain()).model
    attacked = fooling(classifier, examples["validation"])
    examples["adversarial_validation"] = _examples(model, attacked, sized)
    return Toy(model, examples)


@cache
def toy_model(recipe: Recipe, seed: int) -> Trained:
    """Return a model trained on the toy, and before it those that it begins from.

    Processes that share a folder, named by the environment variable OODBENCH_TOYS, train each but once.
    """
    images, parts = blobs(N_TRAIN, 0), [toy_model(part, its_seed).net for part, its_seed in recipe.parts(seed, (0,))]
    labels = labels_of(images)

    def trained() -> nn.Module:
        outliers = blends(120, 5) if "outliers" in recipe.wants else None
        return train(recipe, images, IN_SET, seed, device=CPU, outliers=outliers, parts=parts)

    shared = os.environ.get("OODBENCH_TOYS")
    fit = start(recipe, IN_SET, labels, seed)
    net = _once(Path(shared), recipe, seed, fit.net, trained) if shared else trained()
    net.zero_grad()
    return Trained(net.eval().requires_grad_(False), CPU, fit.labelled)


def _once(folder: Path, recipe: Recipe, seed: int, fresh: nn.Module, trained: Callable[[], nn.Module]) -> nn.Module:
    """Return a fresh network with the trained weights that lie in a folder; they are put there now if they do not."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{digest(describe(recipe), seed)[:20]}.safetensors"
    with weights.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not weights.exists():
            checkpoint.save(weights, trained().state_dict())
    checkpoint.restore(fresh, checkpoint.load(weights)[0], str(weights))
    return fresh.to(memory_format=torch.channels_last)


def _examples(model: Trained, images: Inputs, recipe: Recipe) -> Examples:
    x = torch.from_numpy(images.batch(slice(None)))
    y = torch.zeros(len(images), dtype=torch.int64) if images.labels is None else torch.from_numpy(images.labels)
    with torch.no_grad():
        return Examples(x, y, model.outputs(x, to_store(recipe.provides)))


def blobs(n: int, seed: int) -> ArrayImages:
    """Return n labelled images, their classes in turn: a Gaussian blob about its class's place, a little noise."""
    return _images(*toys.blobs(np.random.default_rng(stream(seed, "blobs")), n))


def blends(n: int, seed: int) -> ArrayImages:
    """Return n images of all three blobs at once, each at half its brightness."""
    singles = blobs(CLASSES * n, seed).pixels.reshape(n, CLASSES, SIDE, SIDE)
    return _images(singles.sum(axis=1, keepdims=True) / 2)


def noise(n: int, seed: int) -> ArrayImages:
    """Return n images whose pixels are independent and uniform in [0, 1/2]."""
    return _images(*toys.noise(np.random.default_rng(stream(seed, "noise")), n))


def _images(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any] | None = None) -> ArrayImages:
    return ArrayImages(np.clip(x, 0, 1).astype(np.float32), y)


def fooling(judge: Trained, clean: Examples) -> ArrayImages:
    """Return the images that a classifier judged right, and after one step of gradient ascent on its loss does not."""
    attacked = (clean.x + FGSM * gradient(judge, clean.x, clean.y).sign()).clamp(0, 1)
    fooled = (predict(judge, clean.x) == clean.y) & (predict(judge, attacked) != clean.y)
    return ArrayImages(attacked[fooled].numpy(), clean.y[fooled].numpy())
