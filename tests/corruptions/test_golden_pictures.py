"""Golden pictures: a byte that moves needs a version that moves; then run make_golden_pictures.py."""

import hashlib

import numpy as np
import pytest
from make_golden_pictures import HERE, SHEETS, sheet
from PIL import Image

from oodbench.corruptions.registry import CORRUPTIONS, corrupt

LARGE = {
    "gaussian-noise": "c8125b0bf5a0",
    "glass-blur": "fda3fbe1cc2e",
    "motion-blur": "ca8e800a1dc2",
    "elastic-transform": "a71b6f1907b9",
    "snow": "e7d87890c0ca",
}
"""How the sha256 of a picture of 224 x 224 begins, at severity 2."""


@pytest.mark.parametrize("name", SHEETS)
def test_golden_pictures(name):
    channels, side, severities = SHEETS[name]
    golden = np.asarray(Image.open(HERE / name))
    golden = golden.reshape(*golden.shape[:2], channels)
    moved = np.abs(golden.astype(int) - sheet(channels, side, severities))
    names = [one.name for one in CORRUPTIONS.values() if channels == 3 or not one.colour]
    by_name = moved.reshape(len(names), -1).max(axis=1)
    assert {name: int(away) for name, away in zip(names, by_name, strict=True) if away} == {}


@pytest.mark.parametrize("name", LARGE)
def test_golden_large(pictures, name):
    out = corrupt(pictures(1, 3, 224, seed=2), name, 2, seed=5)
    assert hashlib.sha256(out.tobytes()).hexdigest()[:12] == LARGE[name]
