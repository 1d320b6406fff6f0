"""What is trained against is never what is tested: by content, in every matrix whose sets are here."""

import hashlib
from functools import cache

import numpy as np
import pytest

from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.load import load
from oodbench.data.matrix import Matrix, load_matrices
from oodbench.errors import MissingData

WITH_OUTLIERS = [matrix for matrix in load_matrices().values() if matrix.outliers]


def hashes(images: Inputs) -> list[tuple[str, str]]:
    """Return what tells pictures apart, and their mirror images: training mirrors outliers.

    As a screen would show them, 8 bits each: two copies of a picture may differ beyond that.
    """
    x = np.round(255 * images.batch(slice(None))).astype(np.uint8)
    both = zip(x, np.ascontiguousarray(x[..., ::-1]), strict=True)
    return [
        (hashlib.sha256(image.tobytes()).hexdigest(), hashlib.sha256(turned.tobytes()).hexdigest())
        for image, turned in both
    ]


def in_common(outliers: list[tuple[str, str]], tested: list[tuple[str, str]]) -> int:
    """Return how many outliers, or their mirror images, are also tested."""
    seen = {image for image, _ in tested}
    return sum(image in seen or turned in seen for image, turned in outliers)


@cache
def of_in_set(name: str, n: int) -> Inputs:
    return load(name, "test", n=n)


@cache
def hashes_of(card: str, split: str, n: int | None, in_set: str, n_test: int) -> list[tuple[str, str]]:
    """Return the hashes of a set as matrices of this in-set have it: decoded once for all of them."""
    return hashes(load(card, split, like=of_in_set(in_set, n_test), n=n))


@pytest.mark.parametrize("matrix", WITH_OUTLIERS, ids=lambda matrix: matrix.name)
def test_no_outlier_is_a_test_picture(matrix: Matrix) -> None:
    around = (matrix.in_set, matrix.n_test)
    try:
        tested = {matrix.in_set: hashes(of_in_set(*around))}
        outliers = {one.card: hashes_of(one.card, one.split, one.n, *around) for one in matrix.outliers}
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    absent = []
    for one in matrix.ood:
        try:
            tested[one.card] = hashes_of(one.card, one.split, one.n, *around)
        except MissingData:
            absent.append(one.card)
    shared = {(a, b): in_common(x, y) for a, x in outliers.items() for b, y in tested.items()}
    assert not {pair: n for pair, n in shared.items() if n}
    if absent:
        pytest.skip(f"of the sets that are here, none; not here: {', '.join(absent)}")


def test_matrices_without_a_download_have_all_their_sets_here() -> None:
    """So that the test above is more than skipped."""
    for name in ("tiny-v1", "fashion-mnist-v1"):
        matrix = load_matrices()[name]
        for one in (*matrix.ood, *matrix.outliers):
            assert len(hashes_of(one.card, one.split, one.n, matrix.in_set, matrix.n_test)) == one.n


def test_a_copy_is_found_also_mirrored_and_in_floating_point() -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    other = np.random.default_rng(1).integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    images = hashes(ArrayImages(x))
    assert in_common(images, hashes(ArrayImages(other))) == 0
    other[4], other[5] = x[2], x[3][..., ::-1]
    assert in_common(images, hashes(ArrayImages(other))) == 2
    assert in_common(images, hashes(ArrayImages((other / 255).astype(np.float32)))) == 2
