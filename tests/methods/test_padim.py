"""padim against numpy's covariance and inverse at every place."""

import numpy as np
import pytest
import torch
from oodbench.methods.padim import PatchDistribution

from oodbench import banks
from oodbench.contract import FEATURE_MAP


@pytest.mark.parametrize("d", [100, 3])
def test_score_by_loops(lab, d: int) -> None:
    channels = banks.drawn(5, d, lab.seed).numpy()
    train, test = (lab.all(x)[FEATURE_MAP].numpy()[:, channels] for x in (lab.train[0], lab.test))
    height, width = train.shape[2:]
    assert height * width > 1
    distances = np.empty((len(test), height, width))
    for i in range(height):
        for j in range(width):
            mu = train[:, :, i, j].mean(axis=0)
            inverse = np.linalg.inv(np.cov(train[:, :, i, j].T) + 0.01 * np.eye(len(channels)))
            for n, f in enumerate(test[:, :, i, j]):
                distances[n, i, j] = np.sqrt((f - mu) @ inverse @ (f - mu))
    expected = -distances.max(axis=(1, 2))
    np.testing.assert_allclose(lab.score(PatchDistribution(d=d), lab.test), expected, rtol=1e-6)


def test_a_map_that_never_moves_has_a_score(lab) -> None:
    import copy

    dead = copy.deepcopy(lab.net)
    dead.trunk.conv2.weight.data.zero_()
    still = type(lab)(dead, lab.train, lab.validation, lab.outliers, lab.test)
    np.testing.assert_array_equal(still.score(PatchDistribution(), lab.test), 0)


def test_batches_add_up(lab) -> None:
    whole = lab.fit(PatchDistribution())
    data = lab.data(PatchDistribution())
    object.__setattr__(data.train._model, "batch", 7)
    with torch.no_grad():
        parts = PatchDistribution().fit(data)
    np.testing.assert_allclose(parts.mu, whole.mu, rtol=1e-12)
    for one in (parts, whole):
        assert one.root.shape == (9, 5, 5)
    np.testing.assert_allclose(parts.root @ parts.root.mT, whole.root @ whole.root.mT, rtol=1e-8, atol=1e-8)
