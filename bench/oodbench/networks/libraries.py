"""Untrained classifiers of other libraries, by name."""

from typing import Any

from torch import nn

from oodbench.errors import BadMethod, UnknownName


def from_torchvision(name: str, classes: int) -> nn.Module:
    """Return an untrained torchvision classifier.

    Raises:
        UnknownName: torchvision has no such classifier.
    """
    from torchvision import models

    check_torchvision(name)
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def check_torchvision(name: str) -> None:
    """Check that torchvision has a classifier.

    Raises:
        UnknownName: It has none of that name.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UnknownName("torchvision model", name, known)


def from_timm(name: str, classes: int) -> nn.Module:
    """Return an untrained timm classifier.

    Raises:
        UnknownName: timm has no such model.
        BadMethod: timm is not installed.
    """
    net: nn.Module = with_timm(name).create_model(name, pretrained=False, num_classes=classes)
    return net


def with_timm(name: str) -> Any:
    """Return the library timm, where it has a model; the name may carry the tag of its weights.

    Raises:
        UnknownName: timm has no such model.
        BadMethod: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise BadMethod(f"'timm:{name}' needs timm: pip install 'oodbench[models]'") from error
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        raise UnknownName("timm model", name, known)
    if tag and name not in (tagged := timm.list_models(f"{architecture}.*", pretrained=True)):
        raise UnknownName("timm model", name, tagged)
    return timm
