"""What public checkpoints call the weights of our networks."""

import re
from collections.abc import Callable


def public_names(network: str) -> Callable[[str], str]:
    """Return how a name of a public checkpoint becomes the name of a network's weight.

    Networks that are not known to have public checkpoints keep their names.

    Args:
        network: By name, as `oodbench.networks.classifier` takes it.

    Example:
        >>> public_names("resnet-18")("layer2.0.shortcut.0.weight")
        'trunk.stages.1.0.shortcut.0.weight'
    """
    if ":" in network:
        return lambda name: f"model.{name}"
    return KNOWN.get(network, str)


def of_he(name: str) -> str:
    """Return our name of a weight of a CIFAR residual network: the trunk's are the same."""
    return _under_trunk(name)


def of_resnet(name: str) -> str:
    """Return our name of a weight of OpenOOD's ResNet18_32x32 (`shortcut`) or torchvision's resnet18 (`downsample`)."""
    name = re.sub(r"^conv1\.", "stem.0.", name)
    name = re.sub(r"^bn1\.", "stem.1.", name)
    name = re.sub(r"^layer(\d)\.", lambda found: f"stages.{int(found[1]) - 1}.", name)
    return _under_trunk(name.replace(".downsample.", ".shortcut."))


def of_gru(name: str) -> str:
    """Return our name of a weight of Outlier Exposure's classifiers of texts."""
    return name.replace("linear.", "head.")


def of_oe_convnet(name: str) -> str:
    """Return our name of a weight of Outlier Exposure's classifier of MNIST: `fc2` is the head."""
    return _under_trunk(name.replace("fc2.", "fc.", 1))


def _under_trunk(name: str) -> str:
    head = re.match(r"^(?:linear|fc)\.(.*)$", name)
    return f"head.{head[1]}" if head else f"trunk.{name}"


KNOWN: dict[str, Callable[[str], str]] = {
    **{f"he-resnet-{depth}": of_he for depth in (20, 32, 44, 56)},
    "gru-oe": of_gru,
    "oe-convnet": of_oe_convnet,
    "resnet-18": of_resnet,
    "resnet-34": of_resnet,
    "resnet-18-224": of_resnet,
}
"""By network."""
