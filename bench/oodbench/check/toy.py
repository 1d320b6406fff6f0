"""The toy: images of a bright blob in one of three places, and a small network that tells the places apart.

It is a fake that belongs to the package: whatever runs on a matrix runs on it, in a second and without data. A recipe
that trains its own network does so here too, at scale "tiny".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.contract import MadeOfOthers, Material, Recipe, Training, View
from oodbench.data.images import ArrayImages, Images
from oodbench.models.seeding import stream
from oodbench.models.train import Classes, train
from oodbench.models.views import NET_VIEWS, Trained
from oodbench.recipes import Plain
from oodbench.run.attack import gradient, predict

CLASSES = 3
SIDE = 8
CENTRES = np.array([[2.0, 2.0], [2.0, 5.0], [5.0, 3.5]])
"""Row and column about which the blobs of each class lie."""

TRAINING = Training(network="toy-cnn", epochs=12, batch=32, lr=0.05)
STATISTICS = Classes(CLASSES, mean=(0.15,), std=(0.25,))

MATERIALS: frozenset[Material] = frozenset(
    {"labels", "validation", "ood_validation", "adversarial_validation", "outliers"}
)
"""What the toy offers."""

FGSM = 0.25
"""Length of the attack's step in pixels: it fools the toy network on most images, not on all."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Pixels [n 1 8 8], classes [n] (0 where there are none) and what the model showed of them in one pass."""

    x: Tensor
    y: Tensor
    shown: Mapping[View, Any]


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
    sized = recipe.at("tiny", TRAINING)
    images = {"train": blobs(360, 0), "validation": blobs(120, 1), "test": blobs(90, 2)}
    images |= {"ood_validation": blends(60, 3), "far": noise(90, 4)}
    cpu = torch.device("cpu")
    outliers = blends(120, 5) if "outliers" in sized.wants else None
    parts = [toy_net(part, seed) for part, seed in sized.parts(0, (0,))] if isinstance(sized, MadeOfOthers) else ()
    net = train(sized, images["train"], STATISTICS, 0, device=cpu, outliers=outliers, parts=parts)
    net.zero_grad()
    model = Trained(net.requires_grad_(False), cpu)
    examples = {role: _examples(model, pictures, sized) for role, pictures in images.items()}
    judge = model if "logits" in sized.provides else toy(Plain()).model
    attacked = fooling(judge, examples["validation"])
    examples["adversarial_validation"] = _examples(model, attacked, sized)
    return Toy(model, examples)


@cache
def toy_net(recipe: Recipe, seed: int) -> nn.Module:
    """Return a model that another is made from, trained on the toy."""
    return train(recipe, blobs(360, 0), STATISTICS, seed, device=torch.device("cpu"))


def _examples(model: Trained, images: Images, recipe: Recipe) -> Examples:
    x = torch.from_numpy(images.batch(slice(None)))
    y = torch.zeros(len(images), dtype=torch.int64) if images.labels is None else torch.from_numpy(images.labels)
    with torch.no_grad():
        shown = model.show(x, recipe.provides & NET_VIEWS)
    return Examples(x, y, {view: shown[view] for view in recipe.provides & NET_VIEWS})


def blobs(n: int, seed: int) -> ArrayImages:
    """Return n labelled images, their classes in turn: a Gaussian blob about its class's place, a little noise."""
    rng = np.random.default_rng(stream(seed, "blobs"))
    y = np.arange(n, dtype=np.int64) % CLASSES
    centre = CENTRES[y] + rng.normal(0, 0.6, (n, 2))
    rows, columns = (np.arange(SIDE) - centre[:, axis, None] for axis in (0, 1))
    squared = rows[:, :, None] ** 2 + columns[:, None, :] ** 2
    width, height = rng.uniform(1.0, 1.6, (n, 1, 1)), rng.uniform(0.6, 1.0, (n, 1, 1))
    x = height * np.exp(-squared / (2 * width**2)) + rng.normal(0, 0.05, squared.shape)
    return _images(x[:, None], y)


def blends(n: int, seed: int) -> ArrayImages:
    """Return n images of all three blobs at once, each at half its brightness."""
    singles = blobs(CLASSES * n, seed).pixels.reshape(n, CLASSES, SIDE, SIDE)
    return _images(singles.sum(axis=1, keepdims=True) / 2)


def noise(n: int, seed: int) -> ArrayImages:
    """Return n images whose pixels are independent and uniform in [0, 1/2]."""
    return _images(np.random.default_rng(stream(seed, "noise")).uniform(0, 0.5, (n, 1, SIDE, SIDE)))


def _images(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any] | None = None) -> ArrayImages:
    return ArrayImages(np.clip(x, 0, 1).astype(np.float32), y)


def fooling(judge: Trained, clean: Examples) -> ArrayImages:
    """Return the images that a classifier judged right, and after one step of gradient ascent on its loss does not."""
    attacked = (clean.x + FGSM * gradient(judge, clean.x, clean.y).sign()).clamp(0, 1)
    fooled = (predict(judge, clean.x) == clean.y) & (predict(judge, attacked) != clean.y)
    return ArrayImages(attacked[fooled].numpy(), clean.y[fooled].numpy())
