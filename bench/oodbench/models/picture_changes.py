"""Changes of pictures: pixels [n c h w] in [0, 1] and each picture's strength [n] to pixels of the same shape.

Shears are about the upper left corner, turns about the centre; black moves in, bilinearly. They are those that
AutoAugment chose among (Cubuk 2019), written for a batch of pictures of different strengths.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.v2 import functional as picture

from oodbench.errors import BadSetting

Change = Callable[[Tensor, Tensor], Tensor]


def changed(changes: Sequence[Change], x: Tensor, which: Int[Tensor, "n"], strength: Float[Tensor, "n"]) -> Tensor:
    """Return each picture after the change that is its own.

    Raises:
        BadSetting: the pictures have neither 1 channel nor 3.
    """
    if x.shape[1] not in (1, 3):
        raise BadSetting(
            f"pictures of {x.shape[1]} channels have no colour to change; expected 1 or 3: "
            f'take "randaugment" and "pixmix" out of `augment`'
        )
    out = x.clone()
    for place, change in enumerate(changes):
        mine = which == place
        if mine.any():
            out[mine] = change(x[mine], strength[mine])
    return out


def identity(x: Tensor, strength: Tensor) -> Tensor:
    """Return the pictures."""
    return x


def shear_x(x: Tensor, slope: Tensor) -> Tensor:
    """Read row y of the result at x + slope y."""
    return _read(x, xy=slope, dx=slope * x.shape[2] / 2)


def shear_y(x: Tensor, slope: Tensor) -> Tensor:
    """Read column x of the result at y + slope x."""
    return _read(x, yx=slope, dy=slope * x.shape[3] / 2)


def translate_x(x: Tensor, share: Tensor) -> Tensor:
    """Move to the left by a share of the width."""
    return _read(x, dx=share * x.shape[3])


def translate_y(x: Tensor, share: Tensor) -> Tensor:
    """Move up by a share of the height."""
    return _read(x, dy=share * x.shape[2])


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn counter-clockwise."""
    angle = degrees.deg2rad()
    return _read(x, xx=angle.cos(), xy=-angle.sin(), yx=angle.sin(), yy=angle.cos())


def _read(
    x: Tensor,
    xx: Tensor | float = 1.0,
    xy: Tensor | float = 0.0,
    yx: Tensor | float = 0.0,
    yy: Tensor | float = 1.0,
    dx: Tensor | float = 0.0,
    dy: Tensor | float = 0.0,
) -> Tensor:
    """Return pictures whose pixel at (x, y) from the centre is the old one at (xx x + xy y + dx, yx x + yy y + dy)."""
    n, _, h, w = x.shape
    # `affine_grid` measures in half widths and half heights
    rows = [xx, xy * h / w, dx * 2 / w, yx * w / h, yy, dy * 2 / h]
    theta = torch.stack([torch.as_tensor(entry, dtype=x.dtype).expand(n) for entry in rows], dim=1).view(n, 2, 3)
    grid = affine_grid(theta, list(x.shape), align_corners=False)
    return grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp(0, 1)


def brightness(x: Tensor, more: Tensor) -> Tensor:
    """Multiply by 1 + more."""
    return _beyond(torch.zeros_like(x), x, more)


def contrast(x: Tensor, more: Tensor) -> Tensor:
    """Move away from the mean grey."""
    return _beyond(picture.adjust_contrast(x, 0.0), x, more)


def colour(x: Tensor, more: Tensor) -> Tensor:
    """Move away from the grey picture."""
    return _beyond(picture.adjust_saturation(x, 0.0), x, more)


def sharpness(x: Tensor, more: Tensor) -> Tensor:
    """Move away from the smoothed picture."""
    return _beyond(picture.adjust_sharpness(x, 0.0), x, more)


def _beyond(without: Tensor, x: Tensor, more: Tensor) -> Tensor:
    """Return the picture `without` something plus 1 + more times what it lacks."""
    return (without + (1 + more).view(-1, 1, 1, 1) * (x - without)).clamp(0, 1)


def posterise(x: Tensor, bits: Tensor) -> Tensor:
    """Drop the lowest of 8 bits."""
    step = 2.0 ** bits.round().view(-1, 1, 1, 1)
    return ((x * 255).round() / step).floor() * step / 255


def solarise(x: Tensor, share: Tensor) -> Tensor:
    """Invert the pixels from 1 - share on."""
    return torch.where(x >= (1 - share).view(-1, 1, 1, 1), 1 - x, x)


def autocontrast(x: Tensor, strength: Tensor) -> Tensor:
    """Stretch each channel over [0, 1]."""
    stretched: Tensor = picture.autocontrast(x)
    return stretched


def equalise(x: Tensor, strength: Tensor) -> Tensor:
    """Make each channel's grey levels equally common."""
    levelled: Tensor = picture.equalize(x)
    return levelled
