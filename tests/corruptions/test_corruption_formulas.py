"""Each corruption against a plain loop over its formula, in float64, on the same random numbers."""

import colorsys
import math
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from oodbench.corruptions.draws import draws
from oodbench.corruptions.registry import CORRUPTIONS, corrupt
from oodbench.corruptions.weather import _LARGE_PANES, _SMALL_PANES

PLACE, SEED = 5, 11
BOTH = pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])


def ours(picture, name, severity):
    return corrupt(picture[None], name, severity, seed=SEED, index=np.array([PLACE]))[0]


def stream(name, severity):
    return draws(np.array([PLACE]), name, severity, SEED)


def constants(name, severity):
    return CORRUPTIONS[name].small[severity - 1]


def cut_off(levels):
    return np.clip(levels, 0, 255).astype(np.uint8)


@BOTH
def test_gaussian_noise(pictures, channels, side):
    picture = pictures(1, channels, side)[0]
    z = stream("gaussian-noise", 2).normal(channels, side, side)[0]
    expected = [
        int(255 * min(max(int(value) / 255 + 0.06 * e, 0), 1)) for value, e in zip(picture.flat, z.flat, strict=True)
    ]
    assert ours(picture, "gaussian-noise", 2).ravel().tolist() == expected


@BOTH
def test_speckle_noise(pictures, channels, side):
    picture = pictures(1, channels, side)[0]
    z = stream("speckle-noise", 4).normal(channels, side, side)[0]
    x = picture / 255
    assert (ours(picture, "speckle-noise", 4) == cut_off((x + x * 0.16 * z).clip(0, 1) * 255)).all()


def test_gaussian_noise_has_its_variance():
    grey = np.full((200, 1, 28, 28), 128, np.uint8)
    for severity, sigma in enumerate((0.04, 0.06, 0.08, 0.09, 0.10), 1):
        noise = corrupt(grey, "gaussian-noise", severity).astype(float) - 128
        assert noise.std() == pytest.approx(255 * sigma, rel=0.01)
        assert noise.mean() == pytest.approx(-0.5, abs=0.3)  # fractions are cut off


def test_shot_noise_is_poisson():
    grey = np.full((200, 1, 28, 28), 102, np.uint8)  # 0.4
    for severity, photons in enumerate((500, 250, 100, 75, 50), 1):
        counts = np.ceil(corrupt(grey, "shot-noise", severity) / 255 * photons)  # fractions of levels are cut off
        exact = photons <= 100  # else a level holds several counts
        assert counts.mean() == pytest.approx(0.4 * photons, rel=0.003 if exact else 0.01)
        assert counts.var() == pytest.approx(0.4 * photons, rel=0.02 if exact else 0.06)
    counts = np.unique(corrupt(grey, "shot-noise", 5))
    assert set(counts.tolist()) <= {int(k / 50 * 255) for k in range(51)}


def test_impulse_noise_strikes_its_share():
    grey = np.full((300, 1, 28, 28), 77, np.uint8)
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07), 1):
        levels = corrupt(grey, "impulse-noise", severity)
        assert set(np.unique(levels)) == {0, 77, 255}
        assert (levels != 77).mean() == pytest.approx(share, rel=0.05)
        assert (levels == 255).mean() == pytest.approx(share / 2, rel=0.08)


def test_impulse_noise_strikes_each_channel():
    struck = corrupt(np.full((20, 3, 32, 32), 77, np.uint8), "impulse-noise", 5) != 77
    assert (struck.any(axis=1) & ~struck.all(axis=1)).any()


@BOTH
@pytest.mark.parametrize("severity", [1, 4, 5])
def test_defocus_blur(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    radius, softness = constants("defocus-blur", severity)
    disk = np.array([[float(i * i + j * j <= radius**2) for i in range(-8, 9)] for j in range(-8, 9)])
    disk /= disk.sum()
    weight = [math.exp(-(i * i) / (2 * softness**2)) for i in (-1, 0, 1)]
    soft = np.outer(weight, weight) / sum(weight) ** 2
    kernel = ndimage.convolve(disk, soft, mode="mirror").astype(np.float32)
    expected = np.empty((channels, side, side))
    for plane, out in zip(np.pad(picture / 255, ((0, 0), (8, 8), (8, 8)), mode="reflect"), expected, strict=True):
        for row in range(side):
            for column in range(side):
                out[row, column] = (plane[row : row + 17, column : column + 17] * kernel).sum()
    away = np.abs(ours(picture, "defocus-blur", severity).astype(int) - cut_off(expected.clip(0, 1) * 255))
    assert away.max() <= 1  # at an exact level a sum may round to either side
    assert (away == 0).mean() > 0.99


@BOTH
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_glass_blur(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    sigma, reach, rounds = constants("glass-blur", severity)
    x = np.uint8(ndimage.gaussian_filter(picture / 255, (0, sigma, sigma), mode="nearest") * 255).transpose(1, 2, 0)
    visited = range(side - reach, reach, -1)
    moves = iter(
        stream("glass-blur", severity).integers(-reach, reach, rounds, len(visited), len(visited), 2).reshape(-1, 2)
    )
    for _ in range(rounds):
        for row in visited:
            for column in visited:
                dx, dy = next(moves)
                x[row, column], x[row + dy, column + dx] = x[row + dy, column + dx], x[row, column]  # views: one copy
    blurred = ndimage.gaussian_filter(x.transpose(2, 0, 1) / 255, (0, sigma, sigma), mode="nearest")
    assert (ours(picture, "glass-blur", severity) == cut_off(blurred.clip(0, 1) * 255)).all()


def line_of(picture, radius, sigma, angle):
    """Return ImageMagick's motion blur of a picture [c h w]."""
    weights = [math.exp(-i * i / (2 * sigma * sigma)) for i in range(2 * radius + 1)]
    _, h, w = picture.shape
    out = np.zeros(picture.shape)
    for i, weight in enumerate(weights):
        dy = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        dx = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        for row in range(h):
            for column in range(w):
                from_row, from_column = min(max(row + dy, 0), h - 1), min(max(column + dx, 0), w - 1)
                out[:, row, column] += weight / sum(weights) * picture[:, from_row, from_column]
    return np.floor(out + 0.5)


@BOTH
@pytest.mark.parametrize("severity", [1, 5])
def test_motion_blur(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    angle = stream("motion-blur", severity).between(-45, 45)[0]
    expected = line_of(picture.astype(float), *constants("motion-blur", severity), angle)
    assert (ours(picture, "motion-blur", severity) == expected).all()


@BOTH
@pytest.mark.parametrize(("severity", "factors"), [(1, 7), (2, 12), (5, 26)])
def test_zoom_blur(pictures, channels, side, severity, factors):
    picture = pictures(1, channels, side)[0]
    x = (picture / 255).astype(np.float32)
    zooms = np.arange(1, *constants("zoom-blur", severity))
    assert len(zooms) in (factors, factors - 1)
    total = np.zeros_like(x)
    for factor in zooms:
        total += centre_enlarged(x, factor)
    expected = ((x + total) / (len(zooms) + 1)).clip(0, 1) * np.float32(255)
    away = np.abs(ours(picture, "zoom-blur", severity).astype(int) - cut_off(expected))
    assert away.max() <= 1
    assert (away == 0).mean() > 0.999


def centre_enlarged(x, factor):
    side = x.shape[-1]
    inner = math.ceil(side / factor)
    top = (side - inner) // 2
    large = ndimage.zoom(x[:, top : top + inner, top : top + inner], (1, factor, factor), order=1)
    cut = (large.shape[-1] - side) // 2
    return large[:, cut : cut + side, cut : cut + side]


def weighed(rgb):
    return rgb if len(rgb) == 1 else (rgb[0] * 0.299 + rgb[1] * 0.587 + rgb[2] * 0.114)[None]


@BOTH
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_snow(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    mu, sigma, factor, threshold, radius, spread, share = constants("snow", severity)
    mine = stream("snow", severity)
    flakes, angle = mu + sigma * mine.normal(1, side, side)[0], mine.between(-135, -45)[0]
    flakes = centre_enlarged(flakes, factor)
    flakes = np.uint8(np.where(flakes < threshold, 0, flakes).clip(0, 1) * 255)
    layer = line_of(flakes.astype(float), radius, spread, angle) / 255
    x = picture / 255
    white = share * x + (1 - share) * np.maximum(x, 1.5 * weighed(x) + 0.5)
    expected = cut_off((white + layer + np.rot90(layer, 2, axes=(1, 2))).clip(0, 1) * 255)
    away = np.abs(ours(picture, "snow", severity).astype(int) - expected)
    assert away.max() <= 1
    assert (away == 0).mean() > 0.999


@BOTH
def test_drawn_frost_is_as_bright_and_as_rough_as_the_photographs(channels, side):
    black = np.zeros((600, channels, side, side), np.uint8)
    ice = corrupt(black, "drawn-frost", 5).astype(float) / 0.45
    colours = np.array([pane[0] for pane in _SMALL_PANES], float)
    expected = colours.mean(axis=0) if channels == 3 else [(colours @ [0.299, 0.587, 0.114]).mean()]
    assert ice.mean(axis=(0, 2, 3)) == pytest.approx(expected, abs=5)
    assert ice.std(axis=(2, 3)).mean() == pytest.approx(np.mean([pane[2] for pane in _SMALL_PANES]), abs=2)


def test_drawn_frost_mixes_as_the_published_one():
    """a x + b ice: what does not come from the picture is the same whatever the picture."""
    dark, light = (np.full((5, 3, 32, 32), level, np.uint8) for level in (0, 60))
    for severity, (a, _) in enumerate(CORRUPTIONS["drawn-frost"].small, 1):
        rise = corrupt(light, "drawn-frost", severity).astype(int) - corrupt(dark, "drawn-frost", severity)
        assert np.abs(rise - a * 60).max() <= 1


def test_drawn_frost_is_smoother_where_the_photographs_are():
    """Two of the photographs are the same ice; large crops of it have the steepest spectrum."""
    assert [pane[3] for pane in _LARGE_PANES].index(-2.43) == 1
    ice = corrupt(np.zeros((3, 1, 224, 224), np.uint8), "drawn-frost", 5).astype(float)
    assert (np.abs(np.diff(ice)).mean(axis=(1, 2, 3)) < ice.std(axis=(1, 2, 3))).all()


@BOTH
@pytest.mark.parametrize("severity", [1, 5])
def test_fog(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    strength, decay = constants("fog", severity)
    u = iter(stream("fog", severity).between(-1, 1, 32 * 32 - 1)[0])
    cloud, step, wobble = {(0, 0): 0.0}, 32, 100.0
    while step >= 2:
        half = step // 2
        grid = range(0, 32, step)

        def midpoint(*corners, cloud=cloud, wobble=wobble):
            return sum(cloud[r % 32, c % 32] for r, c in corners) / 4 + wobble * wobble * next(u)

        centre = {
            (r + half, c + half): midpoint((r, c), (r + step, c), (r, c + step), (r + step, c + step))
            for r in grid
            for c in grid
        }
        cloud |= centre
        beside = {
            (r, c + half): midpoint((r, c), (r, c + step), (r - half, c + half), (r + half, c + half))
            for r in grid
            for c in grid
        }
        below = {
            (r + half, c): midpoint((r, c), (r + step, c), (r + half, c - half), (r + half, c + half))
            for r in grid
            for c in grid
        }
        cloud |= beside | below
        step, wobble = half, wobble / decay
    heights = np.array([[cloud[r, c] for c in range(32)] for r in range(32)])
    heights = (heights - heights.min()) / (heights.max() - heights.min())
    x = picture / 255
    expected = (x + strength * heights[:side, :side]) * x.max() / (x.max() + strength)
    away = np.abs(ours(picture, "fog", severity).astype(int) - cut_off(expected.clip(0, 1) * 255))
    assert away.max() <= 1
    assert (away == 0).mean() > 0.999


def test_fog_on_black_is_black():
    assert not corrupt(np.zeros((2, 3, 32, 32), np.uint8), "fog", 5).any()


@pytest.mark.parametrize("severity", [1, 4, 5])
@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_colours(pictures, name, severity):
    picture = pictures(1, 3, 32, seed=severity)[0]
    c = constants(name, severity)
    expected = np.empty((3, 32, 32))
    for row in range(32):
        for column in range(32):
            h, s, v = colorsys.rgb_to_hsv(*(picture[:, row, column] / 255))
            s, v = (min(s * c[0] + c[1], 1), v) if name == "saturate" else (s, min(v + c[0], 1))
            expected[:, row, column] = colorsys.hsv_to_rgb(h, s, v)
    away = np.abs(ours(picture, name, severity).astype(int) - cut_off(expected * 255))
    assert away.max() <= 1
    assert (away == 0).mean() > 0.98


def test_brightness_of_grey_is_that_of_equal_channels(pictures):
    grey = pictures(3, 1, 28)
    assert (corrupt(np.repeat(grey, 3, axis=1), "brightness", 3) == corrupt(grey, "brightness", 3)).all()


@BOTH
def test_contrast(pictures, channels, side):
    picture = pictures(1, channels, side)[0]
    x = picture / 255
    expected = np.stack([(plane - plane.mean()) * 0.4 + plane.mean() for plane in x])
    assert (ours(picture, "contrast", 3) == cut_off(expected * 255)).all()


@BOTH
@pytest.mark.parametrize("severity", [1, 2, 5])
def test_elastic(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    _, strength, sigma, move = constants("elastic-transform", severity)
    mine = stream("elastic-transform", severity)
    corners, shift = mine.between(-move * side, move * side, 3, 2)[0], mine.between(-1, 1, 2, side, side)[0]
    centre, half = side // 2, side // 3
    to = np.array(
        [[centre + half, centre + half], [centre + half, centre - half], [centre - half, centre - half]], float
    )
    x_map, y_map = (
        np.linalg.lstsq(np.column_stack([to + corners, np.ones(3)]), to[:, axis], rcond=None)[0] for axis in range(2)
    )
    y, x = np.mgrid[:side, :side].astype(float)
    rows, columns = (m[0] * x + m[1] * y + m[2] for m in (y_map, x_map))
    dx, dy = (ndimage.gaussian_filter(one, sigma * side, mode="reflect", truncate=3) * strength * side for one in shift)
    expected = np.empty((channels, side, side))
    for plane, out in zip(picture / 255, expected, strict=True):
        warped = ndimage.map_coordinates(plane, [rows, columns], order=1, mode="mirror")
        out[:] = ndimage.map_coordinates(warped, [y + dy, x + dx], order=1, mode="reflect")
    away = np.abs(ours(picture, "elastic-transform", severity).astype(int) - cut_off(expected.clip(0, 1) * 255))
    assert away.max() <= 1
    assert (away == 0).mean() > 0.99


@BOTH
def test_pixelate(pictures, channels, side):
    picture = pictures(1, channels, side)[0]
    few = int(side * 0.65)
    for plane, out in zip(picture, ours(picture, "pixelate", 5), strict=True):
        small = Image.fromarray(plane).resize((few, few), Image.Resampling.BOX)
        assert (np.asarray(small.resize((side, side), Image.Resampling.BOX)) == out).all()


@BOTH
def test_jpeg(pictures, channels, side):
    picture = pictures(1, channels, side)[0]
    file = BytesIO()
    Image.fromarray(picture[0] if channels == 1 else picture.transpose(1, 2, 0)).save(file, "JPEG", quality=58)
    expected = np.asarray(Image.open(file))
    assert (
        ours(picture, "jpeg-compression", 3) == (expected[None] if channels == 1 else expected.transpose(2, 0, 1))
    ).all()


def test_gaussian_blur(pictures):
    picture = pictures(1, 1, 28)[0]
    weight = [math.exp(-i * i / (2 * 0.6**2)) for i in range(-2, 3)]
    kernel = np.outer(weight, weight) / sum(weight) ** 2
    plane = np.pad(picture[0] / 255, 2, mode="edge")
    expected = [[(plane[r : r + 5, c : c + 5] * kernel).sum() for c in range(28)] for r in range(28)]
    away = np.abs(ours(picture, "gaussian-blur", 2)[0].astype(int) - cut_off(np.array(expected) * 255))
    assert away.max() <= 1
    assert (away == 0).mean() > 0.99


@BOTH
@pytest.mark.parametrize("severity", [4, 5])
def test_mud(pictures, channels, side, severity):
    picture = pictures(1, channels, side)[0]
    mu, sigma, smooth, threshold, strength, mud = constants("spatter", severity)
    assert mud
    liquid = ndimage.gaussian_filter(
        mu + sigma * stream("spatter", severity).normal(side, side)[0], smooth, mode="nearest"
    )
    m = ndimage.gaussian_filter((liquid > threshold).astype(float), strength, mode="nearest")
    m[m < 0.8] = 0
    colour = np.array([63, 42, 20]).reshape(3, 1, 1) / 255
    expected = picture / 255 * (1 - m) + m * (colour if channels == 3 else weighed(colour))
    assert (ours(picture, "spatter", severity) == cut_off(expected.clip(0, 1) * 255)).all()


def test_water_brightens_under_drops_alone(pictures):
    picture = pictures(20, 3, 32)
    change = corrupt(picture, "spatter", 3).astype(int) - picture
    assert change.min() >= -1  # fractions are cut off
    assert 0.05 < (change > 2).any(axis=1).mean() < 0.8
    wet = change[:, 2] - change[:, 0]
    assert wet[picture.max(axis=1) < 60].min() >= -1  # the water is pale turquoise: less red than green and blue
