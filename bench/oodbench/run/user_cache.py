"""Where a cache keeps what a user's model answered: under a name that tells one model from another."""

import hashlib
from collections.abc import Iterator
from types import CodeType, FunctionType

import torch
from torch import Tensor, nn

from oodbench.contract import LOGITS
from oodbench.data.inputs import Inputs
from oodbench.identity import PROTOCOL
from oodbench.models.outputs import Trained
from oodbench.run.judged import spread
from oodbench.run.machine import machine_class
from oodbench.store import digest

LOOKED_AT = 16
"""Inputs whose logits tell a model from others."""

LIBRARIES = ("torch.", "torchvision.", "timm.", "transformers.")
"""Packages whose modules do what their names, weights and settings say; of others, the code counts."""

SETTING = (bool, int, float, str, type(None))


def identity(trained: Trained, images: Inputs) -> str:
    """Return a folder's name for the outputs of a model.

    It is told by its weights and buffers, by its modules' classes, settings and code, by what was found to be its head,
    pooling and layers, and by what it makes of a few inputs. What none of these shows, a function of another file that
    changes strange inputs alone, is the limit of this.
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
        _of_code(net),
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


def _of_code(net: nn.Module) -> str:
    """Return the sha256 of the code of all classes of modules that are the user's own."""
    told = hashlib.sha256()
    every = {base for module in net.modules() for base in type(module).__mro__ if issubclass(base, nn.Module)}
    own = [one for one in every if not f"{one.__module__}.".startswith((*LIBRARIES, "oodbench."))]
    for one in sorted(own, key=lambda found: (found.__module__, found.__qualname__)):
        for name, function in sorted(vars(one).items()):
            if isinstance(function, FunctionType):
                told.update(name.encode())
                for part in _parts(function.__code__):
                    told.update(part)
    return told.hexdigest()


def _parts(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)
        else:  # the order of a set is another in every process
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant).encode()
