"""Where a cache keeps what a user's model answered: under a name that tells one model from another."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import LOGITS
from oodbench.data.inputs import Inputs
from oodbench.identity import PROTOCOL
from oodbench.models.outputs import Trained
from oodbench.run.judged import spread
from oodbench.run.machine import machine_class
from oodbench.run.user_code import WRAPPED, code_sha256
from oodbench.sources.preprocess import Preprocess
from oodbench.store import digest

LOOKED_AT = 16
"""Inputs whose logits tell a model from others."""

SETTING = (bool, int, float, str, type(None))


def identity(trained: Trained, images: Inputs, preprocess: Preprocess | None = None) -> str:
    """Return a folder's name for the outputs of a model.

    It is told by its weights and buffers, by its modules' classes, settings and code (`code_sha256`), by what was found
    to be its head, pooling and layers, by what it makes of a few inputs, and by the code of what becomes of pictures
    before it. What none of these shows, as a file that is read in the forward pass, is the limit of this.

    Args:
        trained: The model.
        images: Inputs that it is looked at with.
        preprocess: What becomes of pictures before it.
    """
    net = trained.net
    before = list(_settings(net))
    rows = images.batch(spread(len(images), LOOKED_AT))
    with torch.no_grad():
        logits: Tensor = net.outputs(torch.from_numpy(rows).to(trained.device), frozenset({LOGITS}))[LOGITS]  # type: ignore[operator]
    after = set(_settings(net))
    found = getattr(net, "found", None)
    key = digest(
        PROTOCOL,
        _of_tensors(net),
        code_sha256(*_code_of(net), known=net.modules()),
        code_sha256(preprocess.fit) if preprocess else None,
        repr([one for one in before if one in after]),  # what a pass changes counts passes
        [str(found), list(getattr(net, "layer_names", ()))],
        hashlib.sha256(logits.cpu().numpy().tobytes()).hexdigest(),
        [trained.batch, trained.gradient_batch],
        machine_class(trained.device),
    )
    return f"model-{key[:20]}"


def _of_tensors(net: nn.Module) -> str:
    told = hashlib.sha256()
    for name, value in sorted({**dict(net.named_buffers()), **dict(net.named_parameters())}.items()):
        told.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        told.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return told.hexdigest()


def _settings(net: nn.Module) -> Iterator[tuple[str, str, str, str]]:
    """Yield module, its class, attribute and value, of all attributes that are a number, a text or a tuple of such."""
    for name, module in net.named_modules():
        yield name, type(module).__qualname__, "", ""
        for attribute, value in vars(module).items():
            parts = value if isinstance(value, tuple) else (value,)
            if all(isinstance(part, SETTING) for part in parts):
                yield name, type(module).__qualname__, attribute, repr(value)


def _code_of(net: nn.Module) -> Iterator[Any]:
    """Yield what code the modules of a network have: their classes, and functions that are attributes of one alone."""
    for module in net.modules():
        yield type(module)
        held = sorted(vars(module).items())
        yield from (value for name, value in held if isinstance(value, WRAPPED) and name != "_compiled_call_impl")
