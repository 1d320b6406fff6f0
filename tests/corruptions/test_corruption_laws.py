"""What holds for every corruption."""

import numpy as np
import pytest

from oodbench.corruptions import registry
from oodbench.corruptions.registry import CORRUPTIONS, FIFTEEN, SEVERITIES, corrupt, find_corruption
from oodbench.errors import BadData, UnknownName

EVERY = pytest.mark.parametrize("name", CORRUPTIONS)

NOT_RANDOM = {
    *("defocus-blur", "zoom-blur", "brightness", "contrast", "pixelate", "jpeg-compression"),
    *("gaussian-blur", "saturate"),
}

NOT_MONOTONE = {
    "glass-blur": "its severities 2 and 4, and 3 and 5, have the same blur",
    "elastic-transform": "mild ones move the whole picture furthest",
    "saturate": "severities 1 and 2 take colour away, the others add some",
    "spatter": "severities 4 and 5 are another substance",
    "drawn-frost": "as of the published one, severities 3 to 5 darken the picture while the ice gets brighter",
}


def grey_or_colour(name):
    return 3 if CORRUPTIONS[name].colour else 1


def test_there_are_fifteen_and_four():
    assert len(FIFTEEN) == 15
    assert [one.name for one in CORRUPTIONS.values() if one.family == "extra"] == [
        "speckle-noise",
        "gaussian-blur",
        "spatter",
        "saturate",
    ]
    assert list(CORRUPTIONS)[:15] == list(FIFTEEN)


@EVERY
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 8)])
def test_a_picture_is_changed_alike_in_any_batch(pictures, name, channels, side, monkeypatch):
    if CORRUPTIONS[name].colour and channels == 1:
        pytest.skip("a change of colours")
    x = pictures(7, channels, side)
    before = x.copy()
    whole = corrupt(x, name, 4, seed=1)
    assert (x == before).all()
    assert (whole.dtype, whole.shape) == (np.uint8, x.shape)
    some = np.array([5, 0, 3])
    assert (corrupt(x[some], name, 4, seed=1, index=some) == whole[some]).all()
    monkeypatch.setattr(registry, "AT_ONCE", 2 * x[0].size)
    assert (corrupt(x, name, 4, seed=1) == whole).all()


@EVERY
def test_place_and_seed_and_severity_draw_anew(pictures, name):
    x = np.repeat(pictures(1, grey_or_colour(name), 32), 2, axis=0)
    first, second = corrupt(x, name, 5)
    other = corrupt(x, name, 5, seed=1)[0]
    assert bool((first == second).all()) == (name in NOT_RANDOM)
    assert bool((first == other).all()) == (name in NOT_RANDOM)


@EVERY
def test_of_no_pictures_there_are_none(name):
    assert corrupt(np.zeros((0, 3, 32, 32), np.uint8), name, 1).shape == (0, 3, 32, 32)


@EVERY
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_pictures_too(name, level):
    x = np.full((2, 3, 28, 28), level, np.uint8)
    assert corrupt(x, name, 3).shape == x.shape


@pytest.mark.parametrize(("channels", "side", "n"), [(1, 28, 60), (3, 32, 40)])
@EVERY
def test_severities_move_a_picture_further_and_further(pictures, name, channels, side, n):
    if name in NOT_MONOTONE:
        pytest.skip(NOT_MONOTONE[name])
    x = pictures(n, channels, side).astype(float)
    away = [np.abs(corrupt(x.astype(np.uint8), name, severity) - x).mean() for severity in SEVERITIES]
    assert (np.diff(away) > 0).all()
    assert away[0] > 0


@pytest.mark.parametrize(
    "name", ["gaussian-noise", "defocus-blur", "fog", "contrast", "jpeg-compression", "pixelate", "snow"]
)
def test_large_pictures_have_constants_of_their_own(pictures, name):
    x = pictures(1, 3, 224)
    away = [np.abs(corrupt(x, name, severity).astype(float) - x).mean() for severity in (1, 5)]
    assert 0 < away[0] < away[1]
    one = CORRUPTIONS[name]
    assert one.constants(224, 1) == one.large[0] != one.constants(32, 1)


@pytest.mark.parametrize(
    ("channels", "name"), [(1, "elastic-transform"), (3, "motion-blur"), (1, "spatter"), (3, "drawn-frost")]
)
def test_large_pictures_are_grey_or_colour(pictures, channels, name):
    x = pictures(1, channels, 224)
    assert (corrupt(x, name, 2) != x).mean() > 0.01


@pytest.mark.parametrize(
    ("images", "name", "severity", "message"),
    [
        (np.zeros((1, 3, 32, 32)), "fog", 1, r"fog: got float64\[1, 3, 32, 32\], expected uint8"),
        (np.zeros((3, 32, 32), np.uint8), "fog", 1, r"got uint8\[3, 32, 32\], expected uint8 grey levels \[n c h w\]"),
        ([1], "fog", 1, "got list, expected uint8"),
        (np.zeros((1, 3, 32, 32), np.uint8), "fog", 0, "got severity 0, expected one of"),
        (np.zeros((1, 2, 32, 32), np.uint8), "fog", 1, "pictures of 2 channels"),
        (np.zeros((1, 1, 32, 32), np.uint8), "saturate", 1, "changes colours, and grey pictures have none"),
        (np.zeros((1, 1, 64, 64), np.uint8), "fog", 1, "64 x 64 pixels have no constants"),
        (np.zeros((1, 1, 32, 28), np.uint8), "fog", 1, "32 x 28 pixels have no constants"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(images, name, severity, message):
    with pytest.raises(BadData, match=message):
        corrupt(images, name, severity)


@pytest.mark.parametrize("index", [np.array([0]), np.array([0, -1])])
def test_places_must_fit(index):
    with pytest.raises(BadData, match="expected one each"):
        corrupt(np.zeros((2, 1, 28, 28), np.uint8), "fog", 1, index=index)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="gaussian-noise"):
        find_corruption("gaussian-nose")
