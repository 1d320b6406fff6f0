"""Networks by name: the building blocks of recipes.

resnet-small           WRN-10-1 with a stride-2 stem: 92 % on Fashion-MNIST in a few CPU minutes
wrn-16-4, 28-10, 40-2  wide residual networks of depth D, widening K (Zagoruyko & Komodakis 2016)
resnet-18, resnet-34   residual networks for 32x32 inputs (He 2016, as in Lee 2018's code; OpenOOD's ResNet18_32x32)
resnet-18-224          the same for 224x224 inputs, as torchvision's resnet18 and OpenOOD's ResNet18_224x224
he-resnet-20           residual network for CIFAR, shortcuts without weights (He 2016, option A); also 32, 44, 56
densenet-bc-100-12     DenseNet-BC, L = 100, k = 12 (Huang 2017); with -tanh, tanh instead of the last ReLU (Shao 2020)
oe-convnet             two convolutions and a hidden layer for 28x28, of Outlier Exposure (Hendrycks 2019)
toy-cnn                591 parameters, for the checks of `oodbench.check`
gru-small, toy-gru     recurrent classifiers of tokens, states of 128 and of 8 (Cho 2014)
gru-oe                 embedding of 50 and two layers of 128, the classifier of texts of Hendrycks 2019
torchvision:NAME       any torchvision classifier, untrained
timm:NAME              any timm classifier, untrained (extra `models`)
"""

import math
from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import nn

from oodbench.errors import BadMethod, UnknownName
from oodbench.networks.classifier import Classifier
from oodbench.networks.densenet import DenseNet
from oodbench.networks.gru import GruClassifier
from oodbench.networks.he_resnet import HeResNet
from oodbench.networks.headed import Headed
from oodbench.networks.libraries import from_timm, from_torchvision
from oodbench.networks.oe_convnet import OeConvNet
from oodbench.networks.resnet import ResNet, large_stem
from oodbench.networks.toy import ToyCnn
from oodbench.networks.wide_resnet import WideResNet
from oodbench.spaces import Shape, SpaceName, Tokens
from oodbench.training import InSet

__all__ = ["TRUNKS", "Classifier", "Headed", "classifier", "trunk"]

TRUNKS: dict[str, Callable[..., nn.Module]] = {
    "resnet-small": partial(WideResNet, depth=10, widen=1, stem_stride=2),
    "wrn-16-4": partial(WideResNet, depth=16, widen=4),
    "wrn-28-10": partial(WideResNet, depth=28, widen=10),
    "wrn-40-2": partial(WideResNet, depth=40, widen=2),
    "resnet-18": partial(ResNet, blocks=(2, 2, 2, 2)),
    "resnet-34": partial(ResNet, blocks=(3, 4, 6, 3)),
    "resnet-18-224": partial(ResNet, blocks=(2, 2, 2, 2), stem=large_stem),
    **{f"he-resnet-{depth}": partial(HeResNet, depth=depth) for depth in (20, 32, 44, 56)},
    "densenet-bc-100-12": partial(DenseNet, depth=100, growth=12),
    "densenet-bc-100-12-tanh": partial(DenseNet, depth=100, growth=12, last=torch.tanh),
    "oe-convnet": OeConvNet,
    "toy-cnn": ToyCnn,
}
"""Trunks take `channels` and `dropout`, map inputs to a tuple of feature maps, and name the last one's `width`."""

OF_TOKENS: dict[str, Callable[..., nn.Module]] = {
    "gru-small": partial(GruClassifier, width=128),
    "gru-oe": partial(GruClassifier, embedding=50, width=128, layers=2),
    "toy-gru": partial(GruClassifier, width=8),
}
"""Classifiers of tokens take the space, the number of classes, and `dropout`."""

LIBRARIES: dict[str, Callable[[str, int], nn.Module]] = {"torchvision": from_torchvision, "timm": from_timm}


def trunk(network: str, channels: int, dropout: float = 0.0) -> nn.Module:
    """Return a fresh trunk by name.

    Raises:
        UnknownName: no such network.
    """
    if network not in TRUNKS:
        raise UnknownName("network", network, TRUNKS)
    return TRUNKS[network](channels=channels, dropout=dropout)


def classifier(network: str, in_set: InSet, dropout: float = 0.0) -> nn.Module:
    """Return a fresh classifier by network name, for pixels in [0, 1] or ids of tokens, as the network takes.

        classifier("resnet-small", InSet(Images((1, 28, 28), mean=(0.29,), std=(0.35,)), classes=10))

    Raises:
        UnknownName: no such network or library.
        BadMethod: the network is of the other space, or of a library and cannot read images of this size.
    """
    if isinstance(in_set.space, Tokens):
        _of_space(network, "tokens", OF_TOKENS, TRUNKS)
        return OF_TOKENS[network](in_set.space, in_set.classes, dropout=dropout)
    images = in_set.space
    library, _, name = network.rpartition(":")
    if library:
        if library not in LIBRARIES:
            raise UnknownName("network library", library, LIBRARIES)
        return _looked_at(
            Headed(LIBRARIES[library](name, in_set.classes), mean=images.mean, std=images.std), images.shape
        )
    _of_space(network, "images", TRUNKS, OF_TOKENS)
    return Classifier(trunk(network, images.shape[0], dropout), in_set.classes, images.mean, images.std)


def _looked_at(net: Headed, shape: Shape) -> Headed:
    """Return a fresh network whose head is known before any image is: its stored outputs may come from a cache."""
    if any(weight.is_meta for weight in net.parameters()):  # only counted: there are no numbers to look at
        return net
    ramp = torch.linspace(0, 1, 2 * math.prod(shape)).view(2, *shape)
    try:
        net.eval().look(ramp)
    except (RuntimeError, ValueError, AssertionError) as error:
        size = "x".join(map(str, shape))
        raise BadMethod(f"{type(net.model).__name__} cannot read images of {size}: {error}") from error
    net.train()
    return net


def _of_space(network: str, space: SpaceName, known: Collection[str], others: Collection[str]) -> None:
    if network in others or (":" in network and network not in known):
        raise BadMethod(f"network {network!r} does not take {space}; those that do: {', '.join(sorted(known))}")
    if network not in known:
        raise UnknownName("network", network, known)
