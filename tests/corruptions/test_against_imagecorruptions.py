"""Every corruption with ImageNet-C's constants against imagecorruptions, given the same random numbers.

The library is an oracle only: three of its functions call scikit-image as it was, which is mended here.
"""

import importlib
import sys
import types

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from oodbench.corruptions.draws import draws
from oodbench.corruptions.registry import corrupt
from oodbench.corruptions.weather import _plasma

SIDE, PLACE, SEED = 160, 3, 7


@pytest.fixture(scope="module")
def oracle():
    with pytest.MonkeyPatch.context() as patch:  # a skip undoes it, too
        stub = types.ModuleType("pkg_resources")
        stub.resource_filename = lambda package, name: name
        patch.setitem(sys.modules, "pkg_resources", stub)
        for name in ("scipy.ndimage.interpolation",):
            patch.setitem(sys.modules, name, importlib.import_module("scipy.ndimage"))
        patch.setattr(np, "float_", np.float64, raising=False)
        pytest.importorskip("cv2", reason="OpenCV, which imagecorruptions calls, is not installed")
        pytest.importorskip("imagecorruptions", reason="the oracle imagecorruptions is not installed")
        module = importlib.import_module("imagecorruptions.corruptions")
        from skimage.filters import gaussian

        def as_it_was(image, sigma=1, multichannel=False, **more):
            return gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **more)

        patch.setattr(module, "gaussian", as_it_was)
        yield module


def both(oracle, patch, picture, name, theirs, severity, **random):
    """Return our corrupted picture and the oracle's, whose random functions return what `random` says."""
    for function, replay in random.items():
        patch.setattr(np.random, function, replay)
    ours = corrupt(picture, name, severity, seed=SEED, index=np.array([PLACE]))
    image = Image.fromarray(picture[0].transpose(1, 2, 0) if picture.shape[1] == 3 else picture[0, 0])
    given = np.asarray(getattr(oracle, theirs)(image, severity))
    given = given[..., None] if given.ndim == 2 else given
    return ours[0].astype(int), np.uint8(given).transpose(2, 0, 1).astype(int)


def stream(name, severity):
    return draws(np.array([PLACE]), name, severity, SEED)


def equal(pair, share=1.0, most=0):
    ours, theirs = pair
    away = np.abs(ours - theirs)
    assert (away == 0).mean() >= share
    assert np.sort(away.ravel())[int(len(away.ravel()) * 0.9995) - 1] <= most


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("gaussian-blur", "gaussian_blur"),
        ("zoom-blur", "zoom_blur"),
        ("brightness", "brightness"),
        ("contrast", "contrast"),
        ("pixelate", "pixelate"),
        ("jpeg-compression", "jpeg_compression"),
        ("saturate", "saturate"),
    ],
)
def test_what_is_not_random_is_equal(oracle, monkeypatch, pictures, name, theirs, channels, severity):
    if channels == 1 and name in ("saturate", "gaussian-blur", "zoom-blur"):
        pytest.skip("the oracle takes colours alone")
    picture = pictures(1, channels, SIDE)
    equal(both(oracle, monkeypatch, picture, name, theirs, severity), share=0.9999, most=0)


@pytest.mark.parametrize("severity", [1, 2, 5])
def test_defocus_blur(oracle, monkeypatch, pictures, severity):
    equal(both(oracle, monkeypatch, pictures(1, 3, SIDE), "defocus-blur", "defocus_blur", severity), 0.999, 1)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize(("name", "theirs"), [("gaussian-noise", "gaussian_noise"), ("speckle-noise", "speckle_noise")])
def test_normal_noise(oracle, monkeypatch, pictures, name, theirs, severity):
    z = stream(name, severity).normal(3, SIDE, SIDE)[0].transpose(1, 2, 0)
    picture = pictures(1, 3, SIDE)
    equal(both(oracle, monkeypatch, picture, name, theirs, severity, normal=lambda size, scale: z * scale), 0.99999)


def test_shot_noise(oracle, monkeypatch, pictures):
    picture = pictures(1, 3, SIDE)

    def poisson(mean):
        return stream("shot-noise", 2).poisson(mean.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)

    equal(both(oracle, monkeypatch, picture, "shot-noise", "shot_noise", 2, poisson=poisson))


def test_glass_blur(oracle, monkeypatch, pictures):
    reach, rounds, visited = 2, 1, SIDE - 2 * 2
    moves = iter(stream("glass-blur", 2).integers(-reach, reach, rounds, visited, visited, 2).reshape(-1, 2))
    picture = pictures(1, 3, SIDE)
    pair = both(
        oracle, monkeypatch, picture, "glass-blur", "glass_blur", 2, randint=lambda low, high, size: next(moves)
    )
    equal(pair)


@pytest.mark.parametrize("severity", [1, 5])
def test_motion_blur(oracle, monkeypatch, pictures, severity):
    angle = stream("motion-blur", severity).between(-45, 45)[0]
    picture = pictures(1, 3, SIDE)
    ours, theirs = both(
        oracle, monkeypatch, picture, "motion-blur", "motion_blur", severity, uniform=lambda low, high: angle
    )
    inside = slice(45, -45)  # beyond the border the oracle repeats the line beside the outermost
    away = (ours - theirs)[:, inside, inside]
    assert set(np.unique(away)) <= {0, 1}  # they cut fractions off, ImageMagick rounds


def test_motion_blur_repeats_the_outermost_pixels(pictures):
    picture = np.full((1, 1, 28, 28), 90, np.uint8)
    assert (corrupt(picture, "motion-blur", 5) == 90).all()


@pytest.mark.parametrize("severity", [1, 3])
def test_fog(oracle, monkeypatch, pictures, severity):
    u = stream("fog", severity).between(-1, 1, 256 * 256 - 1)[0]
    used = 0

    def uniform(low, high, shape):
        nonlocal used
        part = u[used : used + np.prod(shape)].reshape(shape)
        used += np.prod(shape)
        return high * part

    picture = pictures(1, 3, SIDE)
    equal(both(oracle, monkeypatch, picture, "fog", "fog", severity, uniform=uniform), 0.9999)
    assert used == 256 * 256 - 1


def test_the_cloud_is_between_0_and_1_and_fills_that():
    cloud = _plasma(stream("fog", 1), 28, 3)
    whole = _plasma(stream("fog", 1), 32, 3)
    assert (whole.min(), whole.max()) == (0, 1)
    assert (cloud == whole[:, :28, :28]).all()


def centre_enlarged(image, factor):
    side = len(image)
    inner = int(np.ceil(side / factor))
    top = (side - inner) // 2
    large = zoom(image[top : top + inner, top : top + inner], (factor, factor, 1), order=1)
    cut = (len(large) - side) // 2
    return large[cut : cut + side, cut : cut + side]


@pytest.mark.parametrize("severity", [1, 4])
def test_snow(oracle, monkeypatch, pictures, severity):
    mine = stream("snow", severity)
    z, angle = mine.normal(1, SIDE, SIDE)[0, 0], mine.between(-135, -45)[0]
    monkeypatch.setattr(oracle, "clipped_zoom", centre_enlarged)  # theirs does not cut around the centre
    pair = both(
        oracle,
        monkeypatch,
        pictures(1, 3, SIDE),
        "snow",
        "snow",
        severity,
        normal=lambda size, loc, scale: loc + scale * z,
        uniform=lambda low, high: angle,
    )
    away = np.abs(pair[0] - pair[1])[:, 30:-30, 30:-30]
    assert np.percentile(away, 99) <= 2  # they round the flakes after the motion, the authors before and after


@pytest.mark.parametrize("severity", [1, 3, 4, 5])
def test_spatter(oracle, monkeypatch, pictures, severity):
    z = stream("spatter", severity).normal(SIDE, SIDE)[0]
    pair = both(
        oracle,
        monkeypatch,
        pictures(1, 3, SIDE),
        "spatter",
        "spatter",
        severity,
        normal=lambda size, loc, scale: loc + scale * z,
    )
    equal(pair, 0.998, 2)  # of two edges, the nearer one in OpenCV's steps may be the farther by Euclid
