"""Several classifiers that answer as one, by the mean of their probabilities: an ensemble, or one network thinned."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout2d

from oodbench import formulas
from oodbench.contract import LOGITS, Output
from oodbench.errors import BadSetting
from oodbench.spaces import Shape

MASKS = 0
"""Seed of the masks: no training and no model's seed moves them."""


class Members(nn.Module, ABC):
    """M classifiers; their answer is log 1/M sum_m softmax(z_m), logits of the mean of their probabilities."""

    entries: frozenset[Output] = frozenset()
    constants: Mapping[Output, Any] = MappingProxyType({})

    @property
    @abstractmethod
    def passes(self) -> int:
        """M: one pass of each member."""

    @abstractmethod
    def members(self, x: Tensor) -> Tensor:
        """Return each member's logits [n M C] of pixels [n c h w]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C]."""
        return formulas.log_mean_softmax(self.members(x))

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass of each member."""
        members = self.members(x)
        return {LOGITS.of_members: members, LOGITS: formulas.log_mean_softmax(members)}


class Ensemble(Members):
    """Classifiers that share nothing."""

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    @property
    def passes(self) -> int:
        """How many there are."""
        return len(self.nets)

    def members(self, x: Tensor) -> Tensor:
        """Return the classifiers' logits."""
        return torch.stack([net(x) for net in self.nets], dim=1)


class Thinned(Members):
    """One classifier with dropout; in evaluation it answers under each of M masks, the same for all inputs.

    Args:
        net: Has at least one `nn.Dropout`, each after a feature map of its own; fixed ones take their places.
        shape: Of the inputs.
        M: Masks.

    Raises:
        BadSetting: the network has no dropout.
    """

    def __init__(self, net: nn.Module, shape: Shape, M: int) -> None:
        super().__init__()
        self.net, self._M = net, M
        channels = dropped_channels(net, shape)
        if not channels:
            raise BadSetting(f"{type(net).__name__} has no dropout to thin it by; name one of `oodbench.networks`")
        chance = torch.Generator().manual_seed(MASKS)
        for name, width in channels.items():
            ordinary = net.get_submodule(name)
            net.set_submodule(name, FixedDropout(float(ordinary.p), width, M, chance))  # type: ignore[arg-type]

    @property
    def passes(self) -> int:
        """How many masks there are."""
        return self._M

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n C]: in training those of ordinary dropout."""
        logits: Tensor = self.net(x) if self.training else super().forward(x)
        return logits

    def members(self, x: Tensor) -> Tensor:
        """Return the logits under each mask; in evaluation."""
        return torch.stack([self._under(mask, x) for mask in range(self._M)], dim=1)

    def _under(self, mask: int, x: Tensor) -> Tensor:
        for module in self.net.modules():
            if isinstance(module, FixedDropout):
                module.mask = mask
        logits: Tensor = self.net(x)
        return logits


class FixedDropout(nn.Module):
    """Dropout of whole channels: afresh for each input in training, by one of M fixed masks in evaluation.

    Units of one channel go together in both, so that the masks are draws of what the network was trained under.

    Args:
        p: Probability that a channel is dropped; the rest is divided by 1 - p.
        channels: Of the map.
        M: Masks.
        chance: What they are drawn from.
    """

    keep: Tensor

    def __init__(self, p: float, channels: int, M: int, chance: torch.Generator) -> None:
        super().__init__()
        self.p, self.mask = p, 0
        kept = torch.rand(M, channels, 1, 1, generator=chance) >= p
        self.register_buffer("keep", kept / (1 - p))

    def forward(self, x: Tensor) -> Tensor:
        """Return the thinned map."""
        return dropout2d(x, self.p) if self.training else x * self.keep[self.mask]


def dropped_channels(net: nn.Module, shape: Shape) -> dict[str, int]:
    """Return the names of a network's dropouts, and how many channels the maps have that go through them."""
    channels: dict[str, int] = {}
    dropouts = {name: module for name, module in net.named_modules() if isinstance(module, nn.Dropout)}
    hooks = [
        module.register_forward_pre_hook(lambda _, args, name=name: channels.update({name: args[0].shape[1]}))
        for name, module in dropouts.items()
    ]
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, *shape))
    net.train()
    for hook in hooks:
        hook.remove()
    return channels
