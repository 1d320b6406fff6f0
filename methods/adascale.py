"""AdaSCALE: SCALE and LTS with a share of largest features that each input has for itself.

Regmi, "AdaSCALE: Adaptive Scaling for OOD Detection", 2025.

    x~ = x + eps sigma * sign(g) on the o % of pixels with the smallest |sigma * g|,   g = grad_x max_c z_c(x)
    Q' = lambda sum_{k1 largest f_i} |f_i(x~) - f_i(x)| + sum_{k2 largest f_i} max(f_i(x~), 0)
    p = p_min + (1 - F(Q')) (p_max - p_min),   F the distribution function of Q' over held-out in-distribution inputs
    r = sum_i a_i / sum_{i in T} a_i,   a = max(f, 0),   T its F - round(F p / 100) largest
    AdaSCALE-A: s(x) = E(W f e^r + b);   AdaSCALE-L: s(x) = E(r^2 z)

E is the energy, logsumexp. Features of an outside input move more when unimportant pixels do, so its Q' is large, its p
small and its factor small. lambda = 10, o = 5 %, eps = 0.5, k1 = 1 %, k2 = 5 % and p_min = 60 are the author's, who
says that p_max alone need be tuned, over the eight values of the tuned row, on out-of-distribution validation inputs;
p_max = 85 is his configuration's default and his choice for ResNet-50. k1 and k2 stand as he corrected them to agree
with the paper. OpenOOD has them the other way round (5 % of shifts, 1 % of sizes); his own code now swaps them where F
is fitted, not where inputs are scored, and so compares unlike sums.

The step is in standardised units. Here standardisation is part of the network and a pixel lies in [0, 1], so the step
is eps sigma, and the derivative by standardised pixels is sigma * g; sigma is the standard deviation of each channel
over the held-out in-distribution inputs. As in the original, x~ is not clipped; a pixel whose derivative is exactly 0
stays. k1 and k2 are at least one feature, where the original would sum over none below 100 features (below 20).

Fails where ordinary inputs activate more strongly than outside ones: the size of the largest features is part of Q',
which is then larger for the ordinary, and they get the smaller factor. On networks of few features, where each k is one
or two, this is so, and r hangs on a handful of entries, as in SCALE. F is a staircase and a count of features is whole,
so inputs of nearly equal Q' may get factors one step apart. It costs a derivative and two passes an input.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas, shaping
from oodbench.contract import (
    FEATURES,
    HEAD,
    INPUTS,
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


class Held(NamedTuple):
    """What held-out inputs are like: the deviation of each channel, and their Q' in order."""

    sigma: Float[Tensor, "c"]
    Q: Float[Tensor, "m"]


@final
@dataclass(frozen=True)
class AdaScale:
    """The energy of features (a) or logits (l) that were scaled by an adaptive factor.

    Attributes:
        variant: What is scaled: features (a), logits (l).
        p_min: Percentile for the input that moves most.
        p_max: Percentile for the input that moves least.
        k1: In percent: how many of the largest features have their shift summed.
        k2: In percent: how many have their size after the step summed.
        lam: Weight of the shift.
        o: In percent: how many pixel values are moved.
        eps: Length of the step, in standard deviations of the channel.
    """

    variant: Literal["a", "l"]
    p_min: float = 60.0
    p_max: float = 85.0
    k1: float = 1.0
    k2: float = 5.0
    lam: float = 10.0
    o: float = 5.0
    eps: float = 0.5

    version: ClassVar[int] = 1
    fits_on: ClassVar[frozenset[Material]] = frozenset({"validation"})

    @property
    def reads(self) -> frozenset[Output]:
        """Features, logits and the gradient by the pixels; the head where features are scaled."""
        read: frozenset[Output] = frozenset({INPUTS, FEATURES, LOGITS, NETWORK})
        return read | {HEAD} if self.variant == "a" else read

    def fit(self, data: FitData) -> Held:
        """Return the channels' deviations and the Q' of held-out in-distribution inputs."""
        sigma = _deviation(data.validation)
        Q = torch.cat([self._shift(batch, sigma) for batch in data.validation.batches()])
        return Held(sigma, Q.sort().values)

    def score(self, state: Held, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the energy after scaling."""
        f = batch.features
        F = torch.searchsorted(state.Q, self._shift(batch, state.sigma), right=True) / len(state.Q)
        p = self.p_min + (1 - F) * (self.p_max - self.p_min)
        k = torch.tensor([shaping.kept(f.shape[1], one) for one in p.tolist()], device=f.device)
        if self.variant == "a":
            return shaping.energy(f * shaping.sharpening(f, k), batch.head)
        return formulas.energy(shaping.ratio(f, k).square()[:, None] * batch.logits)

    def _shift(self, batch: Outputs, sigma: Float[Tensor, "c"]) -> Float[Tensor, "n"]:
        x, f = batch.inputs, batch.features
        per_pixel = sigma.to(x.dtype)[:, None, None]
        slope = (per_pixel * batch.grad(lambda outputs: outputs.logits.amax(dim=1))).flatten(1)
        trivial = shaping.largest(-slope.abs(), _share(slope.shape[1], self.o))
        step = self.eps * per_pixel * (slope.sign() * trivial).view_as(x)
        moved = batch.at(x + step).features.double()
        shifts = (moved - f).abs() * shaping.largest(f, _share(f.shape[1], self.k1))
        sizes = moved.clamp_min(0) * shaping.largest(f, _share(f.shape[1], self.k2))
        return self.lam * shifts.sum(dim=1) + sizes.sum(dim=1)


def _share(n: int, percent: float) -> int:
    """Return that many of n in whole numbers, at least one."""
    return max(1, int(n * percent / 100))


def _deviation(outputs: Outputs) -> Float[Tensor, "c"]:
    """Return the standard deviation of each channel over all inputs and places, in float64."""
    first = second = torch.zeros(1, dtype=torch.float64)
    places = 0
    for batch in outputs.batches():
        x = batch.inputs.double().transpose(0, 1).flatten(1)
        first, second = first.to(x.device) + x.sum(dim=1), second.to(x.device) + x.square().sum(dim=1)
        places += x.shape[1]
    return (second / places - (first / places).square()).clamp_min(0).sqrt()


PAPER = Citation(
    authors="Regmi",
    title="AdaSCALE: Adaptive Scaling for OOD Detection",
    year=2025,
    url="https://arxiv.org/abs/2503.08023",
)
PERCENTILES = Grid(over=(("p_max", (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 99.0)),))


def _row(name: str, title: str, variant: Literal["a", "l"], search: Grid | None = None) -> Method:
    return Method(
        name=name,
        title=title,
        paper=PAPER,
        recipe=Plain(),
        detector=AdaScale(variant),
        family="shaping",
        search=search,
    )


EXCUSED = {
    "adascale-a": {"direction": shaping.EVEN},
    "adascale-a-tuned": {"direction": shaping.EVEN},
    "adascale-l": {"direction": shaping.EVEN},
    "adascale-l-tuned": {"direction": shaping.EVEN},
}

METHODS = (
    _row("adascale-a", "AdaSCALE-A (60 to 85)", "a"),
    _row("adascale-a-tuned", "AdaSCALE-A (tuned)", "a", PERCENTILES),
    _row("adascale-l", "AdaSCALE-L (60 to 85)", "l"),
    _row("adascale-l-tuned", "AdaSCALE-L (tuned)", "l", PERCENTILES),
)
