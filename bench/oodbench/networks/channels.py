"""Which axis of an activation holds its channels: the others are places, and are averaged."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
"""Layers that work on [n c ...]."""

CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.MultiheadAttention)
"""Layers that work on [n ... c]."""

WIDTHS = ("out_channels", "num_features", "num_channels", "out_features", "embedding_dim", "embed_dim")


class Weighted(NamedTuple):
    """A layer with weights, as it ran: how many channels it gave, whether they come first, how many axes there were."""

    width: int
    first: bool
    axes: int


def weighted(module: nn.Module, out: object) -> Weighted | None:
    """Return what a layer's type says of its output's channels; None of a layer that says nothing."""
    first = isinstance(module, CHANNELS_FIRST) or type(module).__name__.endswith("2d")  # LayerNorm2d is a LayerNorm
    out = out[0] if isinstance(out, tuple) else out
    if not isinstance(module, (*CHANNELS_FIRST, *CHANNELS_LAST)) or not isinstance(out, Tensor):
        return None
    widths = [getattr(module, name) for name in WIDTHS if isinstance(getattr(module, name, None), int)]
    width = widths[0] if widths else int(module.normalized_shape[-1])  # type: ignore[index]
    return Weighted(width, first, out.ndim)


def channel_axis(shape: Sequence[int], layers: Sequence[Weighted]) -> int | None:
    """Return 1 or -1: which axis of an activation holds the channels; None where nothing tells.

    Layers of one kind tell by their kind, where nobody reshaped what the last of them gave. A mix (a map that is
    permuted, patches that become tokens) tells by the width of the last one, where only one axis has it.

    Args:
        shape: Of the activation, [n c ...] or [n ... c].
        layers: Those that made it, in order; that are in the module or, where it has none, that ran last before it.

    Example:
        >>> channel_axis((8, 17, 24), [Weighted(24, first=False, axes=3)])
        -1
    """
    if len(shape) == 2:
        return 1
    if not layers:
        return None
    last = layers[-1]
    if last.axes == len(shape) and len({layer.first for layer in layers}) == 1:
        if last.first:
            return 1
        if shape[-1] == last.width:
            return -1
    fitting = [axis for axis in (1, -1) if shape[axis] == last.width]
    return fitting[0] if len(fitting) == 1 else None


def averaged(activation: Tensor, axis: int) -> Tensor:
    """Return an activation [n c] averaged over its places, if it has any; never a view of it."""
    if activation.ndim == 2:
        return activation.clone()  # what follows may work in place
    return activation.flatten(2).mean(2) if axis == 1 else activation.flatten(1, -2).mean(1)
