"""deep-knn against loops over layers, neighbours and labels."""

import numpy as np
import pytest
import torch
from oodbench.methods.deep_knn import DeepNeighbours

from oodbench.contract import LAYERS, LOGITS


def layers_of(lab, x) -> list[np.ndarray]:
    given = lab.all(x)
    return [layer.numpy() for layer in (*given[LAYERS], given[LOGITS])]


def nonconformity_by_loops(train: list[np.ndarray], labels: list[int], rows: list[np.ndarray], k: int) -> np.ndarray:
    """Return the number of neighbours over all layers with another label than j, for each row and j."""
    alpha = np.zeros((len(rows[0]), 3))
    for bank, layer in zip(train, rows, strict=True):
        for i, a in enumerate(layer):
            cosine = [sum(a * b) / np.sqrt(sum(a * a) * sum(b * b)) for b in bank]
            nearest = sorted(range(len(bank)), key=lambda m, cosine=cosine: -cosine[m])[:k]
            for j in range(3):
                alpha[i, j] += sum(labels[m] != j for m in nearest)
    return alpha


@pytest.mark.parametrize("k", [5, 75])
def test_score_by_loops(lab, k: int) -> None:
    train, labels = layers_of(lab, lab.train[0]), lab.train[1].tolist()
    held_out = nonconformity_by_loops(train, labels, layers_of(lab, lab.validation[0]), k)
    A = [row[y] for row, y in zip(held_out, lab.validation[1].tolist(), strict=True)]
    expected = []
    for row in nonconformity_by_loops(train, labels, layers_of(lab, lab.test), k):
        credibility = max(sum(a >= alpha for a in A) / len(A) for alpha in row)
        expected.append(credibility - min(row) / ((3 * k + 1) * len(A)))
    np.testing.assert_allclose(lab.score(DeepNeighbours(k), lab.test), expected, rtol=1e-6, atol=1e-7)
    assert len(set(expected)) > 5


def test_held_out_inputs_have_the_credibility_of_a_p_value(lab) -> None:
    """At most a share p of the calibration set has a credibility of less than p."""
    score = lab.score(DeepNeighbours(10), lab.validation[0])
    for p in (0.1, 0.3, 0.5):
        assert (score < p).mean() <= p + 0.05


def test_within_a_step_inputs_rank_by_nonconformity(lab) -> None:
    detector = DeepNeighbours(20)
    state = lab.fit(detector)
    coarse = state._replace(A=state.A[-1:])  # one held-out input: every p is 0 or 1
    alpha = detector._nonconformity(state.u, state.labels, lab.outputs(detector, lab.test)).amin(dim=1)
    score = torch.as_tensor(lab.score(detector, lab.test, coarse))
    for i in range(15):
        for j in range(15):
            assert (score[i] > score[j]) == (alpha[i] < alpha[j])


def test_fewer_training_inputs_than_neighbours(lab) -> None:
    """All of them are neighbours, and the 30 of the label are 30 at every layer."""
    state = lab.fit(DeepNeighbours(200))
    assert state.A.unique().tolist() == [3 * 60]
    score = lab.score(DeepNeighbours(200), lab.test, state)
    np.testing.assert_allclose(score, 1 - 180 / (271 * 60), rtol=1e-6)


def test_a_large_training_set_is_drawn_from_at_random(lab) -> None:
    state = lab.fit(DeepNeighbours(5, most=30))
    assert len(state.labels) == 30
    assert [len(u) for u in state.u] == [30, 30, 30]
    assert 30 not in state.labels.bincount().tolist()
