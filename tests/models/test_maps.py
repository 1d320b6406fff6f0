"""Maps of the first convolution and of the layers: what trained and given networks give, and who has none."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from oodbench.contract import FEATURE_MAP, FIRST_MAP, LAYERS, LOGITS, MAPS
from oodbench.errors import BadMethod
from oodbench.networks import Classifier, Headed, trunk

BOTH = frozenset({FIRST_MAP, MAPS})


class Small(nn.Module):
    """A user's network: its modules stand in another order than they run."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(4, 6, 3)
        self.early = nn.Conv2d(1, 4, 3)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(relu(self.late(self.act(self.early(x))))).flatten(1))  # type: ignore[no-any-return]


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    return Small().eval()


@pytest.mark.parametrize("name", ["toy-cnn", "resnet-small", "he-resnet-20", "resnet-18", "densenet-bc-100-12"])
def test_a_trunk_gives_the_map_of_its_first_convolution_and_those_that_its_layers_average(name: str) -> None:
    torch.manual_seed(0)
    net = Classifier(trunk(name, 3), 4, (0.5,) * 3, (0.25,) * 3).eval()
    pixels = torch.rand(2, 3, 32, 32) if name != "toy-cnn" else torch.rand(2, 3, 8, 8)
    first = next(module for module in net.trunk.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        given = net.outputs(pixels, BOTH)
        assert given[FIRST_MAP].equal(first((pixels - 0.5) / 0.25))
    assert given[MAPS][-1].equal(given[FEATURE_MAP])
    for one, layer in zip(given[MAPS], given[LAYERS], strict=True):
        torch.testing.assert_close(one.mean(dim=(2, 3)), layer)


def test_a_map_that_is_not_wanted_is_not_recorded(x: Tensor) -> None:
    net = Classifier(trunk("toy-cnn", 1), 3, (0.5,), (0.25,)).eval()
    assert FIRST_MAP not in net.outputs(x, frozenset({LOGITS}))
    assert not net.trunk.conv1._forward_hooks


def test_a_trunk_without_a_convolution_says_so(x: Tensor) -> None:
    class Flat(nn.Module):
        width = 1

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return (x,)

    with pytest.raises(BadMethod, match=r"no nn\.Conv2d takes part in the forward pass of Flat"):
        Classifier(Flat(), 3, (0.5,), (0.25,)).outputs(x, frozenset({FIRST_MAP}))


def test_a_given_network_gives_the_convolution_that_ran_first_before_what_works_in_place(
    model: Small, x: Tensor
) -> None:
    with torch.no_grad():
        given = Headed(model).outputs(x, frozenset({FIRST_MAP}))
        assert given[FIRST_MAP].equal(model.early(x))
    assert (given[FIRST_MAP] < 0).any()


def test_a_given_networks_maps_are_the_layers_that_were_named_and_the_one_that_is_pooled(
    model: Small, x: Tensor
) -> None:
    with torch.no_grad():
        named = Headed(model, layers=("early",)).outputs(x, frozenset({MAPS}))[MAPS]
        alone = Headed(model).outputs(x, frozenset({MAPS}))[MAPS]
        top = relu(model.late(relu(model.early(x))))
        assert named[0].equal(model.early(x))
    assert [one.shape[1] for one in named] == [4, 6]
    assert named[1].equal(top)
    assert len(alone) == 1
    assert alone[0].equal(top)


def test_a_given_network_without_maps_says_why(x: Tensor) -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    with pytest.raises(BadMethod, match=r"no nn\.Conv2d takes part in the forward pass of Sequential"):
        Headed(flat).outputs(x, frozenset({FIRST_MAP}))
    with pytest.raises(BadMethod, match=r"no layers were named, and no module pools"):
        Headed(flat).outputs(x, frozenset({MAPS}))
    with pytest.raises(BadMethod, match=r"layer '1' gives \[3, 5\]; maps are \[n c h w\]"):
        Headed(flat, layers=("1",)).outputs(x, frozenset({MAPS}))


def test_a_convolution_that_runs_twice_is_no_first_map(x: Tensor) -> None:
    class Twice(Small):
        def forward(self, x: Tensor) -> Tensor:
            self.early(x)
            return super().forward(x)

    torch.manual_seed(0)
    with pytest.raises(BadMethod, match="first_map"):
        Headed(Twice().eval()).outputs(x, frozenset({FIRST_MAP}))
