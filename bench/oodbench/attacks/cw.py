"""CW-L2, Carlini and Wagner's attack.

Carlini & Wagner, "Towards evaluating the robustness of neural networks", 2017, and with κ as Mackowiak et al.,
"Generative classifiers as a basis for trustworthy image classification", 2021, equation 11, have it. Over w, with x'
= (tanh w + 1) / 2:

    min  || x' - x ||_2^2 + c max(0, κ - m(x')),    m = z_t - max_{i != t} z_i,  or  max_{i != y} z_i - z_y  without t

by Adam, for each image with a c of its own: c is multiplied by 10 until the attack succeeds, then a binary search. It
succeeds where m >= κ; of all points that do, the one nearest to x is the attack, and an image of which none does
stays as it was. With κ = ∞ there is no hinge: -m itself is made small, and an attack succeeds where the aim is
reached (t, or not y, is the predicted class). An attacker who knows a detector adds weight * (-s(x')) (their equation
12, CWD, has d * L_detect), whatever c is; of the points that succeed the attack is then the one of the least
|| x' - x ||_2^2 + d * L_detect: the nearest are those where the descent had just crossed the boundary, and had not
yet come to where the detector is fooled, too.

As in the authors' code a search starts at w = arctanh of the image, shrunk by 1 - 1e-6 (so that a value of 0 or 1 has
a w), Adam has β = 0.9, 0.999, and, with ten searches or more, the last c is the least known to succeed. Their search
ends early when the sum of a batch's losses falls by less than 0.01 % in a tenth of the steps; here each image's does,
so that none depends on its batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import margin
from oodbench.attacks.victim import Aim, Draws, Victim, defined

SHRUNK = 1 - 1e-6
LEAST_GAIN = 1e-4
MOST = 1e10
"""The largest c that is tried."""


def cw(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    kappa: float,
    steps: int,
    lr: float,
    searches: int,
    c: float,
) -> Float[Tensor, "n c h w"]:
    """Return the cheapest points that succeed; an image without one stays as it was."""
    best = Cheapest(x.clone(), torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device))
    low = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    high = torch.full_like(low, torch.inf)
    weight = torch.full_like(low, c)
    for search in range(searches):
        if search == searches - 1 and searches >= 10:
            weight = torch.where(high < torch.inf, high, weight)
        found = _search(x, aim, victim, weight, kappa, steps, lr, best)
        high = torch.where(found, torch.minimum(high, weight), high)
        low = torch.where(found, low, torch.maximum(low, weight))
        weight = torch.where(high < torch.inf, (low + high) / 2, weight * 10).clamp(max=MOST)
    return best.x


@final
@dataclass(frozen=True, eq=False)
class Cheapest:
    """The cheapest successes so far [n c h w], and their costs [n], infinite where there is none.

    A cost is the squared distance, and what a detector says against the image where the attacker knows one.
    """

    x: Tensor
    cost: Tensor

    def offer(self, rows: Tensor, x: Tensor, cost: Tensor, succeeds: Tensor) -> None:
        """Take those of the images at `rows` [k] that succeed at less than what is kept."""
        cheaper = succeeds & (cost < self.cost[rows])
        self.x[rows[cheaper]], self.cost[rows[cheaper]] = x[cheaper], cost[cheaper]


def _search(
    x: Tensor, aim: Aim, victim: Victim, c: Tensor, kappa: float, steps: int, lr: float, best: Cheapest
) -> Tensor:
    """Descend once with c [n]; offer what succeeds to the best, and return which images did."""
    found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    rows = torch.arange(len(x), device=x.device)
    w = torch.atanh((2 * x - 1) * SHRUNK)
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    before = torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
    every = max(1, steps // 10)
    for k in range(1, steps + 1):
        with torch.enable_grad():
            free = w.detach().requires_grad_()
            moved = (torch.tanh(free) + 1) / 2
            distance = (moved - x[rows]).flatten(1).square().sum(1).double()
            z = victim.logits(moved)
            m = margin(z, aim[rows]).double()
            hinge = -m if math.isinf(kappa) else (kappa - m).clamp(min=0)
            cost = distance - victim.bonus(moved)
            loss = cost + c[rows] * hinge
            (slope,) = torch.autograd.grad(loss.sum(), free)
        slope = defined(slope)
        succeeds = aim[rows].reached(z) & (math.isinf(kappa) | (m.detach() >= kappa))
        best.offer(rows, moved.detach(), cost.detach(), succeeds)
        found[rows] |= succeeds
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        step = first / (1 - 0.9**k) / ((second / (1 - 0.999**k)).sqrt() + 1e-8)
        w = w.detach() - lr * step
        if k % every == 0:
            going = ~(loss.detach() > before[rows] - LEAST_GAIN * before[rows].abs())
            before[rows] = loss.detach()
            rows, w, first, second = rows[going], w[going], first[going], second[going]
            if not len(rows):
                break
    return found
