"""Weather: snow, frost, fog and brightness."""

import numpy as np

from oodbench.corruptions.draws import Draws
from oodbench.corruptions.filters import luma, motion_blurred, tinted, zoomed
from oodbench.corruptions.hsv import to_hsv, to_rgb
from oodbench.corruptions.kinds import SMALL, Constants, Corruption, Floats, Grey, each, levels, unit


def snow(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return whitened pictures below flakes: enlarged, thresholded noise, blurred along a line, and itself upside down.

        w = clip(zoom(N(mu, sigma)) where it is >= threshold, else 0), in motion at an angle from -135 to -45 degrees
        x' = a x + (1 - a) max(x, 1.5 luma(x) + 0.5) + w + (w turned by 180 degrees)

    ImageMagick's part is as in `motion_blur`.
    """
    mu, sigma, factor, threshold, radius, spread, a = c
    flakes = zoomed(mu + sigma * draws.normal(1, *x.shape[2:]), factor)
    flakes[flakes < threshold] = 0
    layer = motion_blurred(levels(flakes).astype(np.uint8), radius, spread, draws.between(-135, -45)) / 255
    plain = unit(x)
    whitened = a * plain + (1 - a) * np.maximum(plain, luma(plain) * 1.5 + 0.5)
    return levels(whitened + layer + layer[..., ::-1, ::-1])


def frost_like(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return a x + b ice, where the ice is drawn: **not the published frost**.

    The authors lay over a picture a crop of one of five photographs of ice, of unknown licence. Here each is replaced
    by a Gaussian random field with the photograph's mean colour, standard deviation within a crop and of a crop's mean,
    and slope of the power spectrum, all measured on crops of the authors' size: as bright, as rough, but without
    crystals.
    """
    a, b = c
    channels, side = x.shape[1], x.shape[-1]
    panes = _SMALL_PANES if side <= SMALL else _LARGE_PANES
    which = draws.integers(0, len(panes))
    _, drift, spread, slope = (np.array(one) for one in zip(*panes, strict=True))
    colours = np.stack([tinted(pane[0], channels) for pane in panes])
    level = drift[which] * draws.normal()
    rough = _field(draws.normal(side, side), slope[which]) * spread[which, None, None]
    ice = colours[which] + level[:, None, None, None] + rough[:, None]
    mixed: Floats = a * x + b * ice.clip(0, 255)
    return mixed


_SMALL_PANES = (
    ((78, 149, 166), 10.7, 14.3, -0.91),
    ((201, 205, 214), 8.7, 18.2, -0.82),
    ((201, 205, 214), 8.7, 18.2, -0.82),
    ((138, 153, 166), 10.4, 26.0, -0.42),
    ((112, 123, 135), 15.6, 34.6, -1.06),
)
_LARGE_PANES = (
    ((78, 149, 166), 9.5, 15.6, -1.71),
    ((201, 205, 214), 5.8, 20.1, -2.43),
    ((201, 205, 214), 5.8, 20.1, -2.43),
    ((138, 153, 165), 6.6, 26.4, -2.05),
    ((112, 123, 135), 11.4, 35.6, -1.84),
)
"""Of each of the authors' five photographs: mean colour; standard deviation of a crop's mean, and within a crop; slope
of the power spectrum over the frequency, in logarithms. Measured at a fifth of their size on 32 x 32, and on 224 x 224.
The second and the third show the same ice."""


def _field(white: Floats, slope: Floats) -> Floats:
    """Return white noise [n h w] as fields of mean 0 and standard deviation 1 whose power falls as frequency^slope."""
    from scipy import fft

    side = white.shape[-1]
    frequency = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    amplitude = frequency ** (slope[:, None, None] / 2)
    field: Floats = fft.irfft2(fft.rfft2(white) * amplitude, s=(side, side))
    field /= field.std(axis=(1, 2), keepdims=True)
    return field


def fog(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures below a fractal cloud, the brightest value kept: (x + a cloud) max(x) / (max(x) + a)."""
    a, decay = c
    plain = unit(x)
    top = plain.max(axis=(1, 2, 3), keepdims=True)
    cloud = _plasma(draws, x.shape[-1], decay)[:, None]
    return levels((plain + a * cloud) * top / (top + a))


def _plasma(draws: Draws, side: int, decay: float) -> Floats:
    """Return a fractal height map in [0, 1] a picture [n side side], by diamonds and squares on a torus.

        midpoint = mean of its four neighbours + wobble^2 u,  u ~ U(-1, 1),  wobble = 100 / decay^level

    The torus is as wide as the next power of two, and the map is its corner. A. Fournier, D. Fussell, L. Carpenter,
    "Computer Rendering of Stochastic Models", 1982.
    """
    size = 1 << (side - 1).bit_length()
    u = draws.between(-1, 1, size * size - 1)
    n, used, step, wobble = len(u), 0, size, 100.0
    heights = np.zeros((n, size, size))

    def moved(mean_of_four: Floats) -> Floats:
        nonlocal used
        count = mean_of_four[0].size
        part = u[:, used : used + count].reshape(mean_of_four.shape)
        used += count
        return mean_of_four / 4 + wobble**2 * part

    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, half::step] = moved(pairs + np.roll(pairs, -1, axis=2))
        centres = heights[:, half::step, half::step]
        beside = corners + np.roll(corners, -1, axis=2)
        heights[:, ::step, half::step] = moved(centres + np.roll(centres, 1, axis=1) + beside)
        below = corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, ::step] = moved(centres + np.roll(centres, 1, axis=2) + below)
        step, wobble = half, wobble / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    heights /= heights.max(axis=(1, 2), keepdims=True)
    return heights[:, :side, :side]


def brightness(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures whose value (of hue, saturation and value; of grey ones the level) is raised by a constant."""
    (rise,) = c
    plain = unit(x)
    if x.shape[1] == 1:
        return levels(plain + rise)
    h, s, v = to_hsv(plain)
    return levels(to_rgb(h, s, (v + rise).clip(0, 1)))


WEATHER = (
    Corruption(
        "snow",
        "Snow",
        "weather",
        small=(
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        large=(
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        apply=snow,
    ),
    Corruption(
        "drawn-frost",
        "Drawn frost (not the published photographs)",
        "weather",
        small=((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        large=((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        apply=frost_like,
    ),
    Corruption(
        "fog",
        "Fog",
        "weather",
        small=((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        large=((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        apply=fog,
    ),
    Corruption(
        "brightness",
        "Brightness",
        "weather",
        small=each(0.05, 0.1, 0.15, 0.2, 0.3),
        large=each(0.1, 0.2, 0.3, 0.4, 0.5),
        apply=brightness,
    ),
)
"""Constants: `make_cifar_c.py` and `corruptions.py` of the authors' code: mean, standard deviation, zoom and threshold
of the flakes, radius and sigma of their motion, share of the picture; shares of picture and ice; share and decay."""
