"""A user's classifier as it was handed over, with what becomes of pictures before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oodbench.data.inputs import Inputs
from oodbench.errors import BadMethod, BadSetting
from oodbench.models.outputs import Trained
from oodbench.networks import Classifier, Headed
from oodbench.networks.wrappers import unwrapped
from oodbench.run.batch_size import checked, suited
from oodbench.run.judged import Layers, as_model, spread
from oodbench.run.user_sets import Given, all_stored, refuse_stored
from oodbench.sources.named import NamedModel
from oodbench.sources.preprocess import Moments, Preprocess, preprocess, told_moments
from oodbench.sources.reader import Reader
from oodbench.sources.scale import Scale
from oodbench.sources.stored import StoredModel

LOOKED_AT = 4
"""Inputs by which batch sizes are chosen."""


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
        if sets is not None:
            refuse_stored(sets)
        if self.standard is None or not isinstance(self.model, nn.Module):
            return as_model(self.model, head, layers, pool)  # of what is no module it says what it is
        inside = unwrapped(self.model)
        if isinstance(inside, Classifier | Headed):
            raise BadMethod(
                f"mean and std, or a transform that ends with Normalize, are given with a {type(inside).__name__}, "
                f"which standardises already; give them in one place"
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
    explicit = told_moments(mean, std) or (named.standard if named and _is_told(named) else None)
    ending = how.standard if how and transform is not None else None
    if explicit and ending and explicit != ending:
        raise BadSetting(
            f"mean and std: got {explicit[0]} and {explicit[1]}, and the transform standardises by {ending[0]} and "
            f"{ending[1]}; give one of them"
        )
    declared = named.standard if named else how.standard if how else None
    return UserModel(module, how, explicit or ending or declared, known)


def _is_told(named: NamedModel) -> bool:
    """Return whether the user said what a model's inputs are standardised by, rather than its library."""
    return named.standard is not None and named.standard != (named.preprocess.standard if named.preprocess else None)


def with_batches(trained: Trained, images: Inputs, batch: int | None, gradient_batch: int | None) -> Trained:
    """Return a model with the batch sizes that were given, or else that suit it.

    Raises:
        BadSetting: One is not above zero.
    """
    if isinstance(trained.net, StoredModel):
        return trained
    fitting = suited(trained.net, some(trained, images))
    return replace(
        trained,
        batch=fitting if batch is None else checked(batch, "batch"),
        gradient_batch=fitting if gradient_batch is None else checked(gradient_batch, "gradient_batch"),
    )


def some(trained: Trained, images: Inputs) -> torch.Tensor:
    """Return a few inputs, on the model's device."""
    return torch.from_numpy(images.batch(spread(len(images), LOOKED_AT))).to(trained.device)
