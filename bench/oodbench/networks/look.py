"""One look at a classifier as it runs: its head, its pooling, its layers; or why there is none, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from oodbench.contract import FEATURE_MAP, FEATURES, FIRST_MAP, HEAD, LAYERS, MAPS, Output
from oodbench.errors import BadMethod
from oodbench.networks import anatomy
from oodbench.networks.answers import doubt, raw_logits, refuse_probabilities
from oodbench.networks.first_map import no_convolution


@dataclass(frozen=True)
class Asked:
    """What the user named: the head, the pooling module, further layers, the axis of their channels."""

    head: str | None = None
    pool: str | None = None
    layers: tuple[str, ...] = ()
    axes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a look at a model found.

    Attributes:
        head: Name of the linear layer that makes the logits, if there is one.
        after: What follows it, a key of `anatomy.AFTER`: then the logits are what the head gives.
        two: It gives one column, the log-odds of the second of two classes.
        pool: Name of the module that pools the last feature map, if there is one.
        axes: Which axis holds the channels, by layer.
        first: Name of the first convolution that ran, if one did.
        lacks: Why there is none of an output.
        doubt: What makes the answers doubtful as logits, if anything.
    """

    head: str | None = None
    after: str = ""
    two: bool = False
    pool: str | None = None
    axes: Mapping[str, int] = field(default_factory=dict)
    first: str | None = None
    lacks: Mapping[Output, str] = field(default_factory=dict)
    doubt: str = ""


def look(model: nn.Module, forward: Callable[[], Any], n: int, asked: Asked) -> Found:
    """Return what a forward pass of a model shows.

    Args:
        model: Whose modules are watched.
        forward: Passes n inputs through it.
        n: How many.
        asked: What the user named.

    Raises:
        BadMethod: a module that was named is not what it was named as; the answer is no logits, or probabilities.
    """
    seen = anatomy.watch(model, forward, asked.layers)
    answer = raw_logits(seen.answer)
    axes = {name: _axis(model, seen, name, n, asked) for name in asked.layers}
    head = anatomy.find_head(model, seen, asked.head)
    if asked.head and head is None:
        raise BadMethod(_wrong_head(model, seen, asked.head))
    two = answer.shape[1] == 1
    first = anatomy.find_first(model, seen)
    lacks: dict[Output, str] = {} if first else {FIRST_MAP: no_convolution(model)}
    if head is not None:
        pool = asked.pool or anatomy.find_pool(seen, head.features)
        lacks |= {} if pool else {FEATURE_MAP: _no_pool(model, seen)}
        lacks |= _no_maps(seen, axes, pool)
        return Found(head.name, head.after, two, pool, axes, first, lacks)
    refuse_probabilities(answer)
    why = _no_head(model, seen)
    lacks |= {HEAD: why, FEATURES: why}
    lacks |= {} if asked.layers else {LAYERS: f"{why}, or name layers: layers=['...']"}
    lacks |= {} if asked.pool else {FEATURE_MAP: f"{why}, or name the module that pools the map: pool='...'"}
    lacks |= _no_maps(seen, axes, asked.pool)
    return Found(None, "", two, asked.pool, axes, first, lacks, doubt(answer))


def _no_maps(seen: anatomy.Watched, axes: Mapping[str, int], pool: str | None) -> dict[Output, str]:
    """Return why there are no maps: a layer that was named has no places, or nothing was named or pooled."""
    for name, axis in axes.items():
        shape = list(seen.layers[name][0])
        if len(shape) != 4 or axis != 1:
            return {MAPS: f"layer {name!r} gives {shape}; maps are [n c h w]: name layers that give such"}
    if not axes and not pool:
        return {MAPS: "no layers were named, and no module pools a feature map: name them, layers=['...'], pool='...'"}
    return {}


def _wrong_head(model: nn.Module, seen: anatomy.Watched, head: str) -> str:
    if not seen.ran[head]:
        return f"head {head!r} took no part in the forward pass of {type(model).__name__}; name another"
    other = anatomy.find_head(model, seen)
    way = f"{other.name!r} does: name that one" if other else "no other linear layer does: leave `head` out"
    return (
        f"head {head!r} does not make the logits of {type(model).__name__}: features @ W.T + b is something else; {way}"
    )


def _no_head(model: nn.Module, seen: anatomy.Watched) -> str:
    if isinstance(model, torch.jit.ScriptModule):
        which = f"{type(model).__name__} is a TorchScript program, which hides its modules"
    elif any(seen.ran[name] for name, module in model.named_modules() if isinstance(module, nn.Linear)):
        which = f"no nn.Linear of {type(model).__name__} makes its logits as features @ W.T + b"
    else:
        which = f"no nn.Linear takes part in the forward pass of {type(model).__name__}"
    return (
        f"{which}: no features, no head. Methods that read only logits judge it as it is; for the others hand over a "
        f"module that ends in one nn.Linear"
    )


def _no_pool(model: nn.Module, seen: anatomy.Watched) -> str:
    last, way = next(reversed(seen.pooled), None), "Headed(model, pool='...')"
    if last is None:
        return f"{type(model).__name__} has no pooling module, and so no feature_map; name it: {way}"
    return (
        f"{last!r}, the last pooling module of {type(model).__name__}, does not make the head's input, so that its "
        f"input may not be the feature_map; name the one meant: {way}"
    )


def _axis(model: nn.Module, seen: anatomy.Watched, name: str, n: int, asked: Asked) -> int:
    if name not in seen.layers:
        raise BadMethod(f"layer {name!r} took no part in the forward pass of {type(model).__name__}; name another")
    shape = list(seen.layers[name][0])
    if len(shape) < 2 or shape[0] != n:
        raise BadMethod(
            f"layer {name!r} gives {shape} for {n} images; expected a row an image, [n ...]; name another layer"
        )
    axis = asked.axes.get(name) or anatomy.find_axis(seen, name)
    if axis not in (1, -1):
        raise BadMethod(
            f"layer {name!r} gives {shape}, and nothing tells which axis holds its channels; "
            f"say it: layers={{{name!r}: 1}} for [n c ...], {{{name!r}: -1}} for [n ... c]"
        )
    return axis
