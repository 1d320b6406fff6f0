"""Write the golden pictures anew, after a version moved: `python tests/corruptions/make_golden_pictures.py`."""

from pathlib import Path

import numpy as np
from drawn_pictures import drawn
from PIL import Image

from oodbench.corruptions.registry import CORRUPTIONS, corrupt

HERE = Path(__file__).parent

SHEETS = {"golden-grey-28.png": (1, 28, (1, 2, 3, 4, 5)), "golden-colour-32.png": (3, 32, (1, 5))}
"""Channels, side and severities of each sheet: a row a type, a column a severity."""


def sheet(channels, side, severities):
    """Return all corruptions of one picture as one [h w c]."""
    picture = drawn(1, channels, side, seed=9)
    names = [one.name for one in CORRUPTIONS.values() if channels == 3 or not one.colour]
    rows = [
        np.concatenate([corrupt(picture, name, severity, seed=3, index=np.array([4]))[0] for severity in severities], 2)
        for name in names
    ]
    return np.concatenate(rows, axis=1).transpose(1, 2, 0)


if __name__ == "__main__":
    for name, what in SHEETS.items():
        pixels = sheet(*what)
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(HERE / name, optimize=True)
