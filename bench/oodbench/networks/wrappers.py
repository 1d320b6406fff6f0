"""What a model may be wrapped in that computes the same: `torch.compile`, `DataParallel`."""

from torch import nn

from oodbench.errors import UnknownName

INSIDE = ("module", "_orig_mod")
"""Under which name a wrapper holds its model."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside `torch.compile`, `DataParallel` and `DistributedDataParallel`: hooks see its modules.

    Example:
        >>> unwrapped(nn.DataParallel(nn.Flatten()))
        Flatten(start_dim=1, end_dim=-1)
    """
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(model, "_orig_mod"):
        inside = next(name for name in reversed(INSIDE) if hasattr(model, name))
        model = model.get_submodule(inside)
    return model


def bare_name(model: nn.Module, name: str) -> str:
    """Return a module's name in an unwrapped model; it may have the prefixes that wrappers give.

    Raises:
        UnknownName: the model has no module of that name; the nearest is offered.
    """
    modules, bare = dict(model.named_modules()), name
    while bare not in modules and bare.startswith(tuple(f"{prefix}." for prefix in INSIDE)):
        bare = bare.partition(".")[2]
    if not bare or bare not in modules:
        raise UnknownName(f"module of {type(model).__name__}", name, (known for known in modules if known))
    return bare
