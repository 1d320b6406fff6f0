"""A user's own arrays and memory maps as images, checked before anything is computed from them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.data.images import ArrayImages
from oodbench.errors import BadData
from oodbench.sources.scale import Scale
from oodbench.spaces import Shape

Array = npt.NDArray[Any] | torch.Tensor
"""Images [n c h w], float in [0, 1] or standardised, or uint8; or labels [n]."""


def images(name: str, x: Array, like: Shape | None = None, scale: Scale | None = None) -> ArrayImages:
    """Return pixels as images.

    Args:
        name: For errors.
        x: [n c h w], float in [0, 1] or uint8; or standardised, where the scale undoes it.
        like: The shape that they must have.
        scale: Brings float pixels into [0, 1].

    Raises:
        BadData: shape, dtype or range is not that.
    """
    pixels = plain(name, x)
    _check_kind(name, pixels)
    if pixels.dtype.kind == "f":
        scale, given = scale or Scale(), pixels
        pixels = scale(name, given)
        scale.refuse_pixels(name, given)
    made = ArrayImages(pixels, card=name)
    if like is not None and made.shape != like:
        got, expected = ("x".join(map(str, shape)) for shape in (made.shape, like))
        raise BadData(f"{name}: got images of shape {got}; expected {expected}, as in the first set given")
    return made


def labelled(
    name: str, pair: tuple[Array, Array], like: Shape | None = None, scale: Scale | None = None
) -> ArrayImages:
    """Return pixels and labels as images.

    Args:
        name: For errors.
        pair: Pixels as for `images`, and a class from 0 for each, integers [n].
        like: The shape that the images must have.
        scale: Brings float pixels into [0, 1].

    Raises:
        BadData: it is no pair, or something in it is not that.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise BadData(f"{name}: got a {type(pair).__name__}; expected a pair (images, labels)")
    pixels = images(name, pair[0], like, scale)
    return ArrayImages(pixels.pixels, classes(name, pair[1], len(pixels)), name)


def classes(name: str, x: Array, n: int) -> npt.NDArray[np.int64]:
    """Return classes as int64 [n].

    Raises:
        BadData: they are no whole numbers, or not one an image.
    """
    labels = plain(name, x)
    if labels.dtype.kind not in "iu":
        raise BadData(f"{name}: got labels of dtype {labels.dtype}; expected integers, a class from 0 for each image")
    if labels.shape != (n,):
        raise BadData(f"{name}: got labels of shape {labels.shape}, expected ({n},), one an image.")
    return labels.astype(np.int64)


def _check_kind(name: str, pixels: npt.NDArray[Any]) -> None:
    """Check that pixels are float, or uint8 of all grey levels; say what to do with others.

    Raises:
        BadData: they are not.
    """
    kind = pixels.dtype
    if not pixels.size or kind.kind not in "biu":
        return
    if kind != np.uint8:
        white = {"b": 1, "u": np.iinfo(kind).max if kind.kind == "u" else 0}.get(kind.kind) or 255
        least, most = int(pixels.min()), int(pixels.max())
        raise BadData(
            f"{name}: got {kind} pixels from {least} to {most}, expected uint8 or float32 in [0, 1]; "
            f"if {white} is white, give x.astype('float32') / {white}"
        )
    if pixels.max() == 1:
        raise BadData(
            f"{name}: got uint8 pixels 0 and 1, nearly black as 255 is white; if 1 is white, give x.astype('float32')"
        )


def plain(name: str, x: Any) -> npt.NDArray[Any]:
    """Return an array or tensor as NumPy has it, in main memory."""
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        x = x.float() if x.is_floating_point() else x  # numpy has no bfloat16
    try:
        return np.asarray(x)
    except ValueError as error:
        raise BadData(f"{name}: got a list whose items differ in shape; expected one array [n ...]") from error
