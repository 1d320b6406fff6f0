"""Any classifier as a model: a line names its head, hooks show the rest."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import Head, View
from oodbench.errors import BadMethod, UnknownName
from oodbench.networks.classifier import Standardise


class Headed(nn.Module):
    """A module that maps inputs to logits through a last `nn.Linear`, wrapped so that it can show views.

    Args:
        model: maps [n c h w] to logits [n C].
        head: dotted name of the last linear layer; by default the last `nn.Linear` in the module.
        layers: dotted names of further modules whose outputs (averaged over space) make the view `layers`.
        mean: per-channel mean that the model's inputs are standardised by; nothing is done by default.
        std: per-channel standard deviation, likewise.

    Raises:
        UnknownName: the model has no module of that name.
        BadMethod: the head is not a linear layer, or there is none.
    """

    passes = 1

    def __init__(
        self,
        model: nn.Module,
        head: str | None = None,
        layers: Sequence[str] = (),
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__()
        self.model = model
        self.standardise = Standardise(mean, std)
        self.head_name = head or last_linear(model)
        self.layer_names = tuple(layers)
        found = self._module(self.head_name)
        if not isinstance(found, nn.Linear):
            raise BadMethod(f"head {self.head_name!r} is a {type(found).__name__}; expected an nn.Linear")
        for name in self.layer_names:
            self._module(name)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self._module(self.head_name)  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C] of pixels [n c h w]."""
        logits: Tensor = self.model(self.standardise(x))
        return logits

    def show(self, x: Tensor, wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return views of x after one forward pass.

        Raises:
            BadMethod: the head or a layer took no part in it.
        """
        seen: dict[str, Tensor] = {}
        with ExitStack() as hooks:

            def before_head(_: nn.Module, args: tuple[Tensor, ...]) -> None:
                seen["features"] = args[0].flatten(1)

            hooks.callback(self.head.register_forward_pre_hook(before_head).remove)
            for name in self.layer_names:

                def after(_: nn.Module, __: Any, out: Tensor, name: str = name) -> None:
                    seen[name] = out.flatten(2).mean(2) if out.ndim > 2 else out

                hooks.callback(self._module(name).register_forward_hook(after).remove)
            logits = self(x)
        for name in ("features", *self.layer_names):
            if name not in seen:
                unused = f"head {self.head_name!r}" if name == "features" else f"layer {name!r}"
                raise BadMethod(
                    f"{unused} took no part in the forward pass of {type(self.model).__name__}; name another"
                )
        layers = (*(seen[name] for name in self.layer_names), seen["features"])
        bias = self.head.bias if self.head.bias is not None else torch.zeros_like(self.head.weight[:, 0])
        return {"logits": logits, "features": seen["features"], "layers": layers, "head": Head(self.head.weight, bias)}

    def _module(self, name: str) -> nn.Module:
        modules: dict[str, nn.Module] = dict(self.model.named_modules())
        if name not in modules:
            raise UnknownName(f"module of {type(self.model).__name__}", name, (n for n in modules if n))
        return modules[name]


def last_linear(model: nn.Module) -> str:
    """Return the name of the last `nn.Linear` of a model.

    Raises:
        BadMethod: there is none.
    """
    names: list[str] = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise BadMethod(f"{type(model).__name__} has no nn.Linear; name its head: Headed(model, head='...')")
    return names[-1]


def from_torchvision(name: str, classes: int) -> nn.Module:
    """Return an untrained torchvision classifier.

    Raises:
        UnknownName: torchvision has no such classifier.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UnknownName("torchvision model", name, known)
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def from_timm(name: str, classes: int) -> nn.Module:
    """Return an untrained timm classifier.

    Raises:
        UnknownName: timm has no such model.
        BadMethod: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise BadMethod(f"network 'timm:{name}' needs timm: pip install 'oodbench[models]'") from error
    if name not in timm.list_models():
        raise UnknownName("timm model", name, timm.list_models())
    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return net
