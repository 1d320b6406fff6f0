"""What a detector must leave as it finds it: the caller's inputs, the network, the global random generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodbench.check.toy import Toy

UNUSUAL = 3_141_592_653

Snapshot = dict[str, dict[str, str]]
"""By aspect: a digest of each thing, by its name."""


def snapshot(toy: Toy) -> Snapshot:
    """Return a digest of the world as it is now."""
    aspects = {"inputs": _inputs, "weights": _weights, "modes": _modes, "generators": _generators}
    return {aspect: {name: sha256(b).hexdigest() for name, b in things(toy)} for aspect, things in aspects.items()}


def differences(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """Return the names of what is not as it was, by aspect."""
    return {
        aspect: [
            name for name in (before[aspect] | after[aspect]) if before[aspect].get(name) != after[aspect].get(name)
        ]
        for aspect in before
    }


@contextmanager
def unusual_generators() -> Iterator[None]:
    """Run a block with the global random generators in states that nobody seeds by chance, and restore them after."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(UNUSUAL)
        np.random.seed(UNUSUAL)  # noqa: NPY002
        random.seed(UNUSUAL)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def _inputs(toy: Toy) -> Iterator[tuple[str, bytes]]:
    for role, images in toy.examples.items():
        yield f"the pixels of the {role} images", _bytes(images.x)
        yield f"the labels of the {role} images", _bytes(images.y)
        for output, value in images.outputs.items():
            yield f"the stored {output.name!r} of the {role} images, which other methods share", _bytes(value)


def _weights(toy: Toy) -> Iterator[tuple[str, bytes]]:
    for name, tensor in toy.model.net.state_dict().items():
        yield f"{name!r} of the network", _bytes(tensor)
    for name, weight in toy.model.net.named_parameters():
        yield f"`requires_grad` of {name!r}", bytes([weight.requires_grad])
        yield f"`grad` of {name!r}", b"" if weight.grad is None else _bytes(weight.grad)


def _modes(toy: Toy) -> Iterator[tuple[str, bytes]]:
    for name, module in toy.model.net.named_modules():
        yield f"the mode (training or evaluation) of {name or 'the network'!r}", bytes([module.training])


def _generators(_: Toy) -> Iterator[tuple[str, bytes]]:
    yield "torch's global generator", _bytes(torch.get_rng_state())
    words = np.random.get_state(legacy=False)  # noqa: NPY002  to look at it is not to draw from it
    yield "numpy's global generator", repr([words["state"]["key"].tolist(), words]).encode()
    yield "python's global generator", repr(random.getstate()).encode()


def _bytes(value: Any) -> bytes:
    parts: tuple[Tensor, ...] = value if isinstance(value, tuple) else (value,)
    return b"".join(part.detach().cpu().contiguous().numpy().tobytes() for part in parts)
