"""Untrained classifiers of other libraries, by name."""

from torch import nn

from oodbench.errors import BadMethod, UnknownName


def from_torchvision(name: str, classes: int) -> nn.Module:
    """Return an untrained torchvision classifier.

    Raises:
        UnknownName: torchvision has no such classifier.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UnknownName("torchvision model", name, known)
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def from_timm(name: str, classes: int) -> nn.Module:
    """Return an untrained timm classifier.

    Raises:
        UnknownName: timm has no such model.
        BadMethod: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise BadMethod(f"network 'timm:{name}' needs timm: pip install 'oodbench[models]'") from error
    if name not in timm.list_models():
        raise UnknownName("timm model", name, timm.list_models())
    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return net
