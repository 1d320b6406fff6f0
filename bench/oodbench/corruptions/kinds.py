"""What a corruption is: its constants by severity, and a function of a batch of pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

from oodbench.corruptions.draws import Draws

Grey: TypeAlias = npt.NDArray[np.uint8]
"""Pictures as files hold them: [n c h w], 0 to 255."""

Floats: TypeAlias = npt.NDArray[np.float64]

Constants: TypeAlias = tuple[float, ...]

Severities: TypeAlias = tuple[Constants, Constants, Constants, Constants, Constants]
"""The constants of severities 1 to 5."""

SMALLEST, SMALL, LARGE = 8, 48, 160
"""Sides in pixels: from the smallest to `SMALL` the constants are CIFAR-C's, from `LARGE` on ImageNet-C's."""


@final
@dataclass(frozen=True)
class Corruption:
    """A type of corruption.

    Attributes:
        name: As matrices, records and tables have it.
        title: For people.
        family: "noise", "blur", "weather", "digital", or "extra" for the four that the paper keeps for validation.
        small: Constants of CIFAR-10-C, whose pictures are 32 x 32.
        large: Constants of ImageNet-C, whose pictures are 224 x 224.
        apply: Maps pictures, constants and draws to grey levels, float64 [n c h w]; below 0 and above 255 is clipped,
            fractions are cut off.
        version: One more wherever a byte comes out otherwise.
        colour: Whether it is a change of colours, which grey pictures have not.
    """

    name: str
    title: str
    family: Literal["noise", "blur", "weather", "digital", "extra"]
    small: Severities
    large: Severities
    apply: Callable[[Grey, Constants, Draws], npt.NDArray[Any]]
    version: int = 1
    colour: bool = False

    def constants(self, side: int, severity: int) -> Constants:
        """Return the constants of a severity, for square pictures of a side that has some."""
        return (self.small if side <= SMALL else self.large)[severity - 1]


def each(*values: float) -> Severities:
    """Return the constants of a type that has one a severity."""
    one, two, three, four, five = values
    return (one,), (two,), (three,), (four,), (five,)


def unit(x: Grey) -> Floats:
    """Return pictures in [0, 1]."""
    return x / 255.0


def levels(x: npt.NDArray[Any]) -> Floats:
    """Return values that belong in [0, 1] as grey levels: 255 clip(x, 0, 1)."""
    out: Floats = np.clip(x, 0, 1) * 255
    return out
