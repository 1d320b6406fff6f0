"""A fitted state on disk: its tensors as safetensors, the rest as JSON. No pickle is written or read."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oodbench.errors import BadCheckpoint, BadMethod
from oodbench.models import checkpoint


def save_state(path: Path, state: Any) -> None:
    """Write what `fit` returned: tensors, numbers, texts, None, and tuples and NamedTuples of them.

    Raises:
        BadMethod: there is something else in it.
    """
    tensors: dict[str, Tensor] = {}
    tree = _described(state, "state", tensors)
    checkpoint.save(path, tensors, {"state": tree})


def state_sha256(state: Any) -> str:
    """Return the sha256 (hex) of what `fit` returned: equal states, bit for bit, have an equal one.

    Raises:
        BadMethod: there is something else in it than `save_state` writes.
    """
    tensors: dict[str, Tensor] = {}
    tree = _described(state, "state", tensors)
    hashed = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for place, tensor in sorted(tensors.items()):
        hashed.update(json.dumps([place, str(tensor.dtype), list(tensor.shape)]).encode())
        hashed.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def load_state(path: Path) -> Any:
    """Read what `save_state` wrote; the module of a NamedTuple must have been imported, as it is beside its detector.

    Raises:
        BadCheckpoint: the file is not a whole state, or its NamedTuples are not the ones that are imported.
    """
    tensors, meta = checkpoint.load(path)
    if "state" not in meta:
        raise BadCheckpoint(f"{path}: holds no fitted state, but {', '.join(sorted(meta)) or 'no description at all'}")
    return _built(meta["state"], tensors, path)


def as_read(state: Any) -> Any:
    """Return a state laid out in memory as it is when read back: a strided tensor's products differ in the last bits.

    as_read((torch.eye(3).T,))
    """
    if isinstance(state, Tensor):
        return state.contiguous()
    if not isinstance(state, tuple):
        return state
    parts = map(as_read, state)
    return type(state)._make(parts) if hasattr(state, "_make") else type(state)(parts)


def _described(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """Return a JSON-able description of a value; its tensors are put aside under their places."""
    if value is None or type(value) in (bool, int, float, str):
        return {"value": value}
    if isinstance(value, Tensor):
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, tuple):
        names = getattr(value, "_fields", tuple(map(str, range(len(value)))))
        parts = [_described(part, f"{place}.{name}", tensors) for name, part in zip(names, value, strict=True)]
        return {"tuple": parts, "type": None if type(value) is tuple else _name(type(value), place)}
    raise BadMethod(
        f"{place} is a {type(value).__name__}; a fitted state is made of tensors, numbers, texts, None, "
        f"and tuples and NamedTuples of them"
    )


def _name(kind: type[Any], place: str) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _named_tuple(name) is not kind:
        raise BadMethod(f"{place} is a {kind.__qualname__}, which is not a NamedTuple at the top of its module")
    return name


def _named_tuple(name: str) -> Any:
    """Return the NamedTuple of a name, or None; nothing is imported, and nothing but a NamedTuple is ever called."""
    module, _, kind = name.partition(":")
    found = getattr(sys.modules.get(module), kind, None)
    return found if isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields") else None


def _built(tree: Any, tensors: dict[str, Tensor], path: Path) -> Any:
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "tuple" not in tree:
        return tree["value"]
    parts = [_built(part, tensors, path) for part in tree["tuple"]]
    if tree["type"] is None:
        return tuple(parts)
    kind = _named_tuple(tree["type"])
    if kind is None or len(kind._fields) != len(parts):
        raise BadCheckpoint(f"{path}: holds a {tree['type']} of {len(parts)} fields; no such NamedTuple is imported")
    return kind._make(parts)
