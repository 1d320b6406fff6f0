"""Weights that somebody else trained: read without running any code, and fitted to a network by their names."""

import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from oodbench.errors import BadCheckpoint

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Names under which checkpoints hold their weights, beside what else they hold."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

SHOWN = 5
"""Names that an error lists of those that are missing, unexpected, or of another shape."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name: of safetensors, or of what `torch.save` wrote, no pickle executed.

    What wraps them (`state_dict`, `model`) is taken off, as are prefixes that all names have (`module.`).

    Raises:
        BadCheckpoint: It is neither, holds something else than tensors, or cannot be read.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _torch(path)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadCheckpoint(
            f"{path}: neither safetensors (named *.safetensors) nor whole weights of torch.save ({_line(error)})"
        ) from error
    return _without_prefixes(_unwrapped(content, path))


def _torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the pickle's protocol
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadCheckpoint(
            f"{path}: holds more than tensors and numbers, or is no checkpoint, and nothing is read that could run "
            f"code; save its weights alone, torch.save(model.state_dict(), path) ({_line(error)})"
        ) from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors and len(tensors) == len(content):
            return tensors
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            others = ", ".join(repr(name) for name, value in content.items() if not isinstance(value, Tensor))
            raise BadCheckpoint(
                f"{path}: expected tensors by name, bare or under one of {', '.join(map(repr, WRAPPERS))}; "
                f"got {len(content)} entries, of which are no tensors: {others or 'none'}"
            )
        content = inner
    raise BadCheckpoint(f"{path}: expected tensors by name, got a {type(content).__name__}")


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def fit_weights(net: nn.Module, tensors: Mapping[str, Tensor], renamed: Callable[[str], str], source: str) -> None:
    """Load weights into a network, by its own names or by those of public checkpoints.

    Counters of batch normalisation may be absent: older checkpoints have none, and evaluation does not read them.

    Args:
        net: The network.
        tensors: By name.
        renamed: From a public name to the network's.
        source: What errors call the weights.

    Raises:
        BadCheckpoint: Names are missing, unexpected or of another shape; all of a kind are counted, the first are
            listed, each with the nearest name.
    """
    own = net.state_dict()
    named = dict(tensors) if set(tensors) <= set(own) else {renamed(name): value for name, value in tensors.items()}
    public = {renamed(name): name for name in tensors}
    missing = [name for name in own if name not in named and not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in named if name not in own]
    shapes = [name for name in own if name in named and own[name].shape != named[name].shape]
    faults = [
        *_faults("missing", missing, lambda name: _near(name, unexpected, public)),
        *_faults("unexpected", unexpected, lambda name: _near(name, missing, {}), public),
        *_faults("of another shape", shapes, lambda name: f" is {_size(named[name])}, expected {_size(own[name])}"),
    ]
    if faults:
        raise BadCheckpoint(f"{source}: weights of another architecture than the network's: {'; '.join(faults)}")
    net.load_state_dict({**own, **named})


def _faults(
    kind: str, names: list[str], said: Callable[[str], str], public: Mapping[str, str] | None = None
) -> list[str]:
    if not names:
        return []
    listed = ", ".join(f"{(public or {}).get(name, name)!r}{said(name)}" for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} {kind}: {listed}{more}"]


def _near(name: str, others: list[str], public: Mapping[str, str]) -> str:
    near = get_close_matches(name, others, n=1, cutoff=0.8)
    return f" (nearest: {public.get(near[0], near[0])!r})" if near else ""


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
