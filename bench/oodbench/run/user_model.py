"""A user's classifier as it was handed over, with what becomes of pictures before it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from oodbench.contract import LOGITS
from oodbench.data.inputs import Inputs
from oodbench.errors import BadMethod, BadSetting
from oodbench.identity import PROTOCOL
from oodbench.models.outputs import Trained
from oodbench.networks import Classifier, Headed
from oodbench.networks.wrappers import unwrapped
from oodbench.run.batch_size import chosen
from oodbench.run.judged import Layers, as_model, spread
from oodbench.run.machine import machine_class
from oodbench.run.user_sets import Given, all_stored
from oodbench.sources.named import NamedModel
from oodbench.sources.preprocess import Moments, Preprocess, preprocess
from oodbench.sources.reader import Reader
from oodbench.sources.scale import Scale
from oodbench.sources.stored import StoredModel
from oodbench.store import digest

LOOKED_AT = 4
"""Inputs by which batch sizes are chosen and a model is told from others."""


@dataclass(frozen=True, eq=False)
class UserModel:
    """A classifier as a user handed it over.

    Attributes:
        model: The module, or what stands for stored outputs.
        preprocess: What becomes of pictures.
        standard: What is put in front of it as standardisation.
        classes: Names of its outputs, where they are known.
    """

    model: Any
    preprocess: Preprocess | None = None
    standard: Moments | None = None
    classes: Sequence[str] = ()

    def reader(self, work: Callable[[], Path], workers: int = 0) -> Reader:
        """Return what reads sets for it."""
        return Reader(work, self.preprocess, Scale(self.standard), workers, self.classes)

    def net(self, head: str | None, layers: Layers, pool: str | None, sets: Given | None) -> nn.Module:
        """Return it as a `Model` for sets.

        Raises:
            BadMethod: it is no module, or standardises already.
            UnknownName: it has no module of that name.
            BadData: it stands for stored outputs, and the sets are images or do not agree.
        """
        if isinstance(self.model, StoredModel):
            if sets is None:
                raise BadMethod("a model of stored outputs cannot score anything new; hand over the model itself")
            return self.model.of(all_stored(sets))
        if self.standard is None:
            return as_model(self.model, head, layers, pool)
        if not isinstance(self.model, nn.Module):
            return as_model(self.model, head, layers, pool)  # which says what it is
        inside = unwrapped(self.model)
        if isinstance(inside, Classifier | Headed):
            raise BadMethod(
                f"mean and std, or a transform that ends with Normalize, are given with a {type(inside).__name__}, "
                f"which "
                f"standardises already; give them in one place"
            )
        with torch.inference_mode(False):
            return Headed(inside, head, layers, *self.standard, pool=pool)


def as_user_model(
    model: object, transform: Any, mean: Sequence[float] | None, std: Sequence[float] | None, classes: Sequence[str]
) -> UserModel:
    """Return a classifier with what becomes of pictures before it: as told, else as it says itself.

    Raises:
        BadSetting: mean or std is given without the other or wrong, or beside a transform that standardises.
    """
    named = model if isinstance(model, NamedModel) else None
    module: Any = named.model if named else model
    if isinstance(classes, str):
        raise BadSetting(f"classes: got {classes!r}; expected a list of names, one an output")
    known = list(classes) or list(named.classes if named else ())
    config = getattr(unwrapped(module), "pretrained_cfg", None) if isinstance(module, nn.Module) else None
    how: Preprocess | None
    if transform is not None:
        how = preprocess(transform)
    elif named:
        how = named.preprocess
    else:
        how = preprocess(config) if isinstance(config, Mapping) and config.get("input_size") else None
    told = _moments(mean, std)
    if told and how and how.standard and told != how.standard:
        raise BadSetting(
            f"mean and std: got {told[0]} and {told[1]}, and the transform standardises by {how.standard[0]} and "
            f"{how.standard[1]}; give one of them"
        )
    return UserModel(module, how, told or (how.standard if how else None) or (named.standard if named else None), known)


def with_batches(trained: Trained, images: Inputs, batch: int | None, gradient_batch: int | None) -> Trained:
    """Return a model with the batch sizes that were given, or else that suit it.

    Raises:
        BadSetting: One is not above zero.
    """
    if isinstance(trained.net, StoredModel):
        return trained
    x = some(trained, images)
    return replace(
        trained,
        batch=chosen(batch, trained.net, x, "batch"),
        gradient_batch=chosen(gradient_batch, trained.net, x, "gradient_batch"),
    )


def identity(trained: Trained, images: Inputs) -> str:
    """Return a folder's name for the outputs of a model: of its weights, and what it makes of a few inputs."""
    weights = hashlib.sha256()
    for name, value in sorted(trained.net.state_dict().items()):
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    with torch.no_grad():
        logits: torch.Tensor = trained.net.outputs(some(trained, images), frozenset({LOGITS}))[LOGITS]  # type: ignore[operator]
    told = hashlib.sha256(logits.cpu().numpy().tobytes()).hexdigest()
    layers = list(getattr(trained.net, "layer_names", ()))
    sizes = [trained.batch, trained.gradient_batch]
    key = digest(
        PROTOCOL, type(trained.net).__name__, weights.hexdigest(), told, layers, sizes, machine_class(trained.device)
    )
    return f"model-{key[:20]}"


def some(trained: Trained, images: Inputs) -> torch.Tensor:
    """Return a few inputs, on the model's device."""
    return torch.from_numpy(images.batch(spread(len(images), LOOKED_AT))).to(trained.device)


def _moments(mean: Sequence[float] | None, std: Sequence[float] | None) -> Moments | None:
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise BadSetting("mean and std: got one without the other; give both, an entry a channel")
    first, second = (tuple(float(value) for value in np.atleast_1d(np.asarray(one))) for one in (mean, std))
    if not all(value > 0 for value in second) or len({len(first), len(second)} - {1}) > 1:
        raise BadSetting(f"mean and std: got {first} and {second}; expected an entry a channel, std above 0")
    return first, second
