"""Each synthetic set against its definition: range, shares, moments, neighbours."""

from itertools import pairwise
from math import erf, sqrt

import numpy as np
import pytest
from scipy import ndimage

from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.load import load
from oodbench.data.stream import batches
from oodbench.data.synthetic import DRAWS, Around, black, constant
from oodbench.errors import BadData
from oodbench.measure.intervals import delong
from oodbench.measure.ranking import count

N = 400


@pytest.fixture(scope="module")
def test_images() -> Inputs:
    return load("fashion-mnist", "test", n=500)


def pixels(name: str, like: Inputs, n: int = N, seed: int = 0) -> np.ndarray:
    images = load(name, "test", like=like, n=n, seed=seed)
    assert isinstance(images, ArrayImages) and images.pixels.dtype == np.uint8, "on the 8-bit grid"
    assert images.shape == like.shape and len(images) == n and images.card == name and images.labels is None
    return images.pixels / 255


def below(x: float) -> float:
    """Return P(N(0, 1) < x)."""
    return (1 + erf(x / sqrt(2))) / 2


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_fixes_the_images(name: str, test_images: Inputs) -> None:
    first, again, other = (pixels(name, test_images, 20, seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [("gaussian-odin", 0.5, 1.0), ("gaussian-oe-pixel", 0.5, 0.5), ("gaussian-waic", 0.0, 1.0)],
)
def test_gaussians_in_pixel_space(name: str, mean: float, std: float, test_images: Inputs) -> None:
    """Shares at both ends (values that round to 0 or 255) and the middle quartile are those of the clipped normal."""
    x = pixels(name, test_images)
    assert (x == 0).mean() == pytest.approx(below((0.5 / 255 - mean) / std), abs=0.005)
    assert (x == 1).mean() == pytest.approx(1 - below((254.5 / 255 - mean) / std), abs=0.005)
    inside = below((127.5 / 255 - mean) / std) - below((63.5 / 255 - mean) / std)
    assert ((x > 0.25) & (x < 0.5)).mean() == pytest.approx(inside, abs=0.005)


def test_waic_gaussian_is_half_black_and_a_sixth_white(test_images: Inputs) -> None:
    x = pixels("gaussian-waic", test_images)
    assert (x == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (x == 1).mean() == pytest.approx(0.16, abs=0.01)


def test_oe_gaussian_is_never_black_nor_white_on_cifar() -> None:
    """In standardised space, with CIFAR's constants: pixels from about 0.19 to 0.74 (ends at mean -+ std)."""
    like = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8), card="cifar-10")
    x = pixels("gaussian-oe", like, 200)
    low, high = x.min(axis=(0, 2, 3)), x.max(axis=(0, 2, 3))
    assert low == pytest.approx([0.2443, 0.2389, 0.1851], abs=0.003)
    assert high == pytest.approx([0.7385, 0.7259, 0.7083], abs=0.003)
    z = (x - 0.4914) / 0.2471
    assert np.abs(z[:, 0]).max() <= 1.01
    assert (np.abs(z[:, 0]) > 0.99).mean() == pytest.approx(2 * (1 - below(2 * 0.99)), abs=0.01)


def test_hendrycks_gaussian_is_centred_on_the_mean_image(test_images: Inputs) -> None:
    mean_image = test_images.batch(slice(0, 2000)).mean(0)
    x = pixels("gaussian-hendrycks", test_images, 1000)
    white = 1 - np.array([below((254.5 / 255 - m) / 0.5) for m in mean_image.ravel()]).reshape(mean_image.shape)
    assert np.abs((x == 1).mean(0) - white).max() < 0.07  # three standard errors of a share over 1,000
    assert (x == 1).mean() == pytest.approx(white.mean(), abs=0.005)


def test_uniform_in_pixel_space(test_images: Inputs) -> None:
    x = pixels("uniform", test_images)
    assert x.mean() == pytest.approx(0.5, abs=0.003)
    assert x.std() == pytest.approx(1 / sqrt(12), abs=0.003)
    assert (x.min(), x.max()) == (0, 1)


def test_uniform_in_standardised_space() -> None:
    like = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8), card="cifar-10")
    x = pixels("uniform-standardised", like, 200)[:, 2]
    assert (x.min(), x.max()) == (pytest.approx(0.4467 - 0.2616, abs=0.003), pytest.approx(0.4467 + 0.2616, abs=0.003))
    assert x.std() == pytest.approx(0.2616 / sqrt(3), abs=0.003)


def test_rademacher_has_two_values_a_channel() -> None:
    like = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8), card="cifar-10")
    x = pixels("rademacher", like)
    for channel, (mean, std) in enumerate(zip((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616), strict=True)):
        assert np.unique(x[:, channel]) == pytest.approx([mean - std, mean + std], abs=0.5 / 255)
        assert (x[:, channel] > mean).mean() == pytest.approx(0.5, abs=0.01)


def test_rademacher_on_grey_ends_at_black(test_images: Inputs) -> None:
    """Fashion-MNIST's mean lies less than one std above 0."""
    assert np.unique(pixels("rademacher", test_images)) == pytest.approx([0, 0.2861 + 0.3531], abs=0.5 / 255)


def test_bernoulli_is_black_or_white(test_images: Inputs) -> None:
    x = pixels("bernoulli", test_images)
    assert set(np.unique(x)) == {0, 1}
    assert x.mean() == pytest.approx(0.5, abs=0.005)


def test_blobs_are_those_of_outlier_exposure() -> None:
    """The same field through a loop over images, blurred across colours as well, as the paper's code has it."""
    like = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8), card="cifar-10")
    around = Around(like, None, None)
    got = DRAWS["blobs-pixel"](np.random.default_rng(3), 5, around)
    field = (np.random.default_rng(3).uniform(size=(5, 3, 32, 32)) < 0.7).astype(float)
    for image, noise in zip(got, field, strict=True):
        blurred = ndimage.gaussian_filter(noise.transpose(1, 2, 0), sigma=1.5, mode="nearest")
        blurred[blurred < 0.75] = 0
        assert np.allclose(image.transpose(1, 2, 0), blurred)
    separate = ndimage.gaussian_filter(field[0, 0], sigma=1.5, mode="nearest")
    assert not np.allclose(np.where(separate < 0.75, 0, separate), got[0, 0]), "colours are blurred together"


def test_blobs_have_no_value_between_black_and_the_threshold(test_images: Inputs) -> None:
    x = pixels("blobs-pixel", test_images)
    assert not ((x > 0) & (x < 0.74)).any()
    assert 0.1 < (x == 0).mean() < 0.9


def test_blobs_in_standardised_space_reach_from_minus_one() -> None:
    like = ArrayImages(np.zeros((1, 3, 32, 32), np.uint8), card="cifar-10")
    z = (pixels("blobs", like, 50)[:, 0] - 0.4914) / 0.2471
    assert z.min() == pytest.approx(-1, abs=0.01)
    assert not ((z > -0.98) & (z < 0.49)).any()


def test_blobs_are_wider_from_64_pixels_on() -> None:
    smooth = {}
    for size in (63, 64):
        like = ArrayImages(np.zeros((1, 1, size, size), np.uint8))
        x = DRAWS["blobs-pixel"](np.random.default_rng(0), 30, Around(like, None, None)) > 0
        smooth[size] = (x[..., 1:] != x[..., :-1]).mean()
    assert smooth[64] < 0.9 * smooth[63]


def test_constants_are_all_different_and_begin_with_nalisnicks(test_images: Inputs) -> None:
    images = load("constant", "test", like=test_images)
    x = images.batch(slice(None)).reshape(256, -1)
    assert (x == x[:, :1]).all()
    assert len(np.unique(x[:, 0])) == 256
    assert (x[:4, 0] * 255).round().tolist() == [0, 128, 64, 192]
    with pytest.raises(BadData, match="at most 256"):
        constant(257, (1, 2, 2))


def test_strokes_are_what_a_pen_leaves_along_bezier_curves() -> None:
    """The same draws, each curve by repeated interpolation of its control points, each pixel by itself."""
    (channels, height, width), n = (3, 12, 9), 4
    like = ArrayImages(np.zeros((1, channels, height, width), np.uint8))
    got = DRAWS["strokes"](np.random.default_rng(5), n, Around(like, None, None))
    rng = np.random.default_rng(5)
    many = rng.integers(1, 6, n)
    expected = np.zeros((n, channels, height, width))
    for stroke in range(5):
        reach, start, moves = rng.uniform(0.2, 0.6, n), rng.uniform(0.1, 0.9, (n, 2)), rng.uniform(-1, 1, (n, 3, 2))
        radius, brightness = 9 * (0.02 + 0.1 * rng.uniform(size=n) ** 2), rng.uniform(0.4, 1.0, (n, channels))
        for i in np.flatnonzero(many > stroke):
            control = [start[i]]
            for move in moves[i]:
                control.append(control[-1] + reach[i] * move)
            curve = [de_casteljau(control, t) * (height, width) for t in np.linspace(0, 1, 64)]
            for y, x in np.ndindex(height, width):
                distance = min(np.hypot(y + 0.5 - row, x + 0.5 - column) for row, column in curve)
                ink = min(1, max(0, 0.5 + radius[i] - distance))
                expected[i, :, y, x] = np.maximum(expected[i, :, y, x], ink * brightness[i])
    np.testing.assert_allclose(got, expected, atol=1e-12)


def de_casteljau(points: list[np.ndarray], t: float) -> np.ndarray:
    while len(points) > 1:
        points = [(1 - t) * a + t * b for a, b in pairwise(points)]
    return points[0]


def test_every_image_of_strokes_shows_one_and_most_of_it_is_black(test_images: Inputs) -> None:
    x = pixels("strokes", test_images).reshape(N, -1)
    assert (x.max(axis=1) > 0.3).all()
    assert ((x == 0).mean(axis=1) > 0.3).all()
    assert len(np.unique(x, axis=0)) == N


def test_black_is_one_image(test_images: Inputs) -> None:
    images = load("black", "test", like=test_images)
    assert images.shape == test_images.shape and images.card == "black"
    assert np.array_equal(images.batch(slice(None)), np.zeros((1, *test_images.shape)))
    with pytest.raises(BadData, match="got n = 2, expected 1"):
        black(2, (1, 2, 2))


def test_one_image_alone_leaves_its_auroc_open() -> None:
    """Black between the in-set's scores: what other images of its kind would score, one image cannot tell."""
    assert delong(count(np.arange(10.0), np.array([4.5]))) == (0, 1)


@pytest.mark.parametrize(("name", "axis"), [("hflip", 3), ("vflip", 2)])
def test_flips_mirror_the_in_set(name: str, axis: int, test_images: Inputs) -> None:
    flipped = load(name, "test", like=test_images)
    assert np.array_equal(np.flip(flipped.batch(slice(None)), axis), test_images.batch(slice(None)))
    assert len(flipped) == len(test_images) and flipped.labels is None and flipped.shape == test_images.shape
    taken = flipped.take(np.array([5, 3]))
    assert np.array_equal(taken.batch(slice(None)), flipped.batch(np.array([5, 3])))
    assert taken.sha256() != flipped.sha256() == load(name, "test", like=test_images).sha256()


def test_a_negative_is_dark_for_light(test_images: Inputs) -> None:
    negative = load("negative", "test", like=test_images)
    assert np.array_equal(negative.batch(slice(None)), np.float32(1) - test_images.batch(slice(None)))
    assert len(negative) == len(test_images) and negative.labels is None and negative.shape == test_images.shape
    taken = negative.take(np.array([5, 3]))
    assert np.array_equal(taken.batch(slice(None)), negative.batch(np.array([5, 3])))
    assert taken.sha256() != negative.sha256() == load("negative", "test", like=test_images).sha256()
    on_the_grid = ArrayImages(255 - np.rint(test_images.batch(slice(None)) * 255).astype(np.uint8))
    assert negative.sha256() == on_the_grid.sha256(), "equal content, equal hash"
    assert np.array_equal(np.concatenate(list(batches(negative, 7))), negative.batch(slice(None)))


@pytest.mark.parametrize("name", ["uniform", "hflip", "negative", "constant", "black", "strokes"])
def test_a_synthetic_set_needs_an_in_set(name: str) -> None:
    with pytest.raises(BadData, match="pass its images as `like`"):
        load(name, "test")


@pytest.mark.parametrize("name", ["gaussian-oe", "uniform-standardised", "rademacher", "blobs"])
def test_standardised_space_needs_a_card(name: str) -> None:
    nameless = ArrayImages(np.zeros((2, 1, 8, 8), np.uint8))
    with pytest.raises(BadData, match="these images have no card"):
        load(name, "test", like=nameless, n=2)
