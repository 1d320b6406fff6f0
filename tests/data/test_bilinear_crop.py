"""Pixels as OpenOOD v1.5 makes them: torchvision's Resize, CenterCrop and ToTensor are the oracle, to the pixel."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

from oodbench.data.images import FilePictures, FolderImages

SIZES = [(28, 28), (32, 32), (64, 64), (33, 47), (47, 33), (32, 45), (31, 32), (500, 375), (40, 301), (1, 5)]
LARGE = [(224, 224), (256, 256), (256, 257), (225, 224), (300, 1000), (1023, 767), (100, 80), (257, 399)]
MODES = {"L": ".jpg", "RGB": ".jpg", "CMYK": ".jpg", "P": ".png", "RGBA": ".png", "1": ".png"}


def openood(size: int, short: int) -> Callable[[Image.Image], np.ndarray]:
    """Return what OpenOOD's TestStandardPreProcessor does up to the standardisation."""
    bilinear = Resize(short, interpolation=InterpolationMode.BILINEAR)
    return Compose([lambda image: image.convert("RGB"), bilinear, CenterCrop(size), ToTensor(), lambda x: x.numpy()])


def stored(folder: Path, size: tuple[int, int], mode: str = "RGB") -> Path:
    rng = np.random.default_rng(size)
    noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    path = folder / f"{size[0]}x{size[1]}-{mode}{MODES[mode]}"
    noise.convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    ("sizes", "shape", "short", "resampling"),
    [(SIZES, (3, 32, 32), 32, "bilinear-crop"), (LARGE, (3, 224, 224), 256, "bilinear-crop-margin")],
)
def test_pixels_of_every_size_are_openoods(
    tmp_path: Path, sizes: list, shape: tuple, short: int, resampling: str
) -> None:
    paths = tuple(stored(tmp_path, size) for size in sizes)
    images = FolderImages(FilePictures(paths), shape, resampling, upright=False)
    make = openood(shape[1], short)
    for path, ours in zip(paths, images.batch(slice(None)), strict=True):
        assert np.array_equal(ours, make(Image.open(path))), path.name


@pytest.mark.parametrize("mode", MODES)
def test_pixels_of_every_colour_are_openoods(tmp_path: Path, mode: str) -> None:
    path = stored(tmp_path, (50, 41), mode)
    images = FolderImages(FilePictures((path,)), (3, 32, 32), "bilinear-crop", upright=False)
    assert np.array_equal(images.batch(slice(None))[0], openood(32, 32)(Image.open(path)))


def test_a_picture_that_is_held_sideways_is_not_turned_and_has_another_hash() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "png", exif=exif)

    class Pictures:
        def __len__(self) -> int:
            return 1

        def name(self, place: int) -> str:
            return "a.png"

        def content(self, place: int) -> bytes:
            return file.getvalue()

    as_stored, turned = (
        FolderImages(Pictures(), (3, 32, 32), "bilinear-crop", upright=upright) for upright in (False, True)
    )
    expected = openood(32, 32)(Image.open(io.BytesIO(file.getvalue())))
    assert np.array_equal(as_stored.batch(slice(None))[0], expected)
    assert not np.array_equal(turned.batch(slice(None))[0], expected)
    assert as_stored.sha256() != turned.sha256()
