"""PixMix (Hendrycks 2022): pictures mixed up to four times with changed copies of themselves or with fractals.

    m = x or changed(x);   up to k = 4 times:   m <- clip(a m + b o) or clip(m^a o^b),   o = changed(x) or a fractal

Every "or" is a toss; sums are of pixels in [-1, 1], products of pixels in [0, 2]. With beta = 3 and u, v uniform,
(a, b) is (u^(1/3), 1 - v^(1/3)) or (2 - u^(1/3), v^(1/3) - 1): draws of Beta(3, 1) and Beta(1, 3). The nine changes are
the paper's for CIFAR, those that no corruption benchmark tests, at severity 3 of 10; turns and moves are not rounded to
whole degrees and pixels.

The paper's pictures were collected from their artists' pages and from a network; these are synthetic. Half are the
attractors of random systems of three affine contractions, drawn by a random walk, the logarithm of the visits as grey;
half are noise with a spectrum of 1 / f^e, e in [1, 2.5], folded into up to eight bands. There are 256 of them, always
the same, 64 pixels a side at most and enlarged from there; each use gives one two colours to run between, and mirrors
it or not.
"""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from oodbench.models import picture_changes as change
from oodbench.models.augment import flip

K, BETA, SEVERITY = 4, 3.0, 3.0
PICTURES = 256
DRAWN = 64
MAPS, SETTLE, VISITS = 3, 20, 40
"""Contractions of a system; steps of a walk before any is drawn, and steps that are."""

CHANGES = (
    change.autocontrast,
    change.equalise,
    change.posterise,
    change.rotate,
    change.solarise,
    change.shear_x,
    change.shear_y,
    change.translate_x,
    change.translate_y,
)
OFFSET = torch.tensor([0.0, 0, 3.5, 0, 0, 0, 0, 0, 0])
SLOPE = torch.tensor([0.0, 0, 0.4, 3, 0.1, 0.03, 0.03, 1 / 30, 1 / 30])
SIGNED = torch.tensor([False, False, False, True, False, True, True, True, True])
"""Strength = offset + slope times a level that is uniform in [0.1, 3], either way where it is signed.

The bits that posterising drops, 4 + floor(0.4 level), are rounded there.
"""


def pixmix(x: Tensor, chance: torch.Generator) -> Tensor:
    """Mix each picture with others, zero to four times.

    Raises:
        BadSetting: the pictures have neither 1 channel nor 3.
    """
    mixed = _or_varied(x, x, chance)
    rounds = torch.randint(K + 1, (len(x),), generator=chance)
    for done in range(K):
        again = rounds > done
        m, original = mixed[again], x[again]
        o = _or_varied(pictures(original.shape, chance).to(x.dtype), original, chance)
        a, b = _weights(len(m), chance)
        added = (a * (2 * m - 1) + b * (2 * o - 1) + 1) / 2
        multiplied = (2 * m) ** a * (2 * o).clamp(min=1e-37) ** b / 2
        mixed[again] = torch.where(_toss(len(m), chance), added, multiplied).clamp(0, 1)
    return mixed


def _or_varied(other: Tensor, x: Tensor, chance: torch.Generator) -> Tensor:
    """Return, picture by picture, the other or a changed x."""
    out, tossed = other.clone(), _toss(len(x), chance).flatten()
    out[tossed] = _varied(x[tossed], chance)
    return out


def _toss(n: int, chance: torch.Generator) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=chance) < 0.5


def _varied(x: Tensor, chance: torch.Generator) -> Tensor:
    """Return the pictures after a change of severity 3."""
    which = torch.randint(len(CHANGES), (len(x),), generator=chance)
    level = 0.1 + (SEVERITY - 0.1) * torch.rand(len(x), generator=chance)
    back = (torch.rand(len(x), generator=chance) < 0.5) & SIGNED[which]
    strength = (OFFSET[which] + SLOPE[which] * level) * torch.where(back, -1, 1)
    return change.changed(CHANGES, x, which, strength)


def _weights(n: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a and b for each picture [n 1 1 1]."""
    u, v = torch.rand(2, n, 1, 1, 1, generator=chance) ** (1 / BETA)
    away = _toss(n, chance)
    return torch.where(away, 2 - u, u), torch.where(away, v - 1, 1 - v)


def pictures(shape: tuple[int, ...], chance: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Return n synthetic pictures of a shape: one of the 256 each, perhaps mirrored, between two random colours."""
    n, c, h, w = shape
    grey = synthetic(h, w)[torch.randint(PICTURES, (n,), generator=chance)][:, None]
    dark, light = torch.rand(2, n, c, 1, 1, generator=chance)
    coloured: Tensor = dark + (light - dark) * flip(grey, chance)
    return coloured


@cache
def synthetic(h: int, w: int) -> Float[Tensor, "p h w"]:
    """Return the synthetic pictures of a size, grey, each with levels from 0 to 1."""
    chance = torch.Generator().manual_seed(0)
    rows, columns = min(h, DRAWN), min(w, DRAWN)
    half = PICTURES // 2
    both = _stretched(torch.cat([attractors(half, rows, columns, chance), bands(half, rows, columns, chance)]))
    return interpolate(both[:, None], size=(h, w), mode="bilinear", align_corners=False)[:, 0]


def attractors(n: int, h: int, w: int, chance: torch.Generator) -> Float[Tensor, "n h w"]:
    """Return log(1 + visits) of each pixel by walks under n random systems of affine contractions."""
    turn, again = (2 * math.pi * torch.rand(n, MAPS, generator=chance) for _ in range(2))
    stretch = torch.diag_embed(0.3 + 0.5 * torch.rand(n, MAPS, 2, generator=chance))
    A = _rotation(turn) @ stretch @ _rotation(again)
    b = 2 * torch.rand(n, MAPS, 2, generator=chance) - 1
    system, walkers = torch.arange(n)[:, None], max(16, h * w // 2)
    place = torch.zeros(n, walkers, 2)
    path = []
    for step in range(SETTLE + VISITS):
        one = torch.randint(MAPS, (n, walkers), generator=chance)
        place = (A[system, one] @ place[..., None])[..., 0] + b[system, one]
        path += [place] if step >= SETTLE else []
    points = torch.cat(path, dim=1)
    low, high = points.amin(dim=1, keepdim=True), points.amax(dim=1, keepdim=True)
    cell = ((points - low) / (high - low).clamp(min=1e-6) * torch.tensor([h, w])).long()
    row, column = cell[..., 0].clamp(max=h - 1), cell[..., 1].clamp(max=w - 1)
    visits = ((system * h + row) * w + column).flatten().bincount(minlength=n * h * w)
    return visits.view(n, h, w).float().log1p()


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=-1).view(*angle.shape, 2, 2)


def bands(n: int, h: int, w: int, chance: torch.Generator) -> Float[Tensor, "n h w"]:
    """Return noise with a spectrum of 1 / f^e, folded into bands: cos(2 pi q t), q in [1/2, 8]."""
    f = (torch.fft.fftfreq(h)[:, None].square() + torch.fft.rfftfreq(w).square()).sqrt()
    e = 1 + 1.5 * torch.rand(n, 1, 1, generator=chance)
    white = torch.fft.rfft2(torch.randn(n, h, w, generator=chance))
    # at frequency 0 is the mean, which is lost in the stretching
    t = _stretched(torch.fft.irfft2(white * f.clamp(min=1 / max(h, w)) ** -e, s=(h, w)))
    q = 0.5 + 7.5 * torch.rand(n, 1, 1, generator=chance)
    return (2 * math.pi * q * t).cos()


def _stretched(x: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    low, high = x.amin(dim=(1, 2), keepdim=True), x.amax(dim=(1, 2), keepdim=True)
    return (x - low) / (high - low).clamp(min=1e-6)
