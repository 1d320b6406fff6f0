"""feature-squeezing against loops over pixels, and scipy's median."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.feature_squeezing import METHODS, FeatureSqueezing, l1, median, non_local_means, reduced
from scipy.ndimage import median_filter
from torch import Tensor

SMALL = FeatureSqueezing(bits=2, median=2, h=30.0, window=3, patch=3)


def images(n: int = 2, channels: int = 2, height: int = 6, width: int = 5) -> Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def mirror(i: int, n: int) -> int:
    """Return the pixel that stands at place i of a row mirrored at its edges, the edge pixel twice."""
    return (-i - 1 if i < 0 else i) if i < n else 2 * n - 1 - i


def means_by_loops(x: np.ndarray, h: float, window: int, patch: int) -> np.ndarray:
    channels, height, width = x.shape
    made = np.zeros_like(x)

    def at(c: int, row: int, column: int) -> float:
        return float(x[c, mirror(row, height), mirror(column, width)])

    inside, reach = range(-(patch // 2), patch // 2 + 1), range(-(window // 2), window // 2 + 1)
    for r in range(height):
        for s in range(width):
            total, weight = np.zeros(channels), 0.0
            for a in reach:
                for b in reach:
                    squares = [
                        (at(c, r + i, s + j) - at(c, r + a + i, s + b + j)) ** 2
                        for c in range(channels)
                        for i in inside
                        for j in inside
                    ]
                    v = math.exp(-(sum(squares) / len(squares)) / h**2)
                    total += v * np.array([at(c, r + a, s + b) for c in range(channels)])
                    weight += v
            made[:, r, s] = total / weight
    return made


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("side", [2, 3])
def test_the_median_is_scipys(side: int) -> None:
    x = images()
    expected = median_filter(x.numpy(), size=(1, 1, side, side), mode="reflect")
    np.testing.assert_array_equal(median(x, side), expected)


@pytest.mark.parametrize(("window", "patch"), [(3, 3), (5, 3), (5, 1)])
def test_non_local_means_by_loops(window: int, patch: int) -> None:
    x = images()
    expected = np.stack([means_by_loops(image, 0.3, window, patch) for image in x.numpy()])
    np.testing.assert_allclose(non_local_means(x, 0.3, window, patch), expected, rtol=1e-12)


def test_bits() -> None:
    assert reduced(torch.tensor([[[[0.0, 0.4, 0.6, 1.0]]]]), 1).flatten().tolist() == [0, 0, 1, 1]
    assert len(reduced(images(), 3).unique()) == 8


def test_score_by_loops(lab) -> None:
    x = lab.test
    with torch.no_grad():
        p = softmax(lab.net(x).numpy())
        means = np.stack([means_by_loops(image, 30 / 255, 3, 3) for image in x.numpy()])
        simpler = (
            np.round(x.numpy() * 3) / 3,
            median_filter(x.numpy(), size=(1, 1, 2, 2), mode="reflect"),
            means,
        )
        moved = [np.abs(p - softmax(lab.net(torch.from_numpy(y)).numpy())).sum(axis=1) for y in simpler]
    assert len({int(np.argmax(one)) for one in np.stack(moved, axis=1)}) > 1
    np.testing.assert_allclose(lab.score(SMALL, x), -np.log(np.max(moved, axis=0)), rtol=1e-6)


def test_without_non_local_means_there_are_two_squeezers(lab) -> None:
    outputs = lab.outputs(SMALL, lab.test)
    with torch.no_grad():
        FeatureSqueezing(h=0.0).score((), outputs)
    assert outputs._model.passes.forward == 3 * len(lab.test)


def test_the_distance_does_not_drown_where_p_is_1() -> None:
    z = torch.tensor([[80.0, 0.0, 0.0]])
    moved = torch.tensor([[80.0, 1.0, 0.0]])
    assert float(l1(z, moved)[0]) == pytest.approx(2 * (math.e - 1) * math.exp(-80), rel=1e-9)


def test_the_distance_is_l1() -> None:
    z, other = (torch.randn(7, 4, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    expected = np.abs(softmax(z.numpy()) - softmax(other.numpy())).sum(axis=1)
    np.testing.assert_allclose(l1(z, other), expected, rtol=1e-12)


def test_an_image_with_nothing_to_squeeze_has_the_largest_score(lab) -> None:
    blank = torch.ones(1, 1, 7, 7, dtype=torch.float64)
    assert lab.score(SMALL, blank)[0] > 600 > lab.score(SMALL, lab.test).max()


def test_rows_are_the_authors() -> None:
    colour, grey, tuned = (row.detector for row in METHODS)
    assert colour == FeatureSqueezing(bits=5, median=2, h=2.0, window=13, patch=3)
    assert (grey.bits, grey.median, grey.h) == (1, 2, 0.0)
    assert [row.tuning_access for row in METHODS] == ["none", "none", "adversarial_val"]
    assert tuned == colour
