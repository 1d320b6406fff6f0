"""Digital: contrast, elastic deformation, pixelation and JPEG."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from oodbench.corruptions.draws import Draws
from oodbench.corruptions.filters import bilinear, gaussian, mirrored, reflected
from oodbench.corruptions.kinds import Constants, Corruption, Floats, Grey, each, levels, unit

_OF_CIFAR = 32
"""Lengths that are shares of this side are shares of a picture's own; ImageNet-C's are of 244, a slip in its files."""


def contrast(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return c (x - m) + m, where m is the mean of a picture's channel."""
    (share,) = c
    plain = unit(x)
    mean = plain.mean(axis=(2, 3), keepdims=True)
    return levels((plain - mean) * share + mean)


def elastic(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures under a random affine map, then under a smooth random displacement.

    The map moves three corners of a square in the middle by U(-m, m) a coordinate; the displacement is U(-1, 1) a
    pixel, smoothed by a Gaussian and multiplied by a strength. Both read between pixels linearly.

    The authors' affine map is OpenCV's, which until its version 4.10 rounded places to 1/32 of a pixel; here they are
    exact, as its later ones have them.
    """
    (of_side, strength, sigma, move), side = c, x.shape[-1]
    of_side = side if of_side == _OF_CIFAR else of_side
    strength, sigma, move = strength * of_side, sigma * of_side, move * of_side
    centre, half = side // 2, side // 3
    corners = np.array([[centre + half] * 2, [centre + half, centre - half], [centre - half] * 2], np.float64)
    moved = corners + draws.between(-move, move, 3, 2)
    shift = draws.between(-1, 1, 2, side, side)
    dx, dy = (gaussian(shift[:, axis], sigma, mode="reflect", truncate=3) * strength for axis in range(2))
    down, right = np.mgrid[:side, :side]
    warped = bilinear(unit(x), *_places(_affine(moved, corners), right, down), mirrored)
    return levels(bilinear(warped, down + dy, right + dx, reflected))


def _affine(source: Floats, target: Floats) -> Floats:
    """Return the affine maps [n 2 3] that take three points (x, y) each to three points: [n 3 2] to [3 2]."""
    homogeneous = np.concatenate([source, np.ones((*source.shape[:2], 1))], axis=2)
    return np.linalg.solve(homogeneous, np.broadcast_to(target, source.shape)).transpose(0, 2, 1)


def _places(maps: Floats, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the rows and columns [n h w] that maps [n 2 3] take pixels to."""
    columns, rows = np.einsum("nij,jhw->inhw", maps, np.stack([x, y, np.ones_like(x)]).astype(np.float64))
    return rows, columns


def pixelate(x: Grey, c: Constants, draws: Draws) -> Grey:
    """Return pictures shrunk to a share of their side, and enlarged again, both by box averages."""
    (share,) = c
    side = x.shape[-1]
    few = int(side * share), int(side * share)
    box = Image.Resampling.BOX
    return np.stack([_array(_picture(one).resize(few, box).resize((side, side), box)) for one in x])


def jpeg(x: Grey, c: Constants, draws: Draws) -> Grey:
    """Return pictures encoded as JPEG of some quality, and decoded."""
    return np.stack([_encoded(one, int(c[0])) for one in x])


def _encoded(pixels: Grey, quality: int) -> Grey:
    file = BytesIO()
    _picture(pixels).save(file, "JPEG", quality=quality)
    return _array(Image.open(file))


def _picture(pixels: Grey) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _array(picture: Image.Image) -> Grey:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


DIGITAL = (
    Corruption(
        "contrast",
        "Contrast",
        "digital",
        small=each(0.75, 0.5, 0.4, 0.3, 0.15),
        large=each(0.4, 0.3, 0.2, 0.1, 0.05),
        apply=contrast,
    ),
    Corruption(
        "elastic-transform",
        "Elastic deformation",
        "digital",
        small=(
            (_OF_CIFAR, 0, 0, 0.08),
            (_OF_CIFAR, 0.05, 0.2, 0.07),
            (_OF_CIFAR, 0.08, 0.06, 0.06),
            (_OF_CIFAR, 0.1, 0.04, 0.05),
            (_OF_CIFAR, 0.1, 0.03, 0.03),
        ),
        large=(
            (244, 2, 0.7, 0.1),
            (244, 2, 0.08, 0.2),
            (244, 0.05, 0.01, 0.02),
            (244, 0.07, 0.01, 0.02),
            (244, 0.12, 0.01, 0.02),
        ),
        apply=elastic,
    ),
    Corruption(
        "pixelate",
        "Pixelation",
        "digital",
        small=each(0.95, 0.9, 0.85, 0.75, 0.65),
        large=each(0.6, 0.5, 0.4, 0.3, 0.25),
        apply=pixelate,
    ),
    Corruption(
        "jpeg-compression",
        "JPEG compression",
        "digital",
        small=each(80, 65, 58, 50, 40),
        large=each(25, 18, 15, 10, 7),
        apply=jpeg,
    ),
)
"""Constants: `make_cifar_c.py` and `corruptions.py` of the authors' code; of the elastic one a length in pixels,
and strength, sigma and move as shares of it."""
