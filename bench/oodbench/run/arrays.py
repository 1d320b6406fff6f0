"""A user's own arrays as images, checked before anything is computed from them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.data.images import ArrayImages
from oodbench.errors import BadData
from oodbench.spaces import Shape

Array = npt.NDArray[Any] | torch.Tensor
"""Images [n c h w], float in [0, 1] or uint8; or labels [n]."""


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


def check_classes(images: ArrayImages, classes: int) -> None:
    """Check that labels are classes of a model.

    Raises:
        BadData: one is negative, or not among the model's outputs.
    """
    assert images.labels is not None
    for label in (images.labels.min(), images.labels.max()):
        if not 0 <= label < classes:
            known = f"0 to {classes - 1}, the model's {classes} outputs"
            raise BadData(f"{images.card}: got label {label}; expected classes from {known}")


def _plain(name: str, x: Any) -> npt.NDArray[Any]:
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        x = x.float() if x.is_floating_point() else x  # numpy has no bfloat16
    try:
        return np.asarray(x)
    except ValueError as error:
        raise BadData(f"{name}: got a list whose items differ in shape; expected one array [n ...]") from error
