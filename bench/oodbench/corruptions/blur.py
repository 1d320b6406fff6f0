"""Blur: out of focus, through frosted glass, by motion and by zooming."""

from functools import cache

import numpy as np

from oodbench.corruptions.draws import Draws
from oodbench.corruptions.filters import correlate, gaussian, motion_blurred, zoomed
from oodbench.corruptions.kinds import Constants, Corruption, Floats, Grey, levels, unit


def defocus_blur(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures averaged over a disk of some radius, whose edge is softened by a Gaussian.

    The disk's kernel is float32, as the authors'; OpenCV filters large kernels by Fourier transforms, whose sums round
    otherwise: a level in a few of ten thousand values.
    """
    return levels(correlate(unit(x), _disk(*c)))


@cache
def _disk(radius: float, softness: float) -> Floats:
    """Return the kernel: 17 wide up to radius 8, else 2 radius + 1; softened by 3 x 3, or 5 x 5, Gaussian weights."""
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    steps = np.arange(-reach, reach + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.float32)
    soft = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * softness**2))
    soft /= soft.sum()
    kernel = correlate((disk / disk.sum()).astype(np.float64), np.outer(soft, soft))
    return kernel.astype(np.float32).astype(np.float64)


def glass_blur(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures that are blurred, shuffled within a few pixels, and blurred again.

    Pixels are visited from the bottom right, and each takes the value of another, up to `reach` above and left of it
    (at most `reach` - 1 below and right). The authors mean to swap the two; as their code stands on arrays of colours,
    the other keeps its value, and the published files are made so. Here grey pictures are, too.
    """
    sigma, reach, rounds = c[0], int(c[1]), int(c[2])
    n, channels, side, _ = x.shape
    blurred = (gaussian(unit(x), sigma) * 255).astype(np.uint8)
    source = _shuffled(n, side, reach, rounds, draws)
    shuffled = np.take_along_axis(blurred.reshape(n, channels, -1), source[:, None], axis=2).reshape(x.shape)
    return levels(gaussian(unit(shuffled), sigma))


def _shuffled(
    n: int, side: int, reach: int, rounds: int, draws: Draws
) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Return the pixel that each pixel's value comes from [n h*w]."""
    visited = range(side - reach, reach, -1)
    moves = draws.integers(-reach, reach, rounds, len(visited), len(visited), 2)
    other = moves[..., 1] * side + moves[..., 0]
    source = np.tile(np.arange(side * side), (n, 1)).T.copy()  # [h*w n]: a pixel of all pictures lies together
    every = np.arange(n)
    for a in range(rounds):
        for b, row in enumerate(visited):
            for d, column in enumerate(visited):
                place = row * side + column
                source[place] = source[place + other[:, a, b, d], every]
    return source.T


def motion_blur(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures blurred along a line at an angle from -45 to 45 degrees.

    The authors ask ImageMagick, whose grey levels these are; `motion_blurred` has the formula.
    """
    radius, sigma = c
    return motion_blurred(x, radius, sigma, draws.between(-45, 45))


def zoom_blur(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return the mean of a picture and of itself zoomed by 1, 1 + step, ... up to a largest factor.

    The picture counts twice, since a factor is 1. Sums are float32, as the authors'. Their steps are NumPy's `arange`,
    which in floating point may reach its end (1.06 of `arange(1, 1.06, 0.01)`) or not.
    """
    end, step = c
    factors = np.arange(1, end, step)
    plain = unit(x).astype(np.float32)
    total = np.zeros_like(plain)
    for factor in factors:
        total += zoomed(plain.astype(np.float64), float(factor)).astype(np.float32)
    return levels((plain + total) / np.float32(len(factors) + 1))


BLUR = (
    Corruption(
        "defocus-blur",
        "Defocus blur",
        "blur",
        small=((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        large=((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        apply=defocus_blur,
    ),
    Corruption(
        "glass-blur",
        "Glass blur",
        "blur",
        small=((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        large=((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        apply=glass_blur,
    ),
    Corruption(
        "motion-blur",
        "Motion blur",
        "blur",
        small=((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        large=((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        apply=motion_blur,
    ),
    Corruption(
        "zoom-blur",
        "Zoom blur",
        "blur",
        small=((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        large=((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        apply=zoom_blur,
    ),
)
"""Constants: `make_cifar_c.py` and `corruptions.py` of the authors' code: radius and softness; sigma, reach and rounds;
radius and sigma; end and step of the factors."""
