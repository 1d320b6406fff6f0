"""What ReAct's kin share: how many entries are kept, which, and the ratio of sums."""

import numpy as np
import pytest
import torch

from oodbench import shaping
from oodbench.contract import Head
from oodbench.errors import BadMethod


@pytest.mark.parametrize(
    ("n", "q", "k"), [(64, 90, 6), (64, 65, 22), (5, 65, 2), (5, 95, 1), (1, 100, 1), (8, 0, 8), (512, 85, 77)]
)
def test_kept_are_the_rest_and_never_none(n: int, q: float, k: int) -> None:
    assert shaping.kept(n, q) == k


@pytest.mark.parametrize("q", [-1, 100.5, float("nan")])
def test_a_share_that_is_none_is_refused(q: float) -> None:
    with pytest.raises(BadMethod, match="expected a share within"):
        shaping.kept(64, q)


def by_loops(row: np.ndarray, k: int) -> set[int]:
    """Return the places of the k largest, the first of equal ones before the others."""
    return set(sorted(range(len(row)), key=lambda i: (-row[i], i))[:k])


@pytest.mark.parametrize("k", [1, 3, 7, 12])
def test_largest_by_loops_with_ties(k: int) -> None:
    x = torch.randint(-3, 3, (40, 12), generator=torch.Generator().manual_seed(0)).float()
    kept = shaping.largest(x, k)
    assert (kept.sum(dim=1) == k).all()
    assert [set(row.nonzero()[:, 0].tolist()) for row in kept] == [by_loops(row, k) for row in x.numpy()]


def test_ratio_by_loops_with_a_share_for_each_row() -> None:
    x = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))
    k = torch.arange(40) % 12 + 1
    expected = []
    for row, some in zip(x.double().clamp_min(0).tolist(), k.tolist(), strict=True):
        expected.append(sum(row) / sum(sorted(row, reverse=True)[:some]))
    r = shaping.ratio(x, k)
    np.testing.assert_allclose(r, expected, rtol=1e-12)
    assert (r <= 12 / k + 1e-12).all()
    np.testing.assert_allclose(shaping.ratio(x, 3), shaping.ratio(x, torch.full((40,), 3)), rtol=0)


def test_ratio_at_the_edges() -> None:
    x = torch.tensor([[0.0] * 4, [-1.0] * 4, [2.0] * 4, [0.0, 3.0, 0.0, 0.0], [1e-38] * 4, [3.0, -9.0, 1.0, 0.0]])
    np.testing.assert_allclose(shaping.ratio(x, 2), [1, 1, 2, 1, 2, 1], rtol=1e-12)
    np.testing.assert_allclose(shaping.ratio(x, 1), [1, 1, 4, 1, 4, 4 / 3], rtol=1e-12)


def test_the_steepest_factor_is_finite_in_float32() -> None:
    even = torch.ones(1, 2048)
    assert shaping.ratio(even, 1) == 2048
    assert (1000 * shaping.sharpening(even, 1)).float().isfinite().all()


def test_energy_is_taken_in_float64() -> None:
    f = torch.tensor([[1e4, 1e-3]])
    head = Head(torch.tensor([[1.0, 1.0], [1.0, 0.0]]), torch.tensor([0.5, 0.0]))
    w, b = head.weight.double().numpy(), head.bias.double().numpy()
    np.testing.assert_allclose(shaping.energy(f, head), np.logaddexp.reduce(w @ f.double().numpy()[0] + b), rtol=1e-15)
