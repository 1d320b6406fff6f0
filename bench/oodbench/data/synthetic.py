"""Synthetic out-sets: each definition of the literature under its own name.

Every set is on the 8-bit grid, since noise off the grid makes discretised likelihoods incomparable. A set *in
standardised space* is drawn as the network sees it, (x - mean) / std, and taken back to pixels with the in-set card's
mean and std, so that clipping to the pixel box is the only difference from its paper.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from oodbench.data.images import ArrayImages, Images, quantised
from oodbench.errors import BadData
from oodbench.spaces import Shape

Floats: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

CHUNK = 1000
MEAN_OF = 2000

STROKES = 5
"""Most strokes of an image."""

POINTS = 64
"""Points of a stroke's curve: at most 0.04 image sides from one to the next."""


@dataclass(frozen=True)
class Around:
    """What a synthetic set is made to resemble: the in-set's shape, images, and statistics [c 1 1]."""

    images: Images
    mean: Floats | None
    std: Floats | None

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.images.shape

    def pixels(self, standardised: Floats) -> Floats:
        """Return x = mean + std z for z [n c h w] in standardised space.

        Raises:
            BadData: The in-set has no card, so its mean and std are not known.
        """
        if self.mean is None or self.std is None:
            raise BadData(
                "a set in standardised space needs the mean and std of an in-set's card; these images have no card."
            )
        return self.mean + self.std * standardised


Draw: TypeAlias = Callable[[np.random.Generator, int, Around], Floats]
"""(generator, n, around) -> n images [n c h w] in pixel units, not yet clipped."""


def gaussian_odin(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """N(0.5, 1) a value, clipped to [0, 1] (Liang 2018; Sreeramdass & Sarawagi)."""
    return rng.normal(0.5, 1.0, (n, *around.shape))


def gaussian_oe(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """N(0, 0.5²) clipped to [-1, 1], in standardised space (Hendrycks 2019, CIFAR and Tiny ImageNet)."""
    return around.pixels(rng.normal(0.0, 0.5, (n, *around.shape)).clip(-1, 1))


def gaussian_oe_pixel(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """N(0.5, 0.5²) a value, clipped to [0, 1] (Hendrycks 2019, SVHN and MNIST)."""
    return rng.normal(0.5, 0.5, (n, *around.shape))


def gaussian_waic(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """N(0, 1) a value, clipped to [0, 1]: half the values are 0, a sixth are 1 (Choi 2018, code)."""
    return rng.normal(0.0, 1.0, (n, *around.shape))


def gaussian_hendrycks(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """The in-set's mean image plus N(0, 0.5²) (Hendrycks & Gimpel 2017: noise on mean-subtracted input).

    Theirs is unclipped; here, as everywhere, pixels end at 0 and 1. The mean is that of the first 2,000 in-set images.
    """
    return _mean_image(around.images) + rng.normal(0.0, 0.5, (n, *around.shape))


def uniform(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """U[0, 1] a value (Liang 2018; Choi 2018)."""
    return rng.uniform(0.0, 1.0, (n, *around.shape))


def uniform_standardised(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """U[-1, 1] a value, in standardised space (Hendrycks 2019, validation)."""
    return around.pixels(rng.uniform(-1.0, 1.0, (n, *around.shape)))


def rademacher(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """-1 or 1 with equal probability a value, in standardised space (Hendrycks 2019, CIFAR)."""
    return around.pixels(2 * bernoulli(rng, n, around) - 1)


def bernoulli(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """0 or 1 with equal probability a value (Hendrycks 2019, SVHN and MNIST)."""
    return rng.integers(0, 2, (n, *around.shape)).astype(np.float64)


def blobs(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """2 b - 1 in standardised space, b as in `blobs_pixel` (Hendrycks 2019, CIFAR)."""
    return around.pixels(2 * blobs_pixel(rng, n, around) - 1)


def blobs_pixel(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """b: a Bernoulli(0.7) field, blurred by a Gaussian, values below 0.75 set to 0 (Hendrycks 2019, SVHN and MNIST).

    σ = 1.5, or 2 from 64 pixels on. The blur runs across the colour axis too, as the paper's code has it.
    """
    sigma = 2.0 if max(around.shape[1:]) >= 64 else 1.5
    field = (rng.uniform(size=(n, *around.shape)) < 0.7).astype(np.float64)
    blurred = ndimage.gaussian_filter(field, sigma=(0, sigma, sigma, sigma), mode="nearest", truncate=4.0)
    return np.where(blurred < 0.75, 0.0, blurred)


def strokes(rng: np.random.Generator, n: int, around: Around) -> Floats:
    """One to five strokes of a pen on black: cubic Bezier curves of random place, length, width and brightness.

    A curve begins anywhere but in the outer tenth; each of its other three control points lies up to a reach of 0.2 to
    0.6 image sides from the one before, in both directions. The pen's radius is 0.02 to 0.12 sides, thin pens more
    often than thick ones; brightness is 0.4 to 1, of each colour apart; where strokes cross, the brighter one shows. An
    edge is one pixel wide.

    Sums, products and square roots alone, whose last bits are the same on every machine.
    """
    channels, height, width = around.shape
    side = min(height, width)
    many = rng.integers(1, STROKES + 1, n)
    image = np.zeros((n, *around.shape))
    for stroke in range(STROKES):
        points = _bezier(rng, n) * (height, width)
        radius = side * 0.02 * (1 + 5 * rng.uniform(size=n) ** 2)
        brightness = rng.uniform(0.4, 1.0, (n, channels)) * (stroke < many)[:, None]
        ink = (0.5 + radius[:, None, None] - _distance(points, height, width)).clip(0, 1)
        np.maximum(image, ink[:, None] * brightness[:, :, None, None], out=image)
    return image


def _bezier(rng: np.random.Generator, n: int) -> Floats:
    """Return points of n random curves [n POINTS 2], rows and columns in units of the image's sides."""
    reach = rng.uniform(0.2, 0.6, (n, 1, 1))
    start, moves = rng.uniform(0.1, 0.9, (n, 1, 2)), reach * rng.uniform(-1, 1, (n, 3, 2))
    a, b, c, d = np.moveaxis(np.concatenate([start, moves], axis=1).cumsum(axis=1)[:, :, None], 1, 0)
    t = np.linspace(0, 1, POINTS)[:, None]
    points: Floats = (1 - t) * (1 - t) * ((1 - t) * a + 3 * t * b) + t * t * (3 * (1 - t) * c + t * d)
    return points


def _distance(points: Floats, height: int, width: int) -> Floats:
    """Return how far the middle of each pixel is from the nearest of an image's points [n h w], in pixels."""
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    nearest = np.full((len(points), height, width), np.inf)
    for row, column in np.moveaxis(points, 0, 2):
        down, right = (rows - row[:, None]) ** 2, (columns - column[:, None]) ** 2
        np.minimum(nearest, down[:, :, None] + right[:, None, :], out=nearest)
    distance: Floats = np.sqrt(nearest)
    return distance


DRAWS: dict[str, Draw] = {
    "gaussian-odin": gaussian_odin,
    "gaussian-oe": gaussian_oe,
    "gaussian-oe-pixel": gaussian_oe_pixel,
    "gaussian-waic": gaussian_waic,
    "gaussian-hendrycks": gaussian_hendrycks,
    "uniform": uniform,
    "uniform-standardised": uniform_standardised,
    "rademacher": rademacher,
    "bernoulli": bernoulli,
    "blobs": blobs,
    "blobs-pixel": blobs_pixel,
    "strokes": strokes,
}


def drawn(name: str, n: int, around: Around, rng: np.random.Generator) -> ArrayImages:
    """Return n images of the random set `name`, drawn in chunks so that only the bytes are held."""
    chunks = [quantised(DRAWS[name](rng, min(CHUNK, n - start), around)) for start in range(0, n, CHUNK)]
    return ArrayImages(np.concatenate(chunks))


def constant(n: int, shape: Shape) -> ArrayImages:
    """Return n images of one grey value each: 0, 128, 64, 192, 32 ... (bits of the count reversed; all 256 differ).

    The first two are Nalisnick's: 0 for Fashion-MNIST, 128 for CIFAR-10.
    """
    if n > 256:
        raise BadData(f"constant: got n = {n}, expected at most 256, the number of grey values.")
    values = [int(f"{k:08b}"[::-1], 2) for k in range(n)]
    return ArrayImages(np.repeat(np.array(values, np.uint8), int(np.prod(shape))).reshape(n, *shape))


def black(n: int, shape: Shape) -> ArrayImages:
    """Return the black image.

    It is Nalisnick's constant image of Fashion-MNIST, where all n are this one; a score has one value for all of them.
    """
    if n > 1:
        raise BadData(f"black: got n = {n}, expected 1: black images are all the same input, with one score.")
    return ArrayImages(np.zeros((n, *shape), np.uint8))


FIXED: dict[str, Callable[[int, Shape], ArrayImages]] = {"constant": constant, "black": black}
"""Sets without chance: (n, shape) -> n images."""


def _mean_image(images: Images) -> Floats:
    mean: Floats = images.batch(slice(0, MEAN_OF)).mean(0, dtype=np.float64)
    return mean
