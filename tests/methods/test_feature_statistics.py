"""Percentiles, principal directions and neighbours against numpy, at the edges of floats too."""

import numpy as np
import pytest
import torch

from oodbench import banks
from oodbench import feature_statistics as statistics
from oodbench.contract import Head
from oodbench.formulas import through_head


def entries(kind: str, dtype: torch.dtype) -> torch.Tensor:
    x = torch.randn(301, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kinds = {
        "normal": x,
        "rectified": x.relu(),
        "constant": torch.ones_like(x),
        "signed-zeros": torch.where(x > 0, 0.0, -0.0),
        "tiny": x * 1e-40,
        "wide": x.sign() * (20 * x).exp(),
        "one": x[:1, :1],
    }
    return kinds[kind].to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["normal", "rectified", "constant", "signed-zeros", "tiny", "wide", "one"])
def test_percentile_is_numpys(kind: str, dtype: torch.dtype) -> None:
    x = entries(kind, dtype)
    for q in (0.0, 1.0, 37.3, 50.0, 90.0, 99.9, 100.0):
        assert statistics.percentile(x, q) == pytest.approx(np.percentile(x.double().numpy(), q), rel=1e-12)


def test_principal_directions_are_numpys() -> None:
    x = entries("normal", torch.float32) @ torch.diag(torch.arange(1.0, 8))
    found = statistics.principal(x, statistics.mean(x))
    expected = np.cov(x.double().numpy().T, bias=True)
    np.testing.assert_allclose(found.variance, np.linalg.eigvalsh(expected)[::-1], rtol=1e-9)
    rebuilt = found.direction @ torch.diag(found.variance) @ found.direction.T
    np.testing.assert_allclose(rebuilt, expected, atol=1e-9)


def test_second_moment_about_another_point_than_the_mean() -> None:
    x = entries("normal", torch.float64)
    o = torch.arange(7.0, dtype=torch.float64)
    expected = sum(np.outer(row - o.numpy(), row - o.numpy()) for row in x.numpy()) / len(x)
    np.testing.assert_allclose(statistics.second_moment(x, o), expected, rtol=1e-9)


def test_neighbours_by_a_loop() -> None:
    bank, u = (
        torch.nn.functional.normalize(entries("normal", torch.float64)[rows]) for rows in (slice(200), slice(200, 301))
    )
    found = banks.neighbours(u, bank, 3)
    for row, distance, index in zip(u, found.distance, found.row, strict=True):
        every = (bank - row).norm(dim=1)
        assert index.tolist() == every.argsort()[:3].tolist()
        np.testing.assert_allclose(distance, every.sort().values[:3], rtol=1e-9)


def test_a_bank_smaller_than_k_is_all_of_it() -> None:
    assert banks.neighbours(torch.eye(3), torch.eye(3), 50).row.shape == (3, 3)


def test_rows_are_drawn_once_each_by_their_seed() -> None:
    rows = banks.drawn(1000, 100, seed=3)
    assert len(rows.unique()) == 100
    assert rows.equal(banks.drawn(1000, 100, seed=3))
    assert not rows.equal(banks.drawn(1000, 100, seed=4))
    assert rows.float().mean() == pytest.approx(500, abs=100), "not the first rows"
    assert banks.drawn(5, 100, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_through_the_head_by_a_loop() -> None:
    f, w, b = torch.rand(4, 3), torch.randn(2, 3), torch.randn(2)
    expected = [[sum(f[i, j] * w[c, j] for j in range(3)) + b[c] for c in range(2)] for i in range(4)]
    np.testing.assert_allclose(through_head(f, Head(w, b)), expected, rtol=1e-4, atol=1e-6)  # the loop is in float32


def test_pca_of_blocks_is_that_of_the_whole() -> None:
    x = 1e3 + torch.randn(100, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole, blocks = statistics.principal(x, statistics.mean(x)), statistics.pca(x.split(17))
    torch.testing.assert_close(blocks.origin, whole.origin)
    torch.testing.assert_close(blocks.variance, whole.variance)
    torch.testing.assert_close(blocks.direction.abs(), whole.direction.abs())


def test_leading_directions_hold_the_share() -> None:
    found = statistics.pca([torch.diag(torch.tensor([3.0, 2.0, 1.0])), -torch.diag(torch.tensor([3.0, 2.0, 1.0]))])
    held = (found.variance / found.variance.sum()).cumsum(0)
    torch.testing.assert_close(held, torch.tensor([9, 13, 14], dtype=torch.float64) / 14)
    assert [found.leading(share) for share in (0.1, 9 / 14 - 1e-9, 9 / 14 + 1e-9, 13 / 14 - 1e-9, 0.99)] == [
        1,
        1,
        2,
        2,
        2,
    ]
