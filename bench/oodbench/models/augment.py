"""Augmentations of a training batch by name: pixels [n c h w] and a generator to pixels of the same shape."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def flip(x: Tensor, chance: torch.Generator) -> Tensor:
    """Mirror each image on its width with probability one half."""
    mirrored = torch.rand(len(x), generator=chance) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)


def shift(x: Tensor, chance: torch.Generator, by: int) -> Tensor:
    """Translate each image by up to `by` pixels on each axis, zeros moving in."""
    n, _, h, w = x.shape
    rows = torch.randint(0, 2 * by + 1, (n, 1), generator=chance) + torch.arange(h)
    columns = torch.randint(0, 2 * by + 1, (n, 1), generator=chance) + torch.arange(w)
    padded = pad(x, (by, by, by, by))
    return padded[
        torch.arange(n)[:, None, None, None],
        torch.arange(x.shape[1])[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def crop4(x: Tensor, chance: torch.Generator) -> Tensor:
    """Translate by up to 4 pixels: pad and crop."""
    return shift(x, chance, 4)


def shift2(x: Tensor, chance: torch.Generator) -> Tensor:
    """Translate by up to 2 pixels."""
    return shift(x, chance, 2)


def cutout(x: Tensor, chance: torch.Generator) -> Tensor:
    """Hide a square of half the side about a random pixel of each image (DeVries & Taylor 2017); the edge may cut it.

    What is hidden has the mean colour of the batch: the original code puts zeros after standardisation, which is the
    mean colour of the data set.
    """
    n, _, h, w = x.shape
    row = _covered(torch.randint(h, (n, 1), generator=chance), h)
    column = _covered(torch.randint(w, (n, 1), generator=chance), w)
    return torch.where(row[:, None, :, None] & column[:, None, None, :], x.mean(dim=(0, 2, 3), keepdim=True), x)


def _covered(centre: Tensor, size: int) -> Tensor:
    """Return which of `size` places lie in [centre - size/4, centre + size/4)."""
    place, half = torch.arange(size), size // 4
    return (place >= centre - half) & (place < centre + half)
