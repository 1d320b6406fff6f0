"""The toy: images of a bright blob in one of three places, and a small network that tells the places apart.

For recipes that take no images it is texts, of words that each class has for itself and of words that all have. It is a
fake that belongs to the package: whatever runs on a matrix runs on it, in a second and without data. A recipe that
trains its own network does so here too, at scale "tiny".
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.attacks import Aim, Draws
from oodbench.attacks.fgsm import fgsm
from oodbench.contract import LOGITS, Material, Output
from oodbench.data import toys
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.texts import TextInputs
from oodbench.data.toys import CLASSES, SIDE
from oodbench.models import checkpoint
from oodbench.models.outputs import Trained, given, to_store
from oodbench.models.seeding import stream
from oodbench.models.train import labels_of, start, train
from oodbench.recipes import Plain
from oodbench.run.attack import predict, victim_of
from oodbench.run.models import describe
from oodbench.spaces import Images, SpaceName, Tokens
from oodbench.store import digest, one_at_a_time
from oodbench.training import InSet, Recipe, Training

N_TRAIN = 360
CPU = torch.device("cpu")
TRAINING = Training(network="toy-cnn", epochs=12, batch=32, lr=0.05)
WORDS_TRAINING = Training(network="toy-gru", epochs=12, batch=32, optimiser="adam", lr=0.02, weight_decay=0.0)
IN_SET = InSet(Images((1, SIDE, SIDE), mean=(0.15,), std=(0.25,)), CLASSES)

MATERIALS: frozenset[Material] = frozenset(
    {"labels", "validation", "ood_validation", "adversarial_validation", "outliers"}
)
"""What the toy offers; of texts there are no attacked ones."""

FGSM = 0.25
"""Length of the attack's step in pixels: it fools the toy network on most images, not on all."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Pixels [n 1 8 8] or ids of words [n 8], their classes [n] (0 for none) and the model's outputs, of one pass."""

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


@dataclass(frozen=True)
class World:
    """The toy of one space: what is trained on it and how, and what draws (n, seed) of its sets."""

    in_set: InSet
    training: Training
    inside: Callable[[int, int], Inputs]
    between: Callable[[int, int], Inputs]
    far: Callable[[int, int], Inputs]


def usual_space(recipe: Recipe) -> SpaceName:
    """Return the space whose toy a recipe is tried on unless another is named: images, where it takes them."""
    return "images" if "images" in recipe.spaces else "tokens"


def world_of(space: SpaceName) -> World:
    """Return the toy of a space."""
    if space == "images":
        return World(IN_SET, TRAINING, blobs, blends, noise)
    words, mixes, far = (partial(_texts, draw) for draw in (toys.words, toys.word_mixes, toys.word_noise))
    return World(InSet(Tokens(toys.LENGTH, toys.VOCABULARY), CLASSES), WORDS_TRAINING, words, mixes, far)


@cache
def toy(recipe: Recipe, space: SpaceName | None = None) -> Toy:
    """Return the toy of a recipe, by default in its usual space; recipes that are equal share one training."""
    space = space or usual_space(recipe)
    world = world_of(space)
    sized = recipe.sized("tiny", world.training)
    drawn = {"train": world.inside(N_TRAIN, 0), "validation": world.inside(120, 1), "test": world.inside(90, 2)}
    drawn |= {"ood_validation": world.between(60, 3), "far": world.far(90, 4)}
    model, wanted = toy_model(sized, 0, space), to_store(given(sized.provides, space))
    examples = {role: _examples(model, inputs, wanted) for role, inputs in drawn.items()}
    if space != "images":
        return Toy(model, examples)
    classifier = model if LOGITS in sized.provides else toy(Plain()).model
    attacked = fooling(classifier, examples["validation"])
    examples["adversarial_validation"] = _examples(model, attacked, wanted)
    return Toy(model, examples)


@cache
def toy_model(recipe: Recipe, seed: int, space: SpaceName) -> Trained:
    """Return a model trained on the toy, and before it those that it begins from.

    Processes that share a folder, named by the environment variable OODBENCH_TOYS, train each but once.
    """
    world = world_of(space)
    parts = [toy_model(part, its_seed, space).net for part, its_seed in recipe.parts(seed, (0,))]
    inside = world.inside(N_TRAIN, 0)

    def trained() -> nn.Module:
        outliers = world.between(120, 5) if "outliers" in recipe.wants else None
        return train(recipe, inside, world.in_set, seed, device=CPU, outliers=outliers, parts=parts)

    shared = os.environ.get("OODBENCH_TOYS")
    fit = start(recipe, world.in_set, labels_of(inside), seed)
    net = _once(Path(shared) / space, recipe, seed, fit.net, trained) if shared else trained()
    net.zero_grad()
    return Trained(net.eval().requires_grad_(False), CPU, fit.labelled)


def _once(folder: Path, recipe: Recipe, seed: int, fresh: nn.Module, trained: Callable[[], nn.Module]) -> nn.Module:
    """Return a fresh network with the trained weights that lie in a folder; they are put there now if they do not."""
    weights = folder / f"{digest(describe(recipe), seed)[:20]}.safetensors"
    with one_at_a_time(weights.with_suffix(".lock")):
        if not weights.exists():
            checkpoint.save(weights, trained().state_dict())
    checkpoint.restore(fresh, checkpoint.load(weights)[0], str(weights))
    return fresh.to(memory_format=torch.channels_last)


def _examples(model: Trained, inputs: Inputs, wanted: frozenset[Output]) -> Examples:
    x, y = torch.from_numpy(inputs.batch(slice(None))), labels_of(inputs)
    with torch.no_grad():
        return Examples(x, y, model.outputs(x, wanted))


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


def _texts(draw: Callable[[np.random.Generator, int], tuple[Any, Any]], n: int, seed: int) -> TextInputs:
    return TextInputs(*draw(np.random.default_rng(stream(seed, draw.__name__)), n))


def _images(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any] | None = None) -> ArrayImages:
    return ArrayImages(np.clip(x, 0, 1).astype(np.float32), y)


def fooling(judge: Trained, clean: Examples) -> ArrayImages:
    """Return the images that a classifier judged right, and after one step of gradient ascent on its loss does not."""
    attacked = fgsm(clean.x, Aim(clean.y), victim_of(judge), Draws(0, ()), eps=FGSM)
    fooled = (predict(judge, clean.x) == clean.y) & (predict(judge, attacked) != clean.y)
    return ArrayImages(attacked[fooled].numpy(), clean.y[fooled].numpy())
