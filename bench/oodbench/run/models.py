"""Trained models and their outputs, from the cache where they were made before.

    <cache>/models/<class of machine>/<address>/weights.safetensors, weights.json
    <cache>/models/<class of machine>/<address>/outputs/<set>/<output>.<i>.npy, <output>.json
    <cache>/models/<class of machine>/<address>/bfloat16/outputs/...    where forward passes are not float32

A JSON file seals what lies beside it (`oodbench.run.sealed`). Weights and outputs of one class of machine never answer
for another.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from oodbench.data.inputs import Inputs
from oodbench.errors import BadSetting
from oodbench.forward_precision import LOWER
from oodbench.given import GivenModel
from oodbench.identity import TRAINING, address
from oodbench.models import checkpoint
from oodbench.models.outputs import Trained
from oodbench.models.train import Report, labels_of, silent, start, train
from oodbench.models.weights import fit_weights, read_weights
from oodbench.networks.public_names import public_names
from oodbench.run.guard import Guard, Made
from oodbench.run.machine import machine_class, slug
from oodbench.run.sealed import seal, unsealed
from oodbench.store import digest
from oodbench.training import InSet, Recipe

log = logging.getLogger(__name__)

WEIGHTS = "weights.safetensors"

DECODERS = 4
"""Processes at most that decode pictures ahead of the network; images in memory need none."""


@dataclass(frozen=True)
class ModelKey:
    """All that a trained model's weights depend on: `parts` are the models that it is made from."""

    recipe: Recipe
    seed: int
    in_set: InSet
    train_sha256: str
    outliers_sha256: str | None = None
    parts: "tuple[ModelKey, ...]" = ()

    @cached_property
    def address(self) -> str:
        """The content address (sha256, hex)."""
        data = self.train_sha256, self.outliers_sha256
        # Flat, as the in-set was declared before there were spaces: addresses of models of images stay.
        in_set = {"name": "oodbench:InSet", "classes": self.in_set.classes, **asdict(self.in_set.space)}
        return address(TRAINING, self.recipe, self.seed, in_set, data, [part.address for part in self.parts])

    def folder(self, cache: Path, device: torch.device) -> Path:
        """Where the model and its outputs are kept."""
        return cache / "models" / slug(machine_class(device)) / self.address[:20]


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's name and fields, as records hold them."""
    return {"name": type(recipe).__name__.lower(), **json.loads(json.dumps(asdict(recipe)))}  # type: ignore[call-overload]


def model_name(recipe: Recipe, sized: Callable[[Recipe], Recipe]) -> str:
    """Return what a matrix calls a model: its recipe's name, and each field that is not as the recipe's author left it.

    "plain", "glow-volume-constant", "densityensemble-glow". It is the name of a folder of results: the same whichever
    methods run and in which order, and another one for another recipe. A recipe from outside has its package before it.
    A given model has the name that its matrix gives it.

    Args:
        recipe: As the matrix trains it.
        sized: Returns a recipe as the matrix trains it.
    """
    if (model := recipe.given()) is not None:
        return model.name
    package = type(recipe).__module__.split(".")[0]
    words = [type(recipe).__name__.lower(), *_differing(recipe, _usual(type(recipe), sized), sized)]
    name = "-".join([*([] if package == "oodbench" else [package]), *words])
    return name if len(name) <= 80 else f"{name[:60]}-{digest(name)[:8]}"


def _usual(kind: type[Any], sized: Callable[[Recipe], Recipe]) -> Any:
    """Return a recipe, or a part of one, as its author left it: as far as its fields have defaults."""
    try:
        made = kind()
    except TypeError:
        return SimpleNamespace(**{field.name: field.default for field in fields(kind)})
    return sized(made) if hasattr(kind, "provides") else made


def _differing(value: Any, usual: Any, sized: Callable[[Recipe], Recipe]) -> Iterator[str]:
    for field in fields(value):
        own, other = getattr(value, field.name), getattr(usual, field.name)
        if own == other:
            continue
        if not is_dataclass(own) or isinstance(own, type):
            yield from (field.name, _word(own))
        elif type(own) is type(other):
            yield from (field.name, *_differing(own, other, sized))
        else:  # nothing usual: another recipe, by its own name
            yield from (type(own).__name__.lower(), *_differing(own, _usual(type(own), sized), sized))


def _word(value: Any) -> str:
    """Return a value as a part of a folder's name."""
    text = str(value).lower()
    plain = isinstance(value, bool | int | float | str) and re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", text)
    return text if plain else digest(repr(value))[:8]


def is_trained(key: ModelKey, cache: Path, device: torch.device) -> bool:
    """Whether the weights are in the cache, whole or not."""
    return (key.folder(cache, device) / WEIGHTS).with_suffix(".json").exists()


def trained(
    key: ModelKey,
    images: Inputs,
    cache: Path,
    device: torch.device,
    report: Report = silent,
    outliers: Inputs | None = None,
    guard: Guard | None = None,
    given: Callable[[GivenModel, int], Path] | None = None,
) -> Trained:
    """Return the model, trained or loaded now unless its weights are in the cache; its parts before it.

    Args:
        key: What identifies it.
        images: The training split.
        cache: Root of the cache.
        device: Where it is, and where it is trained.
        report: Told of the progress.
        outliers: Auxiliary outliers, for a recipe that wants them.
        guard: Says whether weights that other code made are what this code would make; None trusts them.
        given: Returns the file of weights of a given model and a seed, checked.

    Raises:
        Diverged: the loss became infinite or NaN.
        BadCheckpoint: given weights are not of the network that they are said to be of.
    """
    folder = key.folder(cache, device)
    refresh(folder, key.recipe, guard)
    if unsealed((folder / WEIGHTS).with_suffix(".json")) is None:
        if (model := key.recipe.given()) is not None:
            _load(key, model, labels_of(images), folder, guard, given)
        else:
            _train(key, images, cache, device, report, outliers, guard)
    tensors, _ = checkpoint.load(folder / WEIGHTS)
    fit = start(key.recipe, key.in_set, labels_of(images), key.seed)
    net = fit.net
    checkpoint.restore(net, tensors, str(folder / WEIGHTS))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(net.eval().requires_grad_(False), device, fit.labelled)


def refresh(folder: Path, recipe: Recipe, guard: Guard | None) -> None:
    """Remove from a model's folder what other code made and this code would make otherwise; tell what goes.

    Args:
        folder: The model's.
        recipe: Of the model.
        guard: Says what this code would make otherwise; None trusts all that is there.
    """
    marker = (folder / WEIGHTS).with_suffix(".json")
    if guard is None or not marker.exists() or (facts := unsealed(marker)) is None:
        return
    moved = guard.moved_in_model(recipe, Made(**facts["made"]))
    if "weights" in moved:
        log.warning("%s: other code trained this model, and this code trains another one; it is trained again", folder)
        shutil.rmtree(folder)
    elif moved:
        log.warning(
            "%s: other code made these outputs, and this code makes others (%s); they are made again",
            folder,
            ", ".join(sorted(moved)),
        )
        for name in ("outputs", "attacks", *LOWER):
            shutil.rmtree(folder / name, ignore_errors=True)
        seal(marker, [WEIGHTS], made=asdict(guard.made_model(recipe)), torch=facts["torch"])


def _train(
    key: ModelKey,
    images: Inputs,
    cache: Path,
    device: torch.device,
    report: Report,
    outliers: Inputs | None,
    guard: Guard | None,
) -> None:
    folder = key.folder(cache, device)
    parts = [trained(part, images, cache, device, report, outliers, guard).net for part in key.parts]
    resume = folder / "resume.safetensors"
    net = train(
        key.recipe,
        images,
        key.in_set,
        key.seed,
        device=device,
        outliers=outliers if "outliers" in key.recipe.wants else None,
        parts=parts,
        resume_from=resume,
        report=report,
    )
    _keep(key, net, folder, guard)
    resume.unlink(missing_ok=True)


def _load(
    key: ModelKey,
    model: GivenModel,
    labels: Tensor,
    folder: Path,
    guard: Guard | None,
    given: Callable[[GivenModel, int], Path] | None,
) -> None:
    """Put given weights into the cache, under the names of our network."""
    if given is None:
        raise BadSetting(f"{model.name} is a given model: name the file of its weights")
    path = given(model, key.seed)
    net = start(key.recipe, key.in_set, labels, key.seed).net
    fit_weights(net, read_weights(path), public_names(model.network), f"{path} ({model.name}: {model.network})")
    _keep(key, net, folder, guard)


def _keep(key: ModelKey, net: torch.nn.Module, folder: Path, guard: Guard | None) -> None:
    made = guard.made_model(key.recipe) if guard is not None else Made()
    checkpoint.save(folder / WEIGHTS, net.state_dict(), {"recipe": describe(key.recipe), "seed": key.seed})
    seal((folder / WEIGHTS).with_suffix(".json"), [WEIGHTS], made=asdict(made), torch=torch.__version__)
