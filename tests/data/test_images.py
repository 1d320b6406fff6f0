"""Images: what they accept, how they are batched, taken, hashed and fitted."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodbench.data.changed import ChangedImages, Mirror
from oodbench.data.images import (
    ArrayImages,
    FilePictures,
    FolderImages,
    fit_one,
    fit_shape,
    quantised,
)
from oodbench.errors import BadData

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 3, 8, 10), np.uint8)
LABELS = np.arange(6)


def test_a_batch_is_float32_in_the_unit_interval() -> None:
    batch = ArrayImages(PIXELS, LABELS).batch(np.array([4, 1]))
    assert batch.dtype == np.float32 and batch.shape == (2, 3, 8, 10)
    assert np.array_equal(batch, PIXELS[[4, 1]].astype(np.float32) / 255)
    floats = ArrayImages(PIXELS.astype(np.float32) / 255)
    assert np.array_equal(floats.batch(slice(2, 4)), PIXELS[2:4].astype(np.float32) / 255)


def test_take_keeps_order_labels_and_card() -> None:
    taken = ArrayImages(PIXELS, LABELS, "a-card").take(np.array([5, 0, 3]))
    assert taken.labels is not None and taken.labels.tolist() == [5, 0, 3]
    assert np.array_equal(taken.pixels, PIXELS[[5, 0, 3]]) and taken.card == "a-card"


def test_the_hash_is_of_the_content() -> None:
    images = ArrayImages(PIXELS, LABELS)
    assert images.sha256() == ArrayImages(np.asfortranarray(PIXELS), LABELS.copy(), "other").sha256()
    changed = PIXELS.copy()
    changed[5, 2, 7, 9] ^= 1
    different = [
        ArrayImages(changed, LABELS),
        ArrayImages(PIXELS),
        ArrayImages(PIXELS, LABELS[::-1].copy()),
        ArrayImages(PIXELS[:5], LABELS[:5]),
        ArrayImages(PIXELS.reshape(6, 3, 10, 8), LABELS),
        ArrayImages(PIXELS.astype(np.float32) / 255, LABELS),
    ]
    assert len({images.sha256(), *(one.sha256() for one in different)}) == 7


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (PIXELS.astype(np.float64), None, "got float64 pixels, expected uint8 or float32"),
        (PIXELS[0], None, r"expected \[n c h w\]"),
        (PIXELS[:0], None, "got no images"),
        (PIXELS[:, :0], None, r"expected \[n c h w\]"),
        (PIXELS.tolist(), None, "got list pixels"),
        (PIXELS.astype(np.float32), None, r"float32 pixels from 0 to 255, expected \[0, 1\]"),
        (np.full((1, 1, 2, 2), np.nan, np.float32), None, "nan"),
        (PIXELS, LABELS.astype(np.int32), "got int32 labels, expected int64"),
        (PIXELS, LABELS[:5], "one an input"),
    ],
)
def test_what_is_not_an_image_set(pixels: np.ndarray, labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(BadData, match=message):
        ArrayImages(pixels, labels)


def test_quantised_rounds_and_clips() -> None:
    assert quantised(np.array([-1, 0, 0.5, 1, 2, 0.9981])).tolist() == [0, 0, 128, 255, 255, 255]


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]))
def test_pad_centres(h: int, w: int, c: int) -> None:
    image = RNG.integers(1, 256, (1, 6, 6), np.uint8)
    fitted = fit_one(image, (c, h, w), "pad")
    assert fitted.shape == (c, h, w)
    rows, columns = min(h, 6), min(w, 6)
    inside = image[0, (6 - rows) // 2 :, (6 - columns) // 2 :][:rows, :columns]
    assert int(fitted[0].astype(int).sum()) == int(inside.astype(int).sum()), "zeros around, or the centre"


def test_mnist_into_a_cifar_net() -> None:
    """28x28 grey to 32x32x3: two zeros on each side, the channel three times."""
    grey = RNG.integers(0, 256, (1, 28, 28), np.uint8)
    fitted = fit_one(grey, (3, 32, 32), "pad")
    assert np.array_equal(fitted[:, 2:30, 2:30], np.repeat(grey, 3, axis=0))
    assert fitted.sum(dtype=int) == 3 * grey.sum(dtype=int)


def test_box_averages() -> None:
    image = RNG.integers(0, 256, (3, 8, 8), np.uint8)
    means = image.reshape(3, 4, 2, 4, 2).mean((2, 4))
    assert np.abs(fit_one(image, (3, 4, 4), "box") - means).max() <= 1, "Pillow rounds once a direction"
    floats = (image / 255).astype(np.float32)
    assert np.allclose(fit_one(floats, (3, 4, 4), "box"), means / 255, atol=1e-6)


def test_bicubic_does_not_alias() -> None:
    """A one-pixel chequerboard shrunk to a quarter is grey; without antialiasing it would be black or white."""
    board = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[None]
    small = fit_one(board, (1, 8, 8), "bicubic")
    assert np.abs(small[0, 2:6, 2:6].astype(int) - 128).max() <= 3


def test_luma() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 200, 90]], np.uint8)
    image = colours.T[:, :, None]
    reference = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))
    assert np.abs(fit_one(image, (1, 5, 1), "none")[0].astype(int) - reference).max() <= 1


@pytest.mark.parametrize(("resampling", "short"), [("crop", 32), ("crop-margin", 37)])
def test_crop_scales_the_shorter_side_and_takes_the_centre(resampling: str, short: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 200), (1, 100, 200)).astype(np.uint8)
    fitted = fit_one(ramp, (1, 32, 32), resampling)[0].astype(float)
    assert fitted.shape == (32, 32)
    assert fitted.mean() == pytest.approx(127.5, abs=1)
    assert fitted[0, -1] - fitted[0, 0] == pytest.approx(255 * 31 / (2 * short), abs=2)


def test_no_rule_no_result() -> None:
    with pytest.raises(BadData, match="got shape 3x8x10, expected 3x8x8: the card's resampling is 'none'"):
        fit_shape(ArrayImages(PIXELS), (3, 8, 8), "none")
    with pytest.raises(BadData, match="got 2 channels, expected 3"):
        fit_one(PIXELS[0, :2], (3, 8, 10), "pad")


def test_fit_shape_leaves_what_fits() -> None:
    images = ArrayImages(PIXELS, LABELS)
    assert fit_shape(images, (3, 8, 10), "none") is images
    fitted = fit_shape(images, (1, 4, 4), "box")
    assert fitted.shape == (1, 4, 4) and fitted.labels is LABELS and len(fitted) == 6


@pytest.fixture
def folder(tmp_path: Path) -> FolderImages:
    for k, image in enumerate(PIXELS):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{k}.png")
    return FolderImages(FilePictures(tuple(sorted(tmp_path.glob("*.png")))), (3, 8, 10), "pad", LABELS, "a-card")


def test_a_folder_is_read_as_its_arrays_would_be(folder: FolderImages) -> None:
    arrays = ArrayImages(PIXELS, LABELS, "a-card")
    assert len(folder) == 6 and folder.shape == (3, 8, 10)
    for indices in (slice(None), slice(1, 5, 2), np.array([4, 4, 0])):
        assert np.array_equal(folder.batch(indices), arrays.batch(indices))
        assert np.array_equal(folder.take(indices).batch(slice(None)), arrays.batch(indices))
    twice = folder.take(np.array([5, 2, 0])).take(slice(1, 3))
    assert twice.labels is not None and twice.labels.tolist() == [2, 0]
    assert np.array_equal(twice.batch(slice(None)), arrays.batch(np.array([2, 0])))


def test_a_folder_is_fitted_as_its_arrays_would_be(folder: FolderImages) -> None:
    fitted, arrays = (fit_shape(images, (1, 4, 4), "box") for images in (folder, ArrayImages(PIXELS, LABELS)))
    assert np.array_equal(fitted.batch(slice(None)), arrays.batch(slice(None)))


def test_a_folders_hash_follows_its_files(folder: FolderImages) -> None:
    before = folder.sha256()
    assert isinstance(folder.pictures, FilePictures)
    again = FolderImages(folder.pictures, folder.shape, "pad", LABELS)
    assert again.sha256() == before
    assert fit_shape(folder, (1, 4, 4), "box").sha256() != before
    Image.fromarray(PIXELS[1].transpose(1, 2, 0)).save(folder.pictures.paths[0])
    assert FolderImages(folder.pictures, folder.shape, "pad", LABELS).sha256() != before


def test_an_inverted_folder(folder: FolderImages) -> None:
    inverted = FolderImages(folder.pictures, folder.shape, "pad", invert=True)
    assert np.allclose(inverted.batch(slice(None)), 1 - folder.batch(slice(None)))


def test_a_damaged_picture_is_named(folder: FolderImages) -> None:
    assert isinstance(folder.pictures, FilePictures)
    path = folder.pictures.paths[3]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadData, match=r"3\.png: not a readable image"):
        folder.batch(slice(None))
    assert len(folder.batch(slice(0, 3))) == 3, "the others can be read"


def test_palettes_and_transparency_become_rgb(tmp_path: Path) -> None:
    picture = Image.fromarray(PIXELS[0].transpose(1, 2, 0))
    picture.convert("RGBA").save(tmp_path / "a.png")
    picture.convert("P").save(tmp_path / "b.png")
    Image.fromarray(PIXELS[0, 0]).save(tmp_path / "c.png")
    images = FolderImages(FilePictures(tuple(sorted(tmp_path.glob("*.png")))), (3, 8, 10), "pad")
    batch = images.batch(slice(None))
    assert np.array_equal(batch[0], PIXELS[0].astype(np.float32) / 255)
    assert np.array_equal(batch[2], np.repeat(PIXELS[0, :1], 3, axis=0).astype(np.float32) / 255)


def test_mirrored_images_mirror() -> None:
    images = ArrayImages(PIXELS, LABELS)
    assert np.array_equal(ChangedImages(images, Mirror(3)).batch(slice(None)), images.batch(slice(None))[..., ::-1])
    assert np.array_equal(ChangedImages(images, Mirror(2)).batch(slice(None)), images.batch(slice(None))[:, :, ::-1])
    upright = ArrayImages(PIXELS[..., ::-1].copy())
    assert ChangedImages(images, Mirror(3)).sha256() == upright.sha256(), "equal content, equal hash"


def test_crop_256_box_is_the_mean_of_eight_by_eight_of_the_cropped_image() -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (3, 300, 410), np.uint8)
    cropped = fit_one(wide, (3, 256, 256), "crop").astype(np.float64)
    means = cropped.reshape(3, 32, 8, 32, 8).mean(axis=(2, 4))
    made = fit_one(wide, (3, 32, 32), "crop-256-box")
    assert made.shape == (3, 32, 32)
    assert np.abs(made - means).max() <= 1
    assert np.abs(made - means).mean() < 0.5
