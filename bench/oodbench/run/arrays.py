"""A user's own arrays as images, checked before anything is computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.contract import Material
from oodbench.data.images import ArrayImages
from oodbench.errors import BadData
from oodbench.run.overlap import shared
from oodbench.spaces import Shape

Array = npt.NDArray[Any] | torch.Tensor
"""Images [n c h w], float in [0, 1] or uint8; or labels [n]."""


STANDARDISE = "oodbench.networks.Headed(model, mean=..., std=...)"


@dataclass(frozen=True)
class Given:
    """A user's sets, checked."""

    train: ArrayImages
    test: ArrayImages
    validation: ArrayImages | None
    ood: Mapping[str, ArrayImages]
    tuning: dict[str, ArrayImages]

    @property
    def offered(self) -> frozenset[Material]:
        """What methods may fit and tune on."""
        offered: set[Material] = {"labels"}
        offered |= {"validation"} if self.validation else set()
        offered |= {"ood_validation"} if self.tuning else set()
        return frozenset(offered)

    @cached_property
    def in_test(self) -> dict[str, int]:
        """How many images of each failure set are also in test."""
        return {name: shared(images, self.test) for name, images in self.ood.items()}

    @cached_property
    def tuned_on(self) -> dict[tuple[str, str], int]:
        """How many images of each held-out out-of-distribution set are also in each failure set."""
        pairs = ((held, name) for held in self.tuning for name in self.ood)
        return {(held, name): shared(self.tuning[held], self.ood[name]) for held, name in pairs}

    @cached_property
    def validation_in_test(self) -> int:
        """How many validation images are also in test."""
        return shared(self.validation, self.test) if self.validation else 0

    def too_small_to_halve(self) -> str | None:
        """Return which held-out set cannot be halved, for a method that fits on one half and tunes on the other."""
        held_out = self.tuning | ({"validation": self.validation} if self.validation else {})
        for name, one in held_out.items():
            if len(one) < 2:
                return f"fits on one half of the held-out images and tunes on the other; {name} holds one: give more"
        return None


def given_sets(
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    failures: Mapping[str, Array],
    validation: tuple[Array, Array] | None,
    ood_validation: Mapping[str, Array] | None,
) -> Given:
    """Return a user's arrays as sets of images of one shape.

    Raises:
        BadData: an array is not what it must be.
    """
    by_name: dict[str, Any] = {"failures": failures, "ood_validation": {} if ood_validation is None else ood_validation}
    for name, sets in by_name.items():
        if not isinstance(sets, Mapping):
            got = f"a value of type {type(sets).__name__}"
            raise BadData(f"{name}: got {got}; expected images by name, as in {{'noise': images}}")
    train_set = labelled("train", train)
    like = train_set.shape
    return Given(
        train=train_set,
        test=labelled("test", test, like),
        validation=labelled("validation", validation, like) if validation else None,
        ood={name: images(name, x, like) for name, x in failures.items()},
        tuning={name: images(name, x, like) for name, x in by_name["ood_validation"].items()},
    )


def images(name: str, x: Array, like: Shape | None = None) -> ArrayImages:
    """Return pixels as images.

    Args:
        name: For errors.
        x: [n c h w], float in [0, 1] or uint8.
        like: The shape that they must have.

    Raises:
        BadData: shape, dtype or range is not that.
    """
    pixels = _plain(name, x)
    _check_range(name, pixels)
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
    made = ArrayImages(pixels, card=name)
    if like is not None and made.shape != like:
        got, expected = ("x".join(map(str, shape)) for shape in (made.shape, like))
        raise BadData(f"{name}: got images of shape {got}; expected {expected}, as in train")
    return made


def labelled(name: str, pair: tuple[Array, Array], like: Shape | None = None) -> ArrayImages:
    """Return pixels and labels as images.

    Args:
        name: For errors.
        pair: Pixels as for `images`, and a class from 0 for each, integers [n].
        like: The shape that the images must have.

    Raises:
        BadData: it is no pair, or something in it is not that.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise BadData(f"{name}: got a {type(pair).__name__}; expected a pair (images, labels)")
    pixels = images(name, pair[0], like)
    labels = _plain(name, pair[1])
    if labels.dtype.kind not in "iu":
        raise BadData(f"{name}: got labels of dtype {labels.dtype}; expected integers, a class from 0 for each image")
    if labels.shape != (len(pixels),):
        raise BadData(f"{name}: got labels of shape {labels.shape}, expected ({len(pixels)},), one an image.")
    return ArrayImages(pixels.pixels, labels.astype(np.int64), name)


def check_classes(sets: Given, classes: int) -> None:
    """Check that labels are classes of a model.

    Raises:
        BadData: one is negative, or not among the model's outputs.
    """
    for one in (sets.train, sets.test, sets.validation):
        if one is None or one.labels is None:
            continue
        for label in (one.labels.min(), one.labels.max()):
            if not 0 <= label < classes:
                known = f"0 to {classes - 1}, the model's {classes} outputs"
                raise BadData(f"{one.card}: got label {label}; expected classes from {known}")


def _check_range(name: str, pixels: npt.NDArray[Any]) -> None:
    """Check that pixels are float in [0, 1] or uint8 of all grey levels; say what to do with others.

    Raises:
        BadData: they are not.
    """
    kind = pixels.dtype
    if not pixels.size or kind.kind not in "biuf":
        return
    if kind.kind != "f" and kind != np.uint8:
        white = {"b": 1, "u": np.iinfo(kind).max if kind.kind == "u" else 0}.get(kind.kind) or 255
        least, most = int(pixels.min()), int(pixels.max())
        raise BadData(
            f"{name}: got {kind} pixels from {least} to {most}, expected uint8 or float32 in [0, 1]; "
            f"if {white} is white, give x.astype('float32') / {white}"
        )
    low, high = float(pixels.min()), float(pixels.max())
    if kind == np.uint8 and high == 1:
        raise BadData(
            f"{name}: got uint8 pixels 0 and 1, nearly black as 255 is white; if 1 is white, give x.astype('float32')"
        )
    if kind.kind == "f" and not (low >= 0 and high <= 1):
        way = (
            "give x / 255, if 255 is white"
            if low >= 0 and 2 < high <= 255
            else f"where they are standardised for the model, give pixels and put that inside it: {STANDARDISE}"
            if np.isfinite([low, high]).all()
            else "replace what is no number"
        )
        raise BadData(f"{name}: got {kind} pixels from {low:g} to {high:g}, expected [0, 1]; {way}")


def _plain(name: str, x: Any) -> npt.NDArray[Any]:
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        x = x.float() if x.is_floating_point() else x  # numpy has no bfloat16
    try:
        return np.asarray(x)
    except ValueError as error:
        raise BadData(f"{name}: got a list whose items differ in shape; expected one array [n ...]") from error
