"""ASH: activations pruned, and the rest left, levelled or sharpened.

Djurisic, Bozanic, Ashok & Liu, "Extremely Simple Activation Shaping for Out-of-Distribution Detection", ICLR 2023.

    T the k = F - round(F q / 100) largest entries of f,   S = sum_i a_i,   a = max(f, 0),   s(x) = E(W g + b)
    ASH-P: g_i = f_i on T;   ASH-B: g_i = S / k on T;   ASH-S: g_i = f_i exp(S / sum_T a) on T;   0 elsewhere

E is the energy, logsumexp. Nothing is fitted. "ASH" alone is no method: OpenOOD's row of that name is ASH-B,
pytorch-ood's default is ASH-S. q is 65 % for P and B, the default of the authors' functions, and 90 % for S, as in
their configuration for ImageNet (95 % for CIFAR). The paper tunes q; the tuned rows do so on held-out
out-of-distribution inputs.

Where it prunes: the authors' code does so after the average pool (ResNet, DenseNet, WideResNet, MobileNet, VGG) or on
the class token (ViT), which is the features here; so does OpenOOD. pytorch-ood prunes the feature map before the pool,
over all channels and places at once; the row ash-s-map does that, at the cost of two forward passes. Of equal entries
the first are kept, where torch.topk promises nothing: it matters for B where fewer than k units fire, since zeros are
raised, too. The authors' functions write into the features that they are given; these do not.

Negative features (a transformer's) count as 0 in the sums, where the original would divide by a sum that may be near 0
or negative; an input without a positive feature has S = 0, and S's factor is then e.

Fails where features are few: k / F bounds the factor of S by exp(F / k), so with 64 features and q = 90 % it may be
exp(10.7), and how evenly activation is spread drowns what the logits say. Pruning also needs features that are sparse:
where most units fire, it removes what the head relies on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import shaping
from oodbench.contract import (
    FEATURE_MAP,
    FEATURES,
    HEAD,
    LOGITS,
    NETWORK,
    Citation,
    FitData,
    Grid,
    Material,
    Method,
    Output,
    Outputs,
)
from oodbench.recipes import Plain


def prune(x: Float[Tensor, "n F"], q: float) -> Float[Tensor, "n F"]:
    """Return the activations with all but the largest 0 (ASH-P)."""
    return torch.where(shaping.largest(x, shaping.kept(x.shape[1], q)), x, 0)


def level(x: Float[Tensor, "n F"], q: float) -> Float[Tensor, "n F"]:
    """Return the sum of all activations, in equal parts on the largest (ASH-B)."""
    k = shaping.kept(x.shape[1], q)
    return shaping.largest(x, k) * (x.clamp_min(0).sum(dim=1, keepdim=True, dtype=torch.float64) / k)


def sharpen(x: Float[Tensor, "n F"], q: float) -> Float[Tensor, "n F"]:
    """Return the largest activations, times the exponential of how much of the whole they are not (ASH-S)."""
    return prune(x, q) * shaping.sharpening(x, shaping.kept(x.shape[1], q))


SHAPES: Mapping[str, Callable[[Tensor, float], Tensor]] = MappingProxyType({"p": prune, "b": level, "s": sharpen})


@final
@dataclass(frozen=True)
class Ash:
    """The energy of pruned features.

    Attributes:
        variant: What becomes of the rest: left (p), levelled (b), sharpened (s).
        q: In percent: how many of an input's activations are pruned.
    """

    variant: Literal["p", "b", "s"]
    q: float

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, HEAD})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return E(W g + b)."""
        return shaping.energy(SHAPES[self.variant](batch.features, self.q), batch.head)


@final
@dataclass(frozen=True)
class AshAtMap:
    """The same with the last feature map in the place of the features; the network pools what is left.

    Attributes:
        variant: As above.
        q: In percent: how many of the map's entries, of all channels and places, are pruned.
    """

    variant: Literal["p", "b", "s"]
    q: float

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURE_MAP, LOGITS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return the energy after the pruned map."""
        return shaping.energy_at_map(batch, lambda a: SHAPES[self.variant](a, self.q))


PAPER = Citation(
    authors="Djurisic, Bozanic, Ashok, Liu",
    title="Extremely Simple Activation Shaping for Out-of-Distribution Detection",
    year=2023,
    url="https://arxiv.org/abs/2209.09858",
)
SHARES = Grid(over=(("q", (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)),))


def _row(detector: Ash | AshAtMap, name: str, title: str, search: Grid | None = None) -> Method:
    return Method(
        name=name, title=title, paper=PAPER, recipe=Plain(), detector=detector, family="shaping", search=search
    )


EXCUSED = {
    "ash-s": {"direction": shaping.EVEN},
    "ash-s-tuned": {"direction": shaping.EVEN},
    "ash-s-map": {"direction": shaping.EVEN},
}

METHODS = (
    _row(Ash("p", 65.0), "ash-p", "ASH-P (q = 65)"),
    _row(Ash("p", 65.0), "ash-p-tuned", "ASH-P (tuned)", SHARES),
    _row(Ash("b", 65.0), "ash-b", "ASH-B (q = 65)"),
    _row(Ash("b", 65.0), "ash-b-tuned", "ASH-B (tuned)", SHARES),
    _row(Ash("s", 90.0), "ash-s", "ASH-S (q = 90)"),
    _row(Ash("s", 90.0), "ash-s-tuned", "ASH-S (tuned)", SHARES),
    _row(AshAtMap("s", 90.0), "ash-s-map", "ASH-S (q = 90) on the last feature map"),
)
