"""Noise: Gaussian, shot (Poisson) and impulse (salt and pepper)."""

import numpy as np

from oodbench.corruptions.draws import Draws
from oodbench.corruptions.kinds import Constants, Corruption, Floats, Grey, each, levels, unit


def gaussian_noise(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return x + sigma e, e ~ N(0, 1) a value, in units of [0, 1]."""
    (sigma,) = c
    return levels(unit(x) + sigma * draws.normal(*x.shape[1:]))


def shot_noise(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return k / lambda, k ~ Poisson(lambda x): as many photons as fall on a value."""
    (photons,) = c
    return levels(draws.poisson(unit(x) * photons) / photons)


def impulse_noise(x: Grey, c: Constants, draws: Draws) -> Floats:
    """Return pictures of which a share of the values is 0 or 1, either as likely."""
    (share,) = c
    struck, salt = draws.uniform(*x.shape[1:]) <= share, draws.uniform(*x.shape[1:]) <= 0.5
    return np.where(struck, np.where(salt, 255.0, 0.0), x)


NOISE = (
    Corruption(
        "gaussian-noise",
        "Gaussian noise",
        "noise",
        small=each(0.04, 0.06, 0.08, 0.09, 0.10),
        large=each(0.08, 0.12, 0.18, 0.26, 0.38),
        apply=gaussian_noise,
    ),
    Corruption(
        "shot-noise",
        "Shot noise",
        "noise",
        small=each(500, 250, 100, 75, 50),
        large=each(60, 25, 12, 5, 3),
        apply=shot_noise,
    ),
    Corruption(
        "impulse-noise",
        "Impulse noise",
        "noise",
        small=each(0.01, 0.02, 0.03, 0.05, 0.07),
        large=each(0.03, 0.06, 0.09, 0.17, 0.27),
        apply=impulse_noise,
    ),
)
"""Constants: `make_cifar_c.py` and `corruptions.py` of the authors' code."""
