"""Weights and training state as safetensors: no pickle is ever read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from oodbench.errors import BadCheckpoint
from oodbench.store import atomically


def save(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any] | None = None) -> None:
    """Write tensors and JSON-able facts about them, atomically."""
    with atomically(path) as temporary:
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(plain, temporary, metadata={"oodbench": json.dumps(dict(meta or {}), sort_keys=True)})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and facts of a file.

    Raises:
        BadCheckpoint: the file is not a whole safetensors file of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("oodbench", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{path}: not a whole safetensors file ({error}); delete it and run again to make it anew"
        ) from error


def restore(net: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load weights into a network of the same architecture.

    Raises:
        BadCheckpoint: names or shapes differ; the first difference is named.
    """
    own = net.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise BadCheckpoint(
                f"{source}: weights of another architecture: {type(net).__name__} has {name!r}, they do not"
            )
        if tensor.shape != tensors[name].shape:
            got, expected = tuple(tensors[name].shape), tuple(tensor.shape)
            raise BadCheckpoint(f"{source}: weights of another architecture: {name!r} is {got}, expected {expected}")
    extra = sorted(set(tensors) - set(own))
    if extra:
        raise BadCheckpoint(f"{source}: weights of another architecture: {type(net).__name__} has no {extra[0]!r}")
    net.load_state_dict(dict(tensors))


def pack(state: Mapping[str, Any], prefix: str) -> tuple[dict[str, Tensor], list[tuple[str, Any]]]:
    """Return an optimiser's per-parameter state as named tensors and plain numbers."""
    tensors: dict[str, Tensor] = {}
    numbers: list[tuple[str, Any]] = []
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            name = f"{prefix}.{index}.{slot}"
            if isinstance(value, Tensor):
                tensors[name] = value
            elif value is not None:
                numbers.append((name, value))
    return tensors, numbers


def unpack(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], numbers: list[Any], prefix: str) -> None:
    """Give an optimiser the state that `pack` took from it."""
    state = optimiser.state_dict()
    slots: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *((name, value) for name, value in numbers)]:
        if name.startswith(f"{prefix}."):
            index, slot = name.removeprefix(f"{prefix}.").split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
