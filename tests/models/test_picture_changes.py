"""Cutout, RandAugment and PixMix: what they do to pixels, by loops and beside torchvision, and how often."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as picture

from oodbench.errors import BadSetting
from oodbench.models import picture_changes as change
from oodbench.models import pixmix as mixing
from oodbench.models.augment import cutout
from oodbench.models.pixmix import pictures, pixmix, synthetic
from oodbench.models.randaugment import SPACE, randaugment
from oodbench.training import AUGMENTATIONS


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(n: int, c: int = 3, h: int = 24, w: int = 32) -> Tensor:
    """Smooth random pictures that use grey levels unevenly."""
    coarse = torch.rand(n, c, 3, 4, generator=chance(9))
    return picture.resize(coarse, [h, w], antialias=True).square().clamp(0, 1)


# Cutout.


def test_cutout_hides_a_square_of_half_the_side_about_any_pixel() -> None:
    x = torch.rand(2000, 3, 8, 12, generator=chance()) + 2 * torch.arange(3).view(3, 1, 1)
    out, mean = cutout(x, chance()), x.mean(dim=(0, 2, 3))
    hidden = out != x
    assert hidden.equal(hidden[:, :1].expand_as(hidden)), "all channels alike"
    assert torch.allclose(out[hidden.any(dim=1, keepdim=True).expand_as(x)].view(3, -1).mean(1).mean(), mean.mean())
    for channel in range(3):
        torch.testing.assert_close(
            out[:, channel][hidden[:, channel]], mean[channel].expand(int(hidden[:, channel].sum()))
        )
    seen = set()
    for image in hidden[:, 0]:
        rows, columns = image.any(dim=1).nonzero()[:, 0].tolist(), image.any(dim=0).nonzero()[:, 0].tolist()
        assert int(image.sum()) == len(rows) * len(columns)
        seen.add((rows[0], len(rows), columns[0], len(columns)))
    expected = set()
    for i in range(8):
        for j in range(12):
            top, left = max(0, i - 2), max(0, j - 3)
            expected.add((top, min(8, i + 2) - top, left, min(12, j + 3) - left))
    assert seen == expected


# Changes of pictures, beside torchvision's.


def corner(slope_x: float, slope_y: float) -> Callable[[Tensor], Tensor]:
    angles = [math.degrees(math.atan(slope)) for slope in (slope_x, slope_y)]
    return lambda x: picture.affine(
        x, 0.0, [0, 0], 1.0, angles, interpolation=InterpolationMode.BILINEAR, center=[0, 0]
    )


CASES: list[tuple[change.Change, float, Callable[[Tensor], Tensor]]] = [
    (change.identity, 1.0, lambda x: x),
    (change.shear_x, 0.3, corner(0.3, 0)),
    (change.shear_y, -0.2, corner(0, -0.2)),
    (change.translate_x, 0.25, lambda x: picture.affine(x, 0.0, [-8, 0], 1.0, [0.0, 0.0])),
    (change.translate_y, -0.25, lambda x: picture.affine(x, 0.0, [0, 6], 1.0, [0.0, 0.0])),
    (change.rotate, 20.0, lambda x: picture.rotate(x, 20.0, interpolation=InterpolationMode.BILINEAR)),
    (change.brightness, 0.42, lambda x: picture.adjust_brightness(x, 1.42)),
    (change.brightness, -0.42, lambda x: picture.adjust_brightness(x, 0.58)),
    (change.contrast, 0.42, lambda x: picture.adjust_contrast(x, 1.42)),
    (change.colour, -0.42, lambda x: picture.adjust_saturation(x, 0.58)),
    (change.sharpness, 0.42, lambda x: picture.adjust_sharpness(x, 1.42)),
    (change.solarise, 0.6, lambda x: picture.solarize(x, 0.4)),
    (change.autocontrast, 0.0, picture.autocontrast),
    (change.equalise, 0.0, picture.equalize),
    (change.posterise, 2.0, lambda x: picture.posterize((x * 255).round().byte(), 6).float() / 255),
    (change.posterise, 5.0, lambda x: picture.posterize((x * 255).round().byte(), 3).float() / 255),
]


@pytest.mark.parametrize(("apply", "strength", "theirs"), CASES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_change_is_torchvisions(
    apply: change.Change, strength: float, theirs: Callable[[Tensor], Tensor], channels: int
) -> None:
    x = photographs(4, channels)
    got = apply(x, torch.full((4,), strength))
    torch.testing.assert_close(got, theirs(x), rtol=0, atol=2e-3)
    assert got.shape == x.shape and got.dtype == x.dtype
    if apply is not change.identity and (apply, channels) != (change.colour, 1):
        assert not torch.allclose(got, x, atol=1e-2)


def test_each_picture_has_a_strength_of_its_own() -> None:
    x = photographs(3)
    strength = torch.tensor([0.0, 0.1, -0.3])
    for apply in (change.shear_x, change.rotate, change.brightness, change.sharpness, change.translate_y):
        together = apply(x, strength)
        for i in range(3):
            torch.testing.assert_close(together[i : i + 1], apply(x[i : i + 1], strength[i : i + 1]))
        torch.testing.assert_close(together[0], x[0], atol=1e-5, rtol=0)


# RandAugment.


def test_randaugment_makes_each_of_fourteen_changes_at_torchvisions_strength() -> None:
    one = photographs(1, 3, 31, 31)
    x = one.expand(1400, -1, -1, -1)
    out = randaugment(x, chance())
    strength = torch.tensor([14 / 30])
    expected = {}
    for apply, largest, signed in SPACE:
        for sign in (1, -1) if signed else (1,):
            expected[apply.__name__, sign] = apply(one, sign * largest * strength)[0]
    counts = dict.fromkeys(expected, 0)
    for image in out:
        distance = {name: float((image - candidate).abs().max()) for name, candidate in expected.items()}
        nearest = min(distance, key=lambda name: distance[name])
        assert distance[nearest] < 1e-5
        counts[nearest] += 1
    for (name, _), count in counts.items():
        signed = (name, -1) in counts
        assert (25 if signed else 65) < count < (80 if signed else 140), (name, count)
    # two bits of eight are dropped; the upper 14 / 30 of the levels are inverted
    assert len(expected["posterise", 1].unique()) <= 64
    torch.testing.assert_close(expected["solarise", 1], picture.solarize(one[0], 1 - 14 / 30))


# PixMix.


def test_pixmix_leaves_some_pictures_and_mixes_the_others() -> None:
    one = photographs(1, 3, 16, 16)
    out = pixmix(one.expand(2000, -1, -1, -1), chance())
    assert out.isfinite().all() and out.amin() >= 0 and out.amax() <= 1
    kept = (out == one).flatten(1).all(dim=1).float().mean()
    # no round (1/5) after no change (1/2)
    assert kept == pytest.approx(0.1, abs=0.03)


def test_one_round_is_a_weighted_sum_or_product_with_betas_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """x is 0.3 everywhere and never changed, the fractal 0.6: out of the result come the weights."""
    monkeypatch.setattr(mixing, "_varied", lambda x, chance: torch.full_like(x, 0.3))
    monkeypatch.setattr(mixing, "pictures", lambda shape, chance: torch.full(shape, 0.6))
    monkeypatch.setattr(mixing, "K", 1)
    x = torch.full((4000, 1, 1, 1), 0.3)
    out = pixmix(x, chance()).flatten().double().numpy()
    rng = np.random.default_rng(0)
    expected = np.full(40_000, 0.3)
    again = rng.random(40_000) < 0.5
    o = np.where(rng.random(40_000) < 0.5, 0.3, 0.6)
    away = rng.random(40_000) < 0.5
    a = np.where(away, 1 + rng.beta(1, 3, 40_000), rng.beta(3, 1, 40_000))
    b = np.where(away, -rng.beta(1, 3, 40_000), rng.beta(1, 3, 40_000))
    added, multiplied = (a * (0.6 - 1) + b * (2 * o - 1) + 1) / 2, 0.6**a * (2 * o) ** b / 2
    mixed = np.clip(np.where(rng.random(40_000) < 0.5, added, multiplied), 0, 1)
    expected[again] = mixed[again]
    assert (np.isclose(out, 0.3)).mean() == pytest.approx(0.5, abs=0.03)
    for q in (0.05, 0.25, 0.75, 0.95):
        assert np.quantile(out[out != x[0].item()], q) == pytest.approx(np.quantile(mixed[again], q), abs=0.02)


def test_pixmix_changes_at_severity_three_of_ten() -> None:
    """Of a white picture turns, shears and moves leave black corners; some others another grey, the same everywhere."""
    x = torch.ones(3000, 1, 32, 32)
    out = mixing._varied(x, chance())
    moved = out.flatten(1).std(dim=1) > 1e-4
    assert moved.float().mean() == pytest.approx(5 / 9, abs=0.03)
    dark = (1 - out).flatten(1).mean(dim=1)
    assert 0.09 < float(dark[moved].max()) < 0.101, "the longest move is a tenth of the side"
    whole = dark[~moved]
    inverted, four, five = (float((whole - level).abs().lt(1e-4).sum()) / 3000 for level in (1, 15 / 255, 31 / 255))
    assert inverted == pytest.approx(1 / 9, abs=0.02), "white is above every threshold"
    # int(0.4 level) is 1 from a level of 2.5 on
    assert four == pytest.approx(1 / 9 * 2.4 / 2.9, abs=0.02)
    assert five == pytest.approx(1 / 9 * 0.5 / 2.9, abs=0.01)


# The synthetic pictures.


@pytest.mark.parametrize("size", [(8, 8), (20, 12)])
def test_synthetic_pictures_are_the_same_each_time_and_all_different(size: tuple[int, int]) -> None:
    drawn = synthetic(*size)
    assert drawn.shape == (256, *size)
    assert drawn.isfinite().all() and drawn.amin() >= 0 and drawn.amax() <= 1
    assert (drawn.flatten(1).std(dim=1) > 0.05).all(), "none is blank"
    assert len({picture.numpy().tobytes() for picture in drawn}) == 256
    synthetic.cache_clear()
    assert synthetic(*size).equal(drawn)


def test_large_ones_are_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    small = synthetic(8, 8)
    monkeypatch.setattr(mixing, "DRAWN", 8)
    synthetic.cache_clear()
    torch.testing.assert_close(synthetic(16, 16)[:, ::2, ::2].mean(), small.mean(), rtol=0.1, atol=0)
    assert synthetic(16, 16).shape == (256, 16, 16)
    synthetic.cache_clear()


def test_an_attractor_is_where_its_maps_take_it() -> None:
    """The union of the images under the maps covers the picture: it is bright in few places, and never uniform."""
    drawn = mixing.attractors(16, 48, 48, chance())
    lit = (drawn > 0).float().mean(dim=(1, 2))
    assert (lit > 0.02).all() and (lit < 0.95).all()
    assert not drawn[0].equal(drawn[1])


def test_bands_are_smooth_where_the_spectrum_is_steep() -> None:
    drawn = mixing.bands(64, 32, 32, chance())
    assert drawn.amin() >= -1 and drawn.amax() <= 1
    neighbours = (drawn[:, 1:] - drawn[:, :-1]).abs().mean(dim=(1, 2)) / drawn.std(dim=(1, 2))
    shuffled = drawn.flatten(1)[:, torch.randperm(1024, generator=chance())].view_as(drawn)
    at_random = (shuffled[:, 1:] - shuffled[:, :-1]).abs().mean(dim=(1, 2)) / drawn.std(dim=(1, 2))
    assert (neighbours < at_random).float().mean() > 0.8
    assert neighbours.min() < 0.3 * at_random.min()


def test_a_use_gives_a_picture_two_colours() -> None:
    used = pictures((50, 3, 16, 16), chance())
    for image in used:
        # all pixels lie on a line between two colours
        centred = image.flatten(1) - image.flatten(1).mean(dim=1, keepdim=True)
        values = torch.linalg.svdvals(centred.double())
        assert values[1] < 1e-5 * values[0] + 1e-6
    assert used.amin() >= 0 and used.amax() <= 1
    assert len({image.numpy().tobytes() for image in used}) == 50


# Edges.


@pytest.mark.parametrize("name", ["cutout", "randaugment", "pixmix"])
@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(7, 3, 5, 9), (1, 1, 8, 8)])
def test_blank_pictures_and_odd_sizes_come_out_finite(name: str, level: float, shape: tuple[int, ...]) -> None:
    for seed in range(20):
        out = AUGMENTATIONS.find(name)(torch.full(shape, level), chance(seed))
        assert out.shape == shape and out.isfinite().all() and out.amin() >= 0 and out.amax() <= 1


@pytest.mark.parametrize("name", ["randaugment", "pixmix"])
def test_other_channels_are_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(BadSetting, match="pictures of 4 channels have no colour to change; expected 1 or 3"):
        AUGMENTATIONS.find(name)(torch.rand(9, 4, 8, 8), chance())
