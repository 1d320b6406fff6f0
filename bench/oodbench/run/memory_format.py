"""In which order the weights of convolutions lie in memory: channels last, where that is quicker and computes the same.

On CPUs most networks are: measured with one thread, the best order beside the other took 0.60 of its time for ResNet-20
and 0.83 for WRN-10-1 (32 and 28 pixels), 0.86 for ResNet-18 and 0.92 for MobileNetV3 (224 pixels), but 1.14 for
ResNet-18 at 32 pixels, whose convolutions are wide and whose maps are not pooled by windows. `make bench` has it anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from oodbench.contract import LOGITS
from oodbench.models.outputs import Trained

NEAR = 1e-3
"""Largest difference of a logit, as a share of the largest, that another order of sums makes."""


@contextmanager
def channels_last(model: Trained, x: Tensor) -> Iterator[bool]:
    """Lay a model's convolutions out with channels last while a block runs, and yield whether that was done.

    It is not done on other devices than CPUs, nor where there is no convolution, nor for a model that cannot bear it:
    some look at their feature maps by `view`.

    Args:
        model: The model.
        x: A few inputs to try it with.
    """
    before = {
        weight: weight.data for weight in model.net.parameters() if weight.ndim == 4 and not weight.is_inference()
    }
    if x.device.type != "cpu" or x.ndim != 4 or not gains(model.net):
        yield False
        return
    plain = _logits(model, x)
    try:
        for weight, data in before.items():
            weight.data = data.contiguous(memory_format=torch.channels_last)
        done = _same(model, x, plain)
        if not done:
            _restore(before)
        yield done
    finally:
        _restore(before)


WIDE = 64
"""Channels from which a convolution is as quick as its weights lie."""


def gains(net: nn.Module) -> bool:
    """Return whether channels last are expected to be quicker: there are narrow convolutions, or pooling windows."""
    convolutions = [one for one in net.modules() if isinstance(one, nn.Conv2d) and max(one.kernel_size) > 1][1:]
    pools = any(isinstance(one, nn.MaxPool2d | nn.AvgPool2d) for one in net.modules())
    narrow = any(one.in_channels // one.groups < WIDE for one in convolutions)
    return narrow or (pools and bool(convolutions))


def _same(model: Trained, x: Tensor, plain: Tensor) -> bool:
    try:
        now = _logits(model, x)
    except RuntimeError:
        return False
    return bool((now - plain).abs().max() <= NEAR * plain.abs().max())


def _restore(before: dict[nn.Parameter, Tensor]) -> None:
    for weight, data in before.items():
        weight.data = data


def _logits(model: Trained, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.net.outputs(x, frozenset({LOGITS}))[LOGITS]  # type: ignore[operator]
    return found
