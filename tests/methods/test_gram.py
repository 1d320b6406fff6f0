"""gram against loops over channels, powers and images."""

import numpy as np
import pytest
import torch
from oodbench.methods.gram import Gram, grams

from oodbench.contract import FEATURE_MAP, LOGITS, MAPS


def grams_by_loops(feature_map: np.ndarray, powers: int) -> list[float]:
    F = feature_map.reshape(len(feature_map), -1)
    made = []
    for p in range(1, powers + 1):
        G = (F**p) @ (F**p).T
        made += [float(np.sign(row) * abs(row) ** (1 / p)) for row in G.sum(axis=1)]
    return made


def maps_of(lab, x: torch.Tensor) -> list[np.ndarray]:
    with torch.no_grad():
        return [one.numpy() for one in lab.net.outputs(x, frozenset({MAPS}))[MAPS]]


@pytest.mark.parametrize("powers", [1, 3, 10])
def test_grams_by_loops(powers: int) -> None:
    maps = torch.randn(3, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [grams_by_loops(one, powers) for one in maps.numpy()]
    assert (np.array(expected) < 0).any()
    np.testing.assert_allclose(grams(maps, powers), expected, rtol=1e-9)


def deviations_by_loops(lab, x: torch.Tensor, powers: int) -> list[list[float]]:
    train, others = maps_of(lab, lab.train[0]), maps_of(lab, x)
    predicted, z = lab.all(lab.train[0])[LOGITS].argmax(1).numpy(), lab.all(x)[LOGITS].numpy()
    found = []
    for i in range(len(x)):
        y, e = int(z[i].argmax()), np.exp(z[i] - z[i].max())
        row = []
        for layer in range(len(train)):
            known = np.array([grams_by_loops(m, powers) for m in train[layer][predicted == y]])
            low, high, g = known.min(axis=0), known.max(axis=0), np.array(grams_by_loops(others[layer][i], powers))
            below = np.maximum(low - g, 0) / np.maximum(np.abs(low), 1e-6)
            above = np.maximum(g - high, 0) / np.maximum(np.abs(high), 1e-6)
            row.append((below + above).sum() * e.sum())
        found.append(row)
    return found


def test_score_by_loops(lab) -> None:
    unit = np.mean(deviations_by_loops(lab, lab.validation[0], 3), axis=0)
    assert (unit > 0).all()
    expected = -(np.array(deviations_by_loops(lab, lab.test, 3)) / unit).sum(axis=1)
    np.testing.assert_allclose(lab.score(Gram(powers=3), lab.test), expected, rtol=1e-5, atol=1e-6)


def test_a_class_that_nothing_is_predicted_as_takes_the_range_of_all(lab) -> None:
    import copy

    net = copy.deepcopy(lab.net)
    net.head.bias.data[1] = -1e6
    never = type(lab)(net, lab.train, lab.validation, lab.outliers, lab.test)
    state = never.fit(Gram(powers=2))
    for low, high in zip(state.low, state.high, strict=True):
        assert torch.equal(low[1], low[[0, 2]].amin(dim=0))
        assert torch.equal(high[1], high[[0, 2]].amax(dim=0))


def test_training_images_do_not_deviate(lab) -> None:
    assert (lab.score(Gram(powers=2), lab.train[0]) == 0).all()


def test_the_maps_are_what_the_layers_average(lab) -> None:
    made = lab.all(lab.test)
    with torch.no_grad():
        maps = lab.net.outputs(lab.test, frozenset({MAPS}))[MAPS]
    assert torch.equal(maps[-1], made[FEATURE_MAP])
