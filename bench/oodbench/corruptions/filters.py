"""Filters that several corruptions share, each over a batch [n c h w], float64."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def gaussian(x: Floats, sigma: float, mode: Literal["nearest", "reflect"] = "nearest", truncate: float = 4.0) -> Floats:
    """Return pictures blurred by a Gaussian over height and width, cut off at `truncate` sigma."""
    from scipy import ndimage

    blurred: Floats = ndimage.gaussian_filter(x, sigma, mode=mode, truncate=truncate, axes=(-2, -1))
    return blurred


def correlate(x: Floats, kernel: Floats) -> Floats:
    """Return each plane's correlation with a kernel, mirrored about the centre of the outermost pixels."""
    from scipy import ndimage

    out: Floats = ndimage.correlate(x, kernel, mode="mirror", axes=(-2, -1))
    return out


def zoomed(x: Floats, factor: float) -> Floats:
    """Return the centre of square pictures, ceil(h / factor) wide, at the old size again: linear interpolation.

    The centre becomes round(factor x its side) wide, corner on corner, and what is too much is cut off around it.
    """
    side = x.shape[-1]
    inner = int(np.ceil(side / factor))
    top = (side - inner) // 2
    across = _interpolation(inner, factor)
    first = (len(across) - side) // 2
    across = across[first : first + side]
    return across @ x[..., top : top + inner, top : top + inner] @ across.T


@cache
def _interpolation(inner: int, factor: float) -> Floats:
    """Return the matrix [out inner] of `scipy.ndimage.zoom` along one axis."""
    from scipy import ndimage

    out: Floats = ndimage.zoom(np.eye(inner), (factor, 1), order=1)
    return out


def motion_blurred(x: npt.NDArray[np.uint8], radius: float, sigma: float, angle: Floats) -> Floats:
    """Return pictures blurred along a line, as ImageMagick's `MotionBlurImage` does, rounded to grey levels.

        x'(p) = sum_i k_i x(p + o_i),  k_i ~ exp(-i^2 / 2 sigma^2),  i = 0 ... 2 ceil(radius)
        o_i = ceil(i (cos a, sin a) - 1/2)

    The line begins at the pixel itself; beyond the border stands the outermost pixel.

    Args:
        x: Pictures [n c h w].
        radius: Half the line's length.
        sigma: Of the weights.
        angle: Of each picture's line, in degrees [n].
    """
    i = np.arange(2 * int(np.ceil(radius)) + 1)
    k = np.exp(-(i**2) / (2 * sigma**2))
    k /= k.sum()
    reach, (h, w) = len(i), x.shape[-2:]
    out = np.empty(x.shape)
    for row, picture, a in zip(out, x, np.deg2rad(angle), strict=True):
        down, right = (np.ceil(i * along - 0.5).astype(int) for along in (np.sin(a), np.cos(a)))
        padded = np.pad(picture.astype(np.float64), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
        row[:] = 0
        for weight, dy, dx in zip(k, down + reach, right + reach, strict=True):
            row += weight * padded[:, dy : dy + h, dx : dx + w]
    return np.floor(out + 0.5)


def bilinear(x: Floats, rows: Floats, columns: Floats, fold: Callable[[Places, int], Places]) -> Floats:
    """Return pictures [n c h w] read at places between pixels, rows and columns [n h w].

    Args:
        x: Pictures.
        rows: Where to read.
        columns: Likewise.
        fold: Maps places outside an axis of some length to places inside.
    """
    n, _, h, w = x.shape
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = (rows - top)[:, None], (columns - left)[:, None]
    flat = x.reshape(n, -1, h * w)

    def at(dy: int, dx: int) -> Floats:
        place = fold(top + dy, h) * w + fold(left + dx, w)
        return np.take_along_axis(flat, place.reshape(n, 1, -1), axis=2).reshape(x.shape)

    above = (1 - right) * at(0, 0) + right * at(0, 1)
    below = (1 - right) * at(1, 0) + right * at(1, 1)
    return (1 - down) * above + down * below


def mirrored(place: Places, length: int) -> Places:
    """Return places folded about the centres of the outermost pixels: d c b | a b c d | c b a."""
    period = 2 * (length - 1)
    place = np.abs(place) % period
    return np.minimum(place, period - place)


def reflected(place: Places, length: int) -> Places:
    """Return places folded about the outermost edges: d c b a | a b c d | d c b a."""
    period = 2 * length
    place = place % period
    return np.minimum(place, period - 1 - place)


def luma(x: Floats) -> Floats:
    """Return the brightness of pictures [n 1 h w]: .299 R + .587 G + .114 B (ITU-R 601); grey as it is."""
    if x.shape[1] == 1:
        return x
    weighed: Floats = np.tensordot(x, np.array([0.299, 0.587, 0.114]), (1, 0))[:, None]
    return weighed


def tinted(colour: npt.ArrayLike, channels: int) -> Floats:
    """Return a colour (R, G, B) as [c 1 1]; for grey pictures its luma."""
    rgb: npt.NDArray[Any] = np.asarray(colour, np.float64).reshape(1, 3, 1, 1)
    (one,) = rgb if channels == 3 else luma(rgb)
    return np.asarray(one, np.float64)
