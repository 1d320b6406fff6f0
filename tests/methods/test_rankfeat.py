"""rankfeat against numpy's singular value decomposition."""

import numpy as np
import pytest
import torch
from oodbench.methods.rankfeat import METHODS, without_rank_1
from scipy.special import logsumexp

from oodbench.contract import FEATURE_MAP


@pytest.mark.parametrize("shape", [(5, 3, 3), (12, 2, 3), (4, 2, 2), (3, 1, 1)])
def test_the_first_singular_part_is_taken_away(shape: tuple[int, int, int]) -> None:
    maps = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for given, left in zip(maps.numpy(), without_rank_1(maps).numpy(), strict=True):
        u, s, v = np.linalg.svd(given.reshape(shape[0], -1), full_matrices=False)
        s[0] = 0
        np.testing.assert_allclose(left.reshape(shape[0], -1), (u * s) @ v, atol=1e-12)


def test_score_by_loops(lab) -> None:
    expected = []
    W, b = lab.net.head.weight.detach().numpy(), lab.net.head.bias.detach().numpy()
    for given in lab.all(lab.test)[FEATURE_MAP].numpy():
        A = given.reshape(len(given), -1)
        u, s, v = np.linalg.svd(A, full_matrices=False)
        pooled = (A - s[0] * np.outer(u[:, 0], v[0])).mean(axis=1)
        expected.append(logsumexp(W @ pooled + b))
    np.testing.assert_allclose(lab.score(METHODS[0].detector, lab.test), expected, rtol=1e-9)


def test_a_map_of_zeros_stays_one() -> None:
    assert not without_rank_1(torch.zeros(2, 3, 2, 2)).any()
