"""The four types that the paper keeps for validation: speckle noise, Gaussian blur, spatter and saturation."""

import numpy as np
import numpy.typing as npt

from oodbench.corruptions.draws import Draws
from oodbench.corruptions.edges import canny
from oodbench.corruptions.filters import correlate, gaussian, tinted
from oodbench.corruptions.hsv import to_hsv, to_rgb
from oodbench.corruptions.kinds import Constants, Corruption, Floats, Grey, each, levels, unit


def speckle_noise(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return x + sigma x e, e ~ N(0, 1) a value."""
    (sigma,) = c
    plain = unit(x)
    return levels(plain + plain * sigma * draws.normal(*x.shape[1:]))


def gaussian_blur(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures blurred by a Gaussian."""
    (sigma,) = c
    return levels(gaussian(unit(x), sigma))


def spatter(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures below drops of water (severities 1 to 3) or mud (4 and 5): smoothed, thresholded noise.

    Water is x + m colour, where the drops m are shaded by the distance from their edges; mud is (1 - m) x + m colour.
    On grey pictures a colour is its luma.
    """
    mu, sigma, smooth, threshold, strength, mud = c
    drops = gaussian(mu + sigma * draws.normal(*x.shape[2:]), smooth)
    drops[drops < threshold] = 0
    if mud:
        m = gaussian((drops > threshold).astype(np.float64), strength)[:, None]
        m[m < 0.8] = 0
        return levels(unit(x) * (1 - m) + m * tinted(_MUD, x.shape[1]) / 255)
    m = strength * _shaded((drops * 255).clip(0, 255).astype(np.uint8))[:, None]
    return levels(unit(x) + m * tinted(_WATER, x.shape[1]) / 255)


_WATER, _MUD = (175, 238, 238), (63, 42, 20)
"""Pale turquoise, and brown."""

_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float64)


def _shaded(drops: npt.NDArray[np.uint8]) -> Floats:
    """Return drops [n h w] shaded as if light fell on them from one side, the brightest 1; 0 where there are none.

    Distances from edges are cut at 20 pixels.
    """
    distance = np.stack([_distance(edges) for edges in canny(drops, 50, 150)]).clip(0, 20)
    evened = _equalised(_box(distance).astype(np.uint8))
    relief = np.rint(correlate(evened.astype(np.float64), _RELIEF)).clip(0, 255)
    lit = drops.astype(np.float64) * np.rint(_box(relief))
    brightest = lit.max(axis=(1, 2), keepdims=True)
    shaded: Floats = np.divide(lit, brightest, out=np.zeros_like(lit), where=brightest > 0)
    return shaded


def _distance(edges: npt.NDArray[np.bool_]) -> Floats:
    """Return each pixel's distance [h w] from the nearest edge, in steps of 1, 1.4 (diagonal) and 2.1969 (a knight's).

    These are OpenCV's. Nearest is the edge that is so by Euclid: in steps another one may be closer by a hundredth.
    """
    if not edges.any():
        return np.full(edges.shape, np.inf)
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(~edges, return_distances=False, return_indices=True)
    long, short = np.sort(np.abs(nearest - np.indices(edges.shape)), axis=0)[::-1].astype(np.float64)
    straight, diagonal = np.maximum(long - 2 * short, 0), np.maximum(2 * short - long, 0)
    knight = np.minimum(short, long - short)
    return np.asarray(straight + 1.4 * diagonal + 2.1969 * knight, np.float64)


def _box(x: Floats) -> Floats:
    """Return means over 3 x 3 pixels."""
    return correlate(x, np.ones((3, 3))) / 9


def _equalised(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pictures [n h w] whose histogram is stretched to an even one.

    level -> round(255 (pixels up to it - those of the darkest level) / (all pixels - those of the darkest level))
    """
    out = x.copy()
    for one, picture in zip(out, x, strict=True):
        counts = np.bincount(picture.ravel(), minlength=256)
        darkest = counts[picture.min()]
        if darkest < picture.size:
            above = np.cumsum(counts) - darkest
            one[:] = np.rint(above * (255 / (picture.size - darkest))).clip(0, 255).astype(np.uint8)[picture]
    return out


def saturate(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures whose saturation S is a S + b."""
    a, b = c
    h, s, v = to_hsv(unit(x))
    return levels(to_rgb(h, (s * a + b).clip(0, 1), v))


EXTRA = (
    Corruption(
        "speckle-noise",
        "Speckle noise",
        "extra",
        small=each(0.06, 0.1, 0.12, 0.16, 0.2),
        large=each(0.15, 0.2, 0.35, 0.45, 0.6),
        apply=speckle_noise,
    ),
    Corruption(
        "gaussian-blur",
        "Gaussian blur",
        "extra",
        small=each(0.4, 0.6, 0.7, 0.8, 1),
        large=each(1, 2, 3, 4, 6),
        apply=gaussian_blur,
    ),
    Corruption(
        "spatter",
        "Spatter",
        "extra",
        small=(
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        large=(
            (0.65, 0.3, 4, 0.69, 0.6, 0),
            (0.65, 0.3, 3, 0.68, 0.6, 0),
            (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1),
            (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
        apply=spatter,
    ),
    Corruption(
        "saturate",
        "Saturation",
        "extra",
        small=((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
        large=((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        apply=saturate,
        colour=True,
    ),
)
"""Constants: `make_cifar_c.py` and `corruptions.py` of the authors' code."""
