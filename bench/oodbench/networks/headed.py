"""Any classifier as a model: what its modules do is found out on the first batch, hooks read the rest."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.contract import FEATURE_MAP, FEATURES, FIRST_MAP, HEAD, LAYERS, LOGITS, MAPS, Head, Output
from oodbench.errors import BadMethod
from oodbench.networks.anatomy import first_tensor
from oodbench.networks.answers import head_of_two_classes, logits_of
from oodbench.networks.channels import averaged
from oodbench.networks.classifier import NONE, Standardise
from oodbench.networks.first_map import recorded
from oodbench.networks.look import Asked, Found, look
from oodbench.networks.wrappers import bare_name, unwrapped

FIRST = 16
"""Inputs of the first batch that a model is looked at with."""


class Headed(nn.Module):
    """A module that maps inputs to logits, wrapped as a `Model`; the last `nn.Linear` that makes them is its head.

        Headed(torchvision.models.resnet18(), layers=("layer1", "layer2"))

    The first batch says which that is: features @ W.T + b has to be the logits. Where there is none, the model has no
    features and no head, and `lacks` says so; what reads only logits and pixels runs all the same. Inputs are cast to
    the dtype of the weights, and everything that the model gives to float32.

    Args:
        model: maps [n c h w] to logits [n C], or to what `logits_of` takes.
        head: dotted name of the last linear layer; by default it is looked for.
        layers: dotted names of further modules whose outputs (averaged over places) make the output `layers`; as a
            mapping, each with the axis that holds its channels: 1 for [n c h w], -1 for [n t c]. By default the layers
            with weights say that.
        mean: per-channel mean that the model's inputs are standardised by; nothing is done by default.
        std: per-channel standard deviation, likewise.
        pool: dotted name of the module that pools the last feature map; by default the last one with "Pool" in the name
            of its class whose outcome is the head's input. Without one there is no `feature_map`.

    Raises:
        UnknownName: the model has no module of that name.
        BadMethod: the head is not a linear layer.
    """

    passes = 1

    def __init__(
        self,
        model: nn.Module,
        head: str | None = None,
        layers: Sequence[str] | Mapping[str, int] = (),
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        pool: str | None = None,
    ) -> None:
        super().__init__()
        self.model = unwrapped(model)
        self.standardise = Standardise(mean, std)
        self.training = self.standardise.training = self.model.training
        known = partial(bare_name, self.model)
        self.layer_names = tuple(map(known, layers))
        self.told_axes = (
            dict(zip(self.layer_names, layers.values(), strict=True)) if isinstance(layers, Mapping) else {}
        )
        self.named_head, self.named_pool = (name and known(name) for name in (head, pool))
        self.found: Found | None = None
        if self.named_head and not isinstance(self._module(self.named_head), nn.Linear):
            got = type(self._module(self.named_head)).__name__
            raise BadMethod(f"head {head!r} is a {got}; expected an nn.Linear")

    @property
    def head(self) -> nn.Linear:
        """The linear layer that makes the logits.

        Raises:
            BadMethod: there is none, or no batch has told yet.
        """
        found = self._looked()
        if found.head is None:
            raise BadMethod(found.lacks[HEAD])
        return self._module(found.head)  # type: ignore[return-value]

    @property
    def lacks(self) -> Mapping[Output, str]:
        """Why there is none of an output, as far as a batch has told."""
        return self.found.lacks if self.found else {}

    @property
    def entries(self) -> frozenset[Output]:
        """The features, and the feature map, as far as there are any."""
        return frozenset({FEATURES, FEATURE_MAP} - self.lacks.keys())

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The head."""
        linear, two = self.head, self._looked().two
        W, b = linear.weight, linear.bias if linear.bias is not None else torch.zeros_like(linear.weight[:, 0])
        return {HEAD: head_of_two_classes(W, b) if two else Head(W.float(), b.float())}

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [n C] of pixels [n c h w]."""
        if self.found is None or not self.found.after:
            return logits_of(self._answer(x))
        given: list[Tensor] = []
        with self.head.register_forward_hook(lambda _, __, out: given.append(out)):
            self._answer(x)
        return logits_of(given[-1])

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass; before the first there is another, to look.

        Raises:
            BadMethod: the model has none of what is wanted or replaced; the head or a layer takes no part in the pass.
        """
        found = self.found or self.look(x[:FIRST])
        if lacking := sorted((wanted | replacing.keys()) & found.lacks.keys()):
            raise BadMethod(found.lacks[lacking[0]])
        got: dict[str, Tensor] = {}
        mapped = bool({FEATURE_MAP, MAPS} & wanted) or FEATURE_MAP in replacing
        maps: dict[str, Tensor] = {}
        with ExitStack() as hooks:

            def enter(name: str, output: Output) -> None:
                def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
                    entered = args[0]
                    if output in replacing:
                        entered = replacing[output].to(entered.dtype).view_as(entered)
                    got[output.name] = entered.clone() if output == FEATURES else entered
                    return (entered, *args[1:])

                hooks.callback(self._module(name).register_forward_pre_hook(before).remove)

            def read(name: str) -> None:
                def after(_: nn.Module, __: Any, out: Any) -> None:
                    activation = first_tensor(out)
                    got[f"layer {name}"] = averaged(activation, found.axes[name]).float()
                    if MAPS in wanted:
                        maps[name] = activation.float().clone()

                hooks.callback(self._module(name).register_forward_hook(after).remove)

            if found.head:
                enter(found.head, FEATURES)
            if mapped and found.pool:
                enter(found.pool, FEATURE_MAP)
            for name in self.layer_names:
                read(name)
            first = hooks.enter_context(recorded(self._module(found.first or ""))) if FIRST_MAP in wanted else []
            logits = self(x)
        self._all_took_part(got, found, mapped, len(x))
        given: dict[Output, Any] = {LOGITS: logits}
        layers = [got[f"layer {name}"] for name in self.layer_names]
        if found.head:
            given[FEATURES] = got[FEATURES.name].flatten(1).float()
            layers.append(given[FEATURES])
        if layers:
            given[LAYERS] = tuple(layers)
        if mapped and found.pool:
            given[FEATURE_MAP] = got[FEATURE_MAP.name].float()
        if MAPS in wanted:
            top = (given[FEATURE_MAP],) if found.pool else ()
            given[MAPS] = (*(maps[name] for name in self.layer_names), *top)
        if first:
            given[FIRST_MAP] = first[0].float()
        return given

    def look(self, x: Tensor) -> Found:
        """Find out, and keep, which module is the head, which pools into it, and where layers have their channels.

        Raises:
            BadMethod: a module that was named is not what it was named as; the answer is no logits, or probabilities.
        """
        asked = Asked(self.named_head, self.named_pool, self.layer_names, self.told_axes)
        self.found = look(self.model, partial(self._answer, x), len(x), asked)
        return self.found

    def _looked(self) -> Found:
        if self.found is None:
            raise BadMethod("which module is the head is known after a batch: ask for outputs, or look(x), first")
        return self.found

    def _answer(self, x: Tensor) -> Any:
        weight = next((one for one in self.model.parameters() if one.is_floating_point()), x)
        return self.model(self.standardise(x).to(weight.dtype))

    def _all_took_part(self, got: Mapping[str, Tensor], found: Found, mapped: bool, n: int) -> None:
        parts = {f"layer {name}": f"layer {name!r}" for name in self.layer_names}
        parts |= {FEATURES.name: f"head {found.head!r}"} if found.head else {}
        parts |= {FEATURE_MAP.name: f"pool {found.pool!r}"} if mapped and found.pool else {}
        for key, part in parts.items():
            if key not in got:
                raise BadMethod(f"{part} took no part in the forward pass of {type(self.model).__name__}; name another")
            if len(got[key]) != n:
                raise BadMethod(
                    f"{part} has {len(got[key])} rows for {n} images; expected a row an image; name another"
                )

    def _module(self, name: str) -> nn.Module:
        return self.model.get_submodule(name)
