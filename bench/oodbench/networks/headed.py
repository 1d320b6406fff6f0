"""Any classifier as a model: a line names its head, hooks read the rest."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, LAYERS, LOGITS, Head, Output
from oodbench.errors import BadMethod, UnknownName
from oodbench.networks.classifier import NONE, Standardise


class Headed(nn.Module):
    """A module that maps inputs to logits through a last `nn.Linear`, wrapped as a `Model`.

        Headed(torchvision.models.resnet18(), layers=("layer1", "layer2"))

    Args:
        model: maps [n c h w] to logits [n C].
        head: dotted name of the last linear layer; by default the last `nn.Linear` in the module.
        layers: dotted names of further modules whose outputs (averaged over space) make the output `layers`.
        mean: per-channel mean that the model's inputs are standardised by; nothing is done by default.
        std: per-channel standard deviation, likewise.
        pool: dotted name of the module that pools the last feature map; by default the last one with "Pool" in the name
            of its class, if what it returns is the head's input. Without one there is no `feature_map`.

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
        pool: str | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.standardise = Standardise(mean, std)
        self.head_name = head or last_linear(model)
        self.layer_names = tuple(layers)
        self.pool_name, self.named_pool = pool or last_pool(model), pool is not None
        found = self._module(self.head_name)
        if not isinstance(found, nn.Linear):
            raise BadMethod(f"head {self.head_name!r} is a {type(found).__name__}; expected an nn.Linear")
        for name in (*self.layer_names, *filter(None, [pool])):
            self._module(name)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        return self._module(self.head_name)  # type: ignore[return-value]

    @property
    def entries(self) -> frozenset[Output]:
        """The features, and the feature map where a module pools it."""
        return frozenset({FEATURES, FEATURE_MAP} if self.pool_name else {FEATURES})

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The head."""
        bias = self.head.bias if self.head.bias is not None else torch.zeros_like(self.head.weight[:, 0])
        return {HEAD: Head(self.head.weight, bias)}

    def forward(self, x: Tensor) -> Any:
        """Return what the model answers to pixels [n c h w]: logits [n C], if it is as it should be."""
        return self.model(self.standardise(x))

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass.

        Raises:
            BadMethod: the head, the pooling or a layer takes no part in it.
        """
        got: dict[str, Tensor] = {}
        with ExitStack() as hooks:

            def enter(name: str, output: Output) -> None:
                def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
                    got[output.name] = args[0] if output not in replacing else replacing[output].view_as(args[0])
                    return (got[output.name], *args[1:])

                hooks.callback(self._module(name).register_forward_pre_hook(before).remove)

            def read(name: str) -> None:
                def after(_: nn.Module, __: Any, out: Tensor) -> None:
                    got[f"layer {name}"] = out.flatten(2).mean(2) if out.ndim > 2 else out

                hooks.callback(self._module(name).register_forward_hook(after).remove)

            def keep(_: nn.Module, __: Any, out: Tensor) -> None:
                got["pooled"] = out.flatten(1)

            enter(self.head_name, FEATURES)
            if mapped := FEATURE_MAP in wanted or FEATURE_MAP in replacing:
                hooks.callback(self._module(self._pool()).register_forward_hook(keep).remove)
                enter(self._pool(), FEATURE_MAP)
            for name in self.layer_names:
                read(name)
            logits = self(x)
        self._all_took_part(got, mapped)
        if mapped and not self.named_pool and FEATURES not in replacing:
            self._pools_into_the_head(got)
        features = got[FEATURES.name].flatten(1)
        layers = (*(got[f"layer {name}"] for name in self.layer_names), features)
        given: dict[Output, Any] = {LOGITS: logits, FEATURES: features, LAYERS: layers}
        return given | ({FEATURE_MAP: got[FEATURE_MAP.name]} if mapped else {})

    def _pools_into_the_head(self, got: Mapping[str, Tensor]) -> None:
        if not torch.equal(got["pooled"], got[FEATURES.name].flatten(1)):
            raise BadMethod(
                f"{self.pool_name!r}, the last pooling module of {type(self.model).__name__}, does not make the head's "
                f"input, so that its input may not be the feature_map; name the one meant: Headed(model, pool='...')"
            )

    def _all_took_part(self, got: Mapping[str, Tensor], mapped: bool) -> None:
        parts = {FEATURES.name: f"head {self.head_name!r}"}
        parts |= {f"layer {name}": f"layer {name!r}" for name in self.layer_names}
        parts |= {FEATURE_MAP.name: f"pool {self.pool_name!r}"} if mapped else {}
        for key, part in parts.items():
            if key not in got:
                raise BadMethod(f"{part} took no part in the forward pass of {type(self.model).__name__}; name another")

    def _pool(self) -> str:
        if self.pool_name is None:
            raise BadMethod(
                f"{type(self.model).__name__} has no pooling module, and so no feature_map; "
                f"name it: Headed(model, pool='...')"
            )
        return self.pool_name

    def _module(self, name: str) -> nn.Module:
        modules: dict[str, nn.Module] = dict(self.model.named_modules())
        if name not in modules:
            raise UnknownName(f"module of {type(self.model).__name__}", name, (n for n in modules if n))
        return modules[name]


def last_pool(model: nn.Module) -> str | None:
    """Return the name of the last pooling module of a model, if there is one."""
    names = [name for name, module in model.named_modules() if name and "Pool" in type(module).__name__]
    return names[-1] if names else None


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
