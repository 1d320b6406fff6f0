"""All corruptions by name, and the one way to apply them; scipy is loaded when one is applied, not to name them."""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.corruptions.blur import BLUR
from oodbench.corruptions.digital import DIGITAL
from oodbench.corruptions.draws import draws
from oodbench.corruptions.extra import EXTRA
from oodbench.corruptions.kinds import LARGE, SMALL, SMALLEST, Corruption, Grey
from oodbench.corruptions.noise import NOISE
from oodbench.corruptions.weather import WEATHER
from oodbench.errors import BadData, UnknownName

FIFTEEN = tuple(one.name for one in (*NOISE, *BLUR, *WEATHER, *DIGITAL))
"""The names of the types that mCE is over, in the paper's order."""

PUBLISHED_FIFTEEN = tuple(name.removeprefix("drawn-") for name in FIFTEEN)
"""Their names in the authors' files, whose frost is of photographs."""

CORRUPTIONS: dict[str, Corruption] = {one.name: one for one in (*NOISE, *BLUR, *WEATHER, *DIGITAL, *EXTRA)}
"""All types by name."""

SEVERITIES = (1, 2, 3, 4, 5)

AT_ONCE = 1 << 22
"""Values at most that are held in float64 at a time."""


def of_the_fifteen(types: Collection[str]) -> list[str]:
    """Return those of some types that mCE is over; a frost of photographs counts, and a drawn one in its place.

    Example:
        >>> of_the_fifteen(["drawn-frost", "spatter"]), of_the_fifteen(["drawn-frost", "frost"])
        (['drawn-frost'], ['frost'])
    """
    fifteen = PUBLISHED_FIFTEEN if set(types) & set(PUBLISHED_FIFTEEN) - set(FIFTEEN) else FIFTEEN
    return [name for name in fifteen if name in types]


def find_corruption(name: str) -> Corruption:
    """Return a type of corruption.

    Raises:
        UnknownName: There is none of that name; the nearest is offered.

    Example:
        >>> find_corruption("fog").name
        'fog'
    """
    if name not in CORRUPTIONS:
        raise UnknownName("corruption", name, CORRUPTIONS)
    return CORRUPTIONS[name]


def why_not(corruption: Corruption, shape: tuple[int, ...]) -> str | None:
    """Return why pictures of a shape (channels, height, width) cannot be corrupted so; None if they can.

    Example:
        >>> why_not(find_corruption("fog"), (3, 32, 32)) is None
        True
        >>> why_not(find_corruption("fog"), (2, 32, 32))
        'pictures of 2 channels have no fog: expected 1 (grey) or 3 (RGB)'
    """
    c, h, w = shape
    if c not in (1, 3):
        return f"pictures of {c} channels have no {corruption.name}: expected 1 (grey) or 3 (RGB)"
    if corruption.colour and c == 1:
        return f"{corruption.name} changes colours, and grey pictures have none; leave it out"
    if h != w or not (SMALLEST <= h <= SMALL or h >= LARGE):
        return (
            f"pictures of {h} x {w} pixels have no constants: corruptions are defined on squares, with CIFAR-C's "
            f"constants from {SMALLEST} to {SMALL} pixels and ImageNet-C's from {LARGE} on; resize them"
        )
    return None


def corrupt(
    images: Grey, name: str, severity: int, *, seed: int = 0, index: npt.NDArray[np.integer[Any]] | None = None
) -> Grey:
    """Return corrupted pictures. The same picture, place and seed give the same bytes, in whatever batch.

    Args:
        images: Grey levels [n c h w], uint8; 1 or 3 channels.
        name: The type of corruption.
        severity: 1 (mild) to 5.
        seed: Of what is random in it.
        index: Place of each picture in its set [n], 0 or more; by default they are the set, in order.

    Raises:
        UnknownName: No such type; the nearest is offered.
        BadData: Pictures of another dtype or shape, no such severity, or an index that does not fit.

    Example:
        >>> import numpy as np
        >>> grey = np.full((2, 1, 28, 28), 100, np.uint8)
        >>> bool((corrupt(grey, "fog", 3) == np.concatenate([corrupt(grey[:1], "fog", 3),
        ...     corrupt(grey[1:], "fog", 3, index=np.array([1]))])).all())
        True
    """
    corruption = find_corruption(name)
    index = np.arange(len(images)) if index is None else index
    _check(corruption, images, severity, index)
    constants = corruption.constants(images.shape[-1], severity)
    size = max(1, AT_ONCE // images[0].size) if len(images) else 1
    out = np.empty_like(images)
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        levels = corruption.apply(images[part], constants, draws(index[part], name, severity, seed))
        out[part] = np.clip(levels, 0, 255).astype(np.uint8)
    return out


def _check(corruption: Corruption, images: Any, severity: int, index: npt.NDArray[np.integer[Any]]) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        got = f"{images.dtype}{list(images.shape)}" if isinstance(images, np.ndarray) else type(images).__name__
        raise BadData(f"{corruption.name}: got {got}, expected uint8 grey levels [n c h w]")
    if severity not in SEVERITIES:
        raise BadData(f"{corruption.name}: got severity {severity}, expected one of {SEVERITIES}")
    if why := why_not(corruption, images.shape[1:]):
        raise BadData(f"{corruption.name}: {why}")
    if index.shape != (len(images),) or (len(index) and index.min() < 0):
        raise BadData(
            f"{corruption.name}: got {len(index)} places for {len(images)} pictures, expected one each, from 0"
        )
