"""What the modules of a classifier do, found out by watching one forward pass: which is its head, which pools."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, sigmoid, softmax

from oodbench.networks.answers import raw_logits
from oodbench.networks.channels import Weighted, channel_axis, weighted

ROUNDING = 4
"""Units in the last place, of the sum of the terms' sizes, by which a linear layer's outcome may be off."""

AFTER: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda z: z,
    "log_softmax": lambda z: log_softmax(z, dim=1),
    "softmax": lambda z: softmax(z, dim=1),
    "sigmoid": sigmoid,
}
"""What may follow the head; where something does, the logits are what the head gave."""


@dataclass
class Watched:
    """What was seen in a forward pass, copied, so that what works in place afterwards changes nothing.

    Attributes:
        answer: What the model answered.
        ran: How often each module ran: of one that ran twice no single input is its own.
        linear: What went into each `nn.Linear` that got one vector an image, in order of their running.
        pooled: What each module with "Pool" in the name of its class gave, flattened, in order.
        layers: Shape of each layer asked for, and the layers with weights that made it.
    """

    answer: Any = None
    ran: Counter[str] = field(default_factory=Counter)
    linear: dict[str, Tensor] = field(default_factory=dict)
    pooled: dict[str, Tensor] = field(default_factory=dict)
    layers: dict[str, tuple[tuple[int, ...], Sequence[Weighted]]] = field(default_factory=dict)


def watch(model: nn.Module, forward: Callable[[], Any], layers: Sequence[str] = ()) -> Watched:
    """Return what is seen in a forward pass of a model."""
    seen, made = Watched(), list[Weighted]()
    with ExitStack() as hooks, torch.no_grad():
        for name, module in open_modules(model):
            hooks.enter_context(_watching(name, module, seen, made, name in layers))
        seen.answer = forward()
    return seen


def open_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that hooks can watch, by name: those of a TorchScript program are not."""
    for name, module in model.named_modules():
        if not isinstance(module, torch.jit.ScriptModule):
            yield name, module


@contextmanager
def _watching(name: str, module: nn.Module, seen: Watched, made: list[Weighted], layer: bool) -> Iterator[None]:
    began = 0

    def before(_: nn.Module, args: tuple[Any, ...]) -> None:
        nonlocal began
        began = len(made)
        seen.ran[name] += 1
        if isinstance(module, nn.Linear) and args and _vectors(args[0], module.in_features):
            seen.linear[name] = args[0].detach().clone()

    def after(_: nn.Module, __: Any, out: Any) -> None:
        if (one := weighted(module, out)) is not None:
            made.append(one)
        if "Pool" in type(module).__name__ and isinstance(out, Tensor):
            seen.pooled.pop(name, None)
            seen.pooled[name] = out.detach().flatten(1).clone()
        if layer and isinstance(out := first_tensor(out), Tensor):
            seen.layers[name] = tuple(out.shape), made[began:] or made[-1:]

    handles = module.register_forward_pre_hook(before), module.register_forward_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _vectors(entered: object, width: int) -> bool:
    """Return whether what enters a layer is one vector an image: of tokens, there are many, and they are large."""
    return isinstance(entered, Tensor) and entered.ndim > 1 and entered.numel() == len(entered) * width


def first_tensor(out: Any) -> Any:
    """Return the first part of a tuple that a layer gives (attention gives its weights, too), or what it gives."""
    return out[0] if isinstance(out, tuple | list) and out else out


def makes(linear: nn.Linear, entered: Tensor, answer: Tensor) -> str | None:
    """Return what makes an answer [n C] of a linear layer's outcome, a key of `AFTER`; None if nothing does.

    features @ W.T + b is computed in float64, and compared within the rounding of the coarsest dtype that took part.
    """
    n, width = answer.shape
    if entered.shape[0] != n or entered.numel() != n * linear.in_features or linear.out_features != width:
        return None
    f, W = entered.flatten(1).double(), linear.weight.detach().double()
    b = linear.bias.detach().double() if linear.bias is not None else W.new_zeros(width)
    unit = max(torch.finfo(one.dtype).eps for one in (entered, linear.weight, answer))
    off = ROUNDING * unit * (f.abs() @ W.abs().T + b.abs())
    z, given = f @ W.T + b, answer.double()
    for name, after in AFTER.items():
        bound = off if not name else 2 * off.amax(dim=1, keepdim=True) + ROUNDING * unit * (1 + given.abs())
        if bool(((after(z) - given).abs() <= bound).all()):
            return name
    return None


@dataclass(frozen=True)
class Head:
    """The linear layer that makes the logits, what went into it, and what follows it (a key of `AFTER`)."""

    name: str
    features: Tensor
    after: str


def find_head(model: nn.Module, seen: Watched, named: str | None = None) -> Head | None:
    """Return the last linear layer that makes the logits, or that of a name if it does."""
    answer = raw_logits(seen.answer).detach()
    modules = dict(model.named_modules())
    for name in reversed([named] if named is not None else list(seen.linear)):
        if name not in seen.linear or seen.ran[name] > 1:
            continue
        after = makes(modules[name], seen.linear[name], answer)
        if after is not None:
            return Head(name, seen.linear[name].flatten(1), after)
    return None


def find_pool(seen: Watched, features: Tensor) -> str | None:
    """Return the last pooling module whose outcome is the head's input."""
    return next((name for name, out in reversed(seen.pooled.items()) if torch.equal(out, features)), None)


def find_first(model: nn.Module, seen: Watched) -> str | None:
    """Return the two-dimensional convolution that ran first; None where it ran more than once."""
    modules = dict(model.named_modules())
    first = next((name for name in seen.ran if isinstance(modules[name], nn.Conv2d)), None)
    return first if first is not None and seen.ran[first] == 1 else None


def find_axis(seen: Watched, name: str) -> int | None:
    """Return which axis of a layer's outcome holds the channels; None where nothing tells."""
    return channel_axis(*seen.layers[name])
