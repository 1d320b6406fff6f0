"""Colours as hue, saturation and value, and back: Alvy Ray Smith, "Color gamut transform pairs", 1978."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def to_hsv(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Return hue, saturation and value in [0, 1], each [n h w], of pictures [n 3 h w].

        V = max,  S = (max - min) / max,  H = (sector + difference of the others / (max - min)) / 6

    Where several channels are the largest, the last of them says the sector.
    """
    r, g, b = (rgb[:, channel] for channel in range(3))
    v, spread = rgb.max(axis=1), np.ptp(rgb, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        s = np.where(spread == 0, 0, spread / v)
        sectors = ((g - b) / spread, 2 + (b - r) / spread, 4 + (r - g) / spread)
    h = np.select([b == v, g == v], [sectors[2], sectors[1]], sectors[0])
    h = (h / 6) % 1
    return np.where(spread == 0, 0, h), s, v


def to_rgb(h: Floats, s: Floats, v: Floats) -> Floats:
    """Return pictures [n 3 h w] of hue, saturation and value [n h w]."""
    sector = np.floor(h * 6)
    f = h * 6 - sector
    p, q, t = v * (1 - s), v * (1 - f * s), v * (1 - (1 - f) * s)
    by_sector = ((v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q))
    which = sector.astype(np.int64) % 6
    channels = [np.choose(which, [one[channel] for one in by_sector]) for channel in range(3)]
    return np.stack(channels, axis=1)
