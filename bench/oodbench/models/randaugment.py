"""RandAugment (Cubuk 2020): one change out of 14 for each picture, all equally likely, at strength 14 of 30.

Changes, ranges and signs are those of torchvision's RandAugment; one change at strength 14 is what OpenOOD trains with.
"""

import torch
from torch import Tensor

from oodbench.models import picture_changes as change

STRENGTH = 14 / 30
"""Share of the largest strength."""

SPACE: tuple[tuple[change.Change, float, bool], ...] = (
    (change.identity, 0.0, False),
    (change.shear_x, 0.3, True),
    (change.shear_y, 0.3, True),
    (change.translate_x, 150 / 331, True),
    (change.translate_y, 150 / 331, True),
    (change.rotate, 30.0, True),
    (change.brightness, 0.9, True),
    (change.colour, 0.9, True),
    (change.contrast, 0.9, True),
    (change.sharpness, 0.9, True),
    (change.posterise, 4.0, False),
    (change.solarise, 1.0, False),
    (change.autocontrast, 0.0, False),
    (change.equalise, 0.0, False),
)
"""Each change, its largest strength, and whether it goes both ways."""

CHANGES = tuple(apply for apply, _, _ in SPACE)
LARGEST = torch.tensor([largest for _, largest, _ in SPACE])
SIGNED = torch.tensor([signed for _, _, signed in SPACE])


def randaugment(x: Tensor, chance: torch.Generator) -> Tensor:
    """Change each picture once.

    Raises:
        BadSetting: the pictures have neither 1 channel nor 3.
    """
    which = torch.randint(len(SPACE), (len(x),), generator=chance)
    back = (torch.rand(len(x), generator=chance) < 0.5) & SIGNED[which]
    strength = LARGEST[which] * STRENGTH * torch.where(back, -1, 1)
    return change.changed(CHANGES, x, which, strength)
