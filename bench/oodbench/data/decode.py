"""One encoded picture (PNG, JPEG, TIFF ...) as 8-bit pixels.

What a picture becomes: grey stays grey, everything else RGB. Transparency is dropped, the colours under it stay, as in
other loaders. 16-bit grey is scaled to 8 bits. A photograph that says how it was held (EXIF) stands upright. Of an
animation, the first frame counts. Whatever has no certain range (32-bit integers, floats) is refused.
"""

import io
import threading
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from oodbench.errors import BadData

ORIENTATION = 0x0112
BITS_PER_SAMPLE = 258
UPRIGHT = 1

QUIETLY = threading.Lock()
"""Held while warnings are off: switching them is one for all threads."""

_KEPT_GREY = ("1", "L", "LA", "La")
_TO_RGB = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "HSV")


class Decoded(NamedTuple):
    """Pixels [h w] or [h w 3]; `rule`: what was done beyond reading them, empty for an ordinary picture."""

    pixels: npt.NDArray[np.uint8]
    rule: str


def decode(content: bytes, name: str, upright: bool = True) -> Decoded:
    """Return the pixels of an encoded picture.

    Args:
        content: Its bytes.
        name: What errors call it.
        upright: Whether one that says how it was held is turned.

    Raises:
        BadData: It is damaged, cut short, no picture, far too large, or of a kind that has no certain range.
    """
    try:
        return _opened(content, name, upright)
    except Warning:  # of damaged metadata, say, where the caller makes errors of warnings: the pixels are as good
        with QUIETLY, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _opened(content, name, upright)


def as_8_bits(picture: Image.Image, name: str) -> npt.NDArray[np.uint8]:
    """Return the pixels [h w] or [h w 3] of a picture that is open already, by the same rules, as it is held.

    Raises:
        BadData: It is damaged, or of a kind that has no certain range.
    """
    try:
        return _decode(picture, name, upright=False).pixels
    except (BadData, Warning):
        raise
    except Exception as error:  # it is only now that its file is read
        raise BadData(f"{name}: not a readable image ({str(error) or type(error).__name__}).") from error


def _opened(content: bytes, name: str, upright: bool) -> Decoded:
    try:
        with Image.open(io.BytesIO(content)) as file:
            return _decode(file, name, upright)
    except (BadData, Warning):
        raise
    except Exception as error:  # a damaged picture may raise anything
        raise BadData(f"{name}: not a readable image ({str(error) or type(error).__name__}).") from error


def _decode(file: Image.Image, name: str, upright: bool) -> Decoded:
    orientation = _orientation(file) if upright else UPRIGHT
    if file.mode.startswith("I;16"):
        pixels, rule = _from_16_bits(file, name), "16 bits"
    elif file.mode in _KEPT_GREY:
        pixels, rule = np.asarray(file.convert("L")), ""
    elif file.mode in _TO_RGB:
        transparent = file.mode == "P" and "transparency" in file.info  # Pillow warns, unless it is RGBA in between
        pixels, rule = np.asarray((file.convert("RGBA") if transparent else file).convert("RGB")), ""
    else:
        raise BadData(
            f"{name}: got pixels of Pillow's mode {file.mode!r} (32-bit integers, floats or a rare colour space), "
            f"whose black and white are not certain; save it as 8-bit or 16-bit grey, or as RGB."
        )
    if orientation == UPRIGHT:
        return Decoded(pixels, rule)
    turned = Image.fromarray(pixels)
    turned.getexif()[ORIENTATION] = orientation
    return Decoded(np.asarray(ImageOps.exif_transpose(turned)), f"{rule} orientation {orientation}".strip())


def _from_16_bits(file: Image.Image, name: str) -> npt.NDArray[np.uint8]:
    """Return round(v / 257): 0 stays black, and 65535 white."""
    bits = getattr(file, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
    if tuple(np.atleast_1d(bits)) != (16,):
        raise BadData(f"{name}: got a TIFF of {bits} bits a pixel, expected 8 or 16; save it as one of these.")
    wide = np.asarray(file).astype(np.float64)
    grey: npt.NDArray[np.uint8] = np.rint(wide / 257).astype(np.uint8)
    return grey


def _orientation(file: Image.Image) -> int:
    """Return how the camera was held, from 1 (upright) to 8; a picture whose EXIF is damaged counts as upright."""
    try:
        said = file.getexif().get(ORIENTATION, UPRIGHT)
    except Warning:
        raise
    except Exception:  # damaged metadata is no damaged picture
        return UPRIGHT
    return said if said in range(1, 9) else UPRIGHT
