"""Pictures of every kind: the pixels that a viewer shows, or a sentence that names the file."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodbench.data.decode import ORIENTATION, decode
from oodbench.data.images import FolderImages
from oodbench.errors import BadData

RAMP = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], -1)


def encoded(picture: Any, kind: str = "PNG", **more: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


class Held:
    """Encoded pictures in memory."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = contents

    def __len__(self) -> int:
        return len(self.contents)

    def name(self, place: int) -> str:
        return f"picture {place}"

    def content(self, place: int) -> bytes:
        return self.contents[place]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
@pytest.mark.parametrize("byte_order", ["<u2", ">u2"])
def test_16_bit_grey_is_scaled(kind: str, byte_order: str) -> None:
    if kind == "JPEG2000" and byte_order == ">u2":
        pytest.skip("Pillow writes it in one order")
    wide = (RAMP.astype(np.uint16) * 257).astype("<u2" if kind == "JPEG2000" else byte_order)
    got = decode(encoded(wide, kind), "x")
    assert np.array_equal(got.pixels, RAMP) and got.rule == "16 bits"


def test_16_bit_grey_rounds() -> None:
    wide = np.array([[0, 128, 129, 385, 386, 65535, 65406]], np.uint16)
    assert decode(encoded(wide), "x").pixels.tolist() == [[0, 0, 1, 1, 2, 255, 254]]


@pytest.mark.parametrize("shape", [(1, 24, 32), (3, 24, 32)])
def test_16_bit_pictures_in_a_set(shape: tuple[int, int, int]) -> None:
    images = FolderImages(Held(encoded(RAMP.astype(np.uint16) * 257), encoded(RAMP)), shape, "none")
    assert np.array_equal(images.pixels(slice(None)), np.broadcast_to(RAMP, (2, *shape)))


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_ranges_that_nobody_knows_are_refused(mode: str) -> None:
    picture = Image.new(mode, (4, 4))
    with pytest.raises(
        BadData, match=rf"a\.tif: got pixels of Pillow's mode '{mode}'.*save it as 8-bit or 16-bit grey"
    ):
        decode(encoded(picture, "TIFF"), "a.tif")


GREY = {
    "L": Image.fromarray(RAMP),
    "LA": Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(RAMP.T.copy().reshape(24, 32))]),
}
COLOUR = {
    "RGB": Image.fromarray(COLOURS),
    "RGBA": Image.merge("RGBA", [*Image.fromarray(COLOURS).split(), Image.fromarray(RAMP)]),
}


@pytest.mark.parametrize("picture", GREY.values(), ids=GREY)
def test_grey_stays_grey(picture: Image.Image) -> None:
    assert np.array_equal(decode(encoded(picture), "x").pixels, RAMP)


@pytest.mark.parametrize("picture", COLOUR.values(), ids=COLOUR)
def test_colours_stay_and_transparency_goes(picture: Image.Image) -> None:
    assert np.array_equal(decode(encoded(picture), "x").pixels, COLOURS)


def test_black_and_white() -> None:
    board = np.indices((8, 8)).sum(0) % 2 == 1
    assert np.array_equal(decode(encoded(Image.fromarray(board)), "x").pixels, board * np.uint8(255))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 250, 25))])
def test_palettes_are_looked_up(transparency: Any) -> None:
    """With a transparent colour, Pillow warns, and warnings are errors here."""
    picture = Image.fromarray(np.arange(8, dtype=np.uint8)[None].repeat(4, 0), "P")
    picture.putpalette([3 * k % 256 for k in range(30)])
    more = {} if transparency is None else {"transparency": transparency}
    got = decode(encoded(picture, **more), "x").pixels
    assert got[0].tolist() == [[9 * k, 9 * k + 3, 9 * k + 6] for k in range(8)]


def test_cmyk_becomes_rgb() -> None:
    ink = Image.merge("CMYK", [Image.new("L", (8, 8), value) for value in (255, 0, 0, 0)])
    cyan = decode(encoded(ink, "TIFF"), "x").pixels
    assert cyan[4, 4].tolist() == [0, 255, 255]
    jpeg = decode(encoded(ink, "JPEG", quality=95), "x").pixels
    assert np.abs(jpeg[4, 4].astype(int) - [0, 255, 255]).max() <= 3


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 1),
}
"""What a viewer shows of a picture stored as x, by the EXIF standard's number."""


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_photographs_stand_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    more = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    stored = decode(encoded(COLOURS, kind, **more), "x").pixels
    got = decode(encoded(COLOURS, kind, exif=exif, **more), "x")
    assert np.array_equal(got.pixels, TURNS[orientation](stored))
    assert got.rule == ("" if orientation == 1 else f"orientation {orientation}")


def test_damaged_exif_is_no_damaged_picture() -> None:
    content = encoded(COLOURS, "JPEG", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(decode(content, "x").pixels, decode(encoded(COLOURS, "JPEG", quality=100), "x").pixels)


def test_the_first_frame_of_an_animation_counts() -> None:
    first, second = (Image.new("L", (8, 8), shade) for shade in (200, 10))
    for kind in ("GIF", "PNG", "TIFF", "WEBP"):
        content = encoded(first, kind, save_all=True, append_images=[second])
        assert np.abs(decode(content, "x").pixels.astype(int) - 200).max() <= 1, kind


def test_the_fingerprint_follows_the_rule_by_which_a_picture_is_read() -> None:
    """Ordinary pictures keep the hash of their bytes, whatever this program learns to read."""
    import hashlib

    content = encoded(COLOURS)
    said = hashlib.sha256(b"(3, 24, 32) none False" + hashlib.sha256(content).digest()).hexdigest()
    assert FolderImages(Held(content), (3, 24, 32), "none").sha256() == said
    wide = encoded(RAMP.astype(np.uint16) * 257)
    plain = hashlib.sha256(b"(1, 24, 32) none False" + hashlib.sha256(wide).digest()).hexdigest()
    assert FolderImages(Held(wide), (1, 24, 32), "none").sha256() != plain


def test_a_picture_that_is_far_too_large_is_refused() -> None:
    header = encoded(Image.new("1", (8, 8)))
    huge = header[:16] + (40_000).to_bytes(4, "big") * 2 + header[24:]
    with pytest.raises(BadData, match=r"x\.png: not a readable image"):
        decode(huge, "x.png")


@given(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]), st.data())
def test_damage_is_a_sentence(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(COLOURS, kind))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        got = decode(bytes(content[:cut]), "x").pixels
    except BadData as error:
        assert str(error).startswith("x: ")
    else:
        assert got.dtype == np.uint8 and got.ndim in (2, 3)
