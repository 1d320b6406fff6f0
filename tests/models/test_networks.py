"""Networks by name: as large as their papers say."""

import sys

import pytest
import torch
from torch import nn

from oodbench.contract import FEATURES, HEAD, LAYERS, LOGITS
from oodbench.errors import BadMethod, UnknownName
from oodbench.networks import TRUNKS, Headed, classifier
from oodbench.networks.wide_resnet import WideResNet
from oodbench.spaces import Images
from oodbench.training import InSet

RGB = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))

PARAMETERS = {
    "resnet-small": 77_562 + 2 * 9 * 16,  # 77,562 for the one channel of Fashion-MNIST
    "wrn-16-4": 2_748_890,
    "wrn-28-10": 36_479_194,
    "wrn-40-2": 2_243_546,
    "resnet-18": 11_173_962,
    "resnet-34": 21_282_122,
    "resnet-18-224": 11_181_642,
    "he-resnet-20": 269_722,
    "he-resnet-32": 464_154,
    "he-resnet-44": 658_586,
    "he-resnet-56": 853_018,
    "densenet-bc-100-12": 769_162,
    "densenet-bc-100-12-tanh": 769_162,
    "oe-convnet": 22_340,
    "toy-cnn": 726,
    "torchvision:resnet18": 11_181_642,
}
"""For 3 channels and 10 classes."""


def test_every_trunk_is_counted() -> None:
    assert set(PARAMETERS) >= set(TRUNKS)


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameters(name: str, count: int) -> None:
    with torch.device("meta"):  # counted without being made
        net = classifier(name, InSet(Images((3, 32, 32), *RGB), 10))
    assert sum(weight.numel() for weight in net.parameters()) == count


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet-small", (16, 16, 32, 64)),
        ("wrn-40-2", (16, 32, 64, 128)),
        ("resnet-18", (64, 64, 128, 256, 512)),
        ("resnet-18-224", (64, 64, 128, 256, 512)),
        ("he-resnet-20", (16, 16, 32, 64)),
        ("densenet-bc-100-12", (24, 108, 150, 342)),
        ("oe-convnet", (10, 20, 50)),
        ("toy-cnn", (4, 8)),
    ],
)
def test_outputs_of_a_network_fit_together(name: str, layers: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = classifier(name, InSet(Images((1, 28, 28), (0.5,), (0.25,)), 10)).eval()
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        given = {**net.outputs(x, frozenset({LOGITS, FEATURES, LAYERS})), **net.constants}  # type: ignore[operator,dict-item]
        assert given[LOGITS].equal(net(x))
    assert tuple(layer.shape for layer in given[LAYERS]) == tuple((2, width) for width in layers)
    assert given[FEATURES].equal(given[LAYERS][-1])
    torch.testing.assert_close(given[FEATURES] @ given[HEAD].weight.T + given[HEAD].bias, given[LOGITS])


def test_features_of_the_densenet_of_shao_are_bounded_by_tanh_in_place_of_the_last_relu() -> None:
    bounded, plain = (
        classifier(name, InSet(Images((1, 8, 8), (0.5,), (0.25,)), 10))
        for name in ("densenet-bc-100-12-tanh", "densenet-bc-100-12")
    )
    bounded.load_state_dict(plain.state_dict())
    seen: list[Tensor] = []
    plain.trunk.bn.register_forward_hook(lambda module, args, out: seen.append(out))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # in training mode: the normalisation of a batch
        layers, others = bounded.outputs(x, frozenset({LAYERS}))[LAYERS], plain.outputs(x, frozenset({LAYERS}))[LAYERS]
    (before,) = seen
    assert before.abs().max() > 1
    assert layers[-1].abs().max() < 1
    assert layers[-1].min() < 0
    torch.testing.assert_close(layers[-1], before.tanh().mean(dim=(2, 3)))
    torch.testing.assert_close(others[-1], before.relu().mean(dim=(2, 3)))
    assert all(map(torch.equal, layers[:-1], others[:-1]))


def test_pixels_are_standardised_per_channel_inside_the_network() -> None:
    torch.manual_seed(0)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    inside = classifier("toy-cnn", InSet(Images((3, 8, 8), mean, std), 10)).eval()
    bare = classifier("toy-cnn", InSet(Images((3, 8, 8), (0.0,) * 3, (1.0,) * 3), 10)).eval()
    bare.load_state_dict(inside.state_dict())  # what it standardises by is no weight
    x = torch.rand(4, 3, 8, 8)
    z = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    torch.testing.assert_close(inside(x), bare(z))


def test_dropout_drops_in_training_only() -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 1, 28, 28)
    for name in TRUNKS:
        net = classifier(name, InSet(Images((1, 28, 28), (0.5,), (0.25,)), 10), dropout=0.5)
        rates = [module.p for module in net.modules() if isinstance(module, nn.Dropout)]
        assert rates and set(rates) == {0.5}, name
        if name in ("toy-cnn", "resnet-small"):
            assert not net(x).equal(net(x))
            net.eval()
            assert net(x).equal(net(x))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet-smal", "unknown network 'resnet-smal'; did you mean 'resnet-small'"),
        ("wrn-28-11", "unknown network 'wrn-28-11'; did you mean 'wrn-28-10'"),
        ("torchvision:resnet81", "unknown torchvision model 'resnet81'; did you mean 'resnet18'"),
        ("torchvison:resnet18", "unknown network library 'torchvison'; did you mean 'torchvision'"),
    ],
)
def test_an_unknown_network_is_told_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        classifier(name, InSet(Images((3, 32, 32), *RGB), 10))


def test_timm_is_asked_for_only_when_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BadMethod, match=r"'timm:resnet18' needs timm: pip install 'oodbench\[models\]'"):
        classifier("timm:resnet18", InSet(Images((3, 32, 32), *RGB), 10))


def test_a_wide_network_has_a_depth_of_6n_plus_4() -> None:
    with pytest.raises(ValueError, match="depth 29: a wide residual network's depth is 6n \\+ 4"):
        WideResNet(depth=29, widen=1, channels=1)


def test_the_head_of_a_library_s_network_is_known_before_any_image_is() -> None:
    net = classifier("torchvision:resnet18", InSet(Images((3, 32, 32), *RGB), 10))
    assert isinstance(net, Headed)
    assert net.constants[HEAD].weight.equal(net.model.get_submodule("fc").weight)
    assert net.training
    with pytest.raises(BadMethod, match="VisionTransformer cannot read images of 3x32x32: Wrong image height"):
        classifier("torchvision:vit_b_32", InSet(Images((3, 32, 32), *RGB), 10))
