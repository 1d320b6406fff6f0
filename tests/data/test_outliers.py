"""What is trained against is never what is tested: by content, in every matrix whose sets are here."""

import hashlib

import numpy as np
import pytest

from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.load import load
from oodbench.data.matrix import Matrix, load_matrices
from oodbench.errors import MissingData

WITH_OUTLIERS = [matrix for matrix in load_matrices().values() if matrix.outliers]


def pictures(images: Inputs) -> np.ndarray:
    """Return the pixels as a screen would show them, 8 bits each: two copies of a picture may differ beyond that."""
    return np.round(255 * images.batch(slice(None))).astype(np.uint8)


def hashes(x: np.ndarray) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in x]


def in_common(outliers: Inputs, tested: Inputs) -> int:
    """Return how many outliers, or their mirror images, are also tested: training mirrors them."""
    x, seen = pictures(outliers), set(hashes(pictures(tested)))
    mirrored = np.ascontiguousarray(x[..., ::-1])
    return sum(a in seen or b in seen for a, b in zip(hashes(x), hashes(mirrored), strict=True))


@pytest.mark.parametrize("matrix", WITH_OUTLIERS, ids=lambda matrix: matrix.name)
def test_no_outlier_is_a_test_picture(matrix: Matrix) -> None:
    try:
        test = load(matrix.in_set, "test", n=matrix.n_test)
        outliers = {one.card: load(one.card, one.split, like=test, n=one.n) for one in matrix.outliers}
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    tested, absent = {matrix.in_set: test}, []
    for one in matrix.ood:
        try:
            tested[one.card] = load(one.card, one.split, like=test, n=one.n)
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
        test = load(matrix.in_set, "test", n=matrix.n_test)
        assert all(
            len(load(one.card, one.split, like=test, n=one.n)) == one.n for one in (*matrix.ood, *matrix.outliers)
        )


def test_a_copy_is_found_also_mirrored_and_in_floating_point() -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    other = np.random.default_rng(1).integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    assert in_common(ArrayImages(x), ArrayImages(other)) == 0
    other[4], other[5] = x[2], x[3][..., ::-1]
    assert in_common(ArrayImages(x), ArrayImages(other)) == 2
    assert in_common(ArrayImages(x), ArrayImages((other / 255).astype(np.float32))) == 2
