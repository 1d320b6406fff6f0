"""viyog against loops over neighbouring pixels of the first convolution."""

import numpy as np
import pytest
import torch
from oodbench.methods.viyog import DormantRoughness
from torch import Tensor, nn
from torch.nn.functional import relu

from oodbench.contract import FIRST_MAP
from oodbench.networks import Classifier


class Convolved(nn.Module):
    """Two convolutions as modules, of 20 and 5 channels: the quietest tenth are two."""

    width = 5

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 20, 3), nn.Conv2d(20, 5, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first = relu(self.first(x), inplace=True)
        return first, relu(self.second(first))


@pytest.fixture(scope="module")
def convolved(lab):
    torch.manual_seed(0)
    net = Classifier(Convolved(), 3, (0.4,), (0.3,)).double().eval()
    net.trunk.first.weight.data[7], net.trunk.first.bias.data[7] = 0, 0  # a dead channel is not the quietest
    return type(lab)(net, lab.train, lab.validation, lab.outliers, lab.test)


def first_maps(net: Classifier, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return nn.functional.conv2d((x - 0.4) / 0.3, net.trunk.first.weight, net.trunk.first.bias).numpy()


def roughness(a: np.ndarray) -> float:
    height, width = a.shape
    down = [abs(a[i + 1, j] - a[i, j]) for i in range(height - 1) for j in range(width)]
    right = [abs(a[i, j + 1] - a[i, j]) for i in range(height) for j in range(width - 1)]
    return (sum(down) / len(down) + sum(right) / len(right)) / (np.abs(a).mean() + 1e-6)


def test_score_by_loops(convolved) -> None:
    size = np.abs(first_maps(convolved.net, convolved.train[0])).mean(axis=(0, 2, 3))
    quiet = sorted((c for c in range(20) if size[c] > 1e-4), key=lambda c: size[c])[: int(0.1 * 19)]
    expected = [-np.mean([roughness(image[c]) for c in quiet]) for image in first_maps(convolved.net, convolved.test)]
    np.testing.assert_allclose(convolved.score(DormantRoughness(), convolved.test), expected, rtol=1e-6)


def test_the_share_counts(convolved) -> None:
    assert len(convolved.fit(DormantRoughness(share=0.5)).channels) == 9
    assert len(convolved.fit(DormantRoughness(share=0.001)).channels) == 1
    assert 7 not in convolved.fit(DormantRoughness(share=1.0)).channels


def test_a_network_of_dead_channels_and_maps_without_variation_have_a_score(convolved) -> None:
    assert len(convolved.fit(DormantRoughness(dead=1e9, share=1.0)).channels) == 20

    class Thin:
        def __getitem__(self, output: object) -> Tensor:
            assert output == FIRST_MAP
            return torch.ones(2, 20, 1, 1)

    state = convolved.fit(DormantRoughness())
    assert DormantRoughness().score(state, Thin()).tolist() == [0, 0]


def test_the_map_is_that_before_the_activation(convolved) -> None:
    outputs = convolved.outputs(DormantRoughness(), convolved.test)
    with torch.no_grad():
        expected = first_maps(convolved.net, convolved.test)
        np.testing.assert_allclose(outputs[FIRST_MAP], expected, atol=1e-6)  # the standardisation is in float32
        assert (outputs[FIRST_MAP] < 0).any()
