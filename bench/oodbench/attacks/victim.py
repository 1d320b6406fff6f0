"""What an attack is given: the model under attack, what to achieve, and the images' own random numbers.

This is also the seam for adaptive attacks. A `Victim` may have a differentiable `score` (a fitted detector's, higher =
more in-distribution) and a `weight`: every attack that climbs a loss then climbs

    loss(z(x), aim) + weight * s(x)

(`Victim.climb`, which FGSM, BIM, MI-FGSM, PGD and APGD call), Square ranks by the same sum, and Carlini-Wagner adds
weight * (-s(x)) to what it makes small (`Victim.bonus`). A loss of detection L(x) that is to be small is the score -L.
Restarts go on for images that fool already where there is a score: of those that fool, the best is kept (`Best`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from oodbench.errors import BadData
from oodbench.store import digest

Map: TypeAlias = Callable[[Tensor], Tensor]
"""x [n c h w] -> one row an image, differentiable by the pixels."""


@final
@dataclass(frozen=True)
class Aim:
    """What an attack wants of n images.

    Attributes:
        y: Their classes, which the attack leads away from.
        t: The classes that it leads to; None for any other than y.
    """

    y: Int[Tensor, "n"]
    t: Int[Tensor, "n"] | None = None

    def __getitem__(self, rows: Tensor) -> Aim:
        """Return the aim of some of the images."""
        return Aim(self.y[rows], None if self.t is None else self.t[rows])

    def reached(self, z: Float[Tensor, "n C"]) -> Bool[Tensor, "n"]:
        """Return whether logits are what is wanted: the largest is t's, or is not y's."""
        said = z.argmax(1)
        return said != self.y if self.t is None else said == self.t

    def to(self, device: torch.device) -> Aim:
        """Return the same on a device."""
        return Aim(self.y.to(device), None if self.t is None else self.t.to(device))


Loss: TypeAlias = Callable[[Tensor, Aim], Tensor]
"""A loss of each image, to be climbed: (logits [n C], aim) -> [n]."""


@final
@dataclass(frozen=True, eq=False)
class Slope:
    """Where an attack stands.

    Attributes:
        value: What it climbs [n].
        gradient: Its derivative [n c h w].
        z: The logits [n C].
        rank: What points are compared by that reach the aim alike [n].
    """

    value: Float[Tensor, "n"]
    gradient: Float[Tensor, "n c h w"]
    z: Float[Tensor, "n C"]
    rank: Float[Tensor, "n"]


@final
@dataclass(frozen=True)
class Victim:
    """The model under attack, in pixel space: x in [0, 1], its own preprocessing inside.

    Attributes:
        logits: x [n c h w] -> z [n C].
        score: x [n c h w] -> s [n], a detector's, higher = more in-distribution; None for who knows of none.
        weight: What a unit of the score is worth, in units of the loss.
        selective: Whether the score counts only where the aim is reached; of such points the one of the highest score
            is then the best, whatever its loss.

    Example:
        >>> knows_the_model = Victim(net)
        >>> knows_both = Victim(net, lambda x: energy(net(x)), weight=0.1)
    """

    logits: Map
    score: Map | None = None
    weight: float = 0.0
    selective: bool = False

    @property
    def adaptive(self) -> bool:
        """Whether the attacker knows a detector, too."""
        return self.score is not None

    def bonus(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
        """Return weight * s(x), in float64 as scores are; zero without a score."""
        if self.score is None:
            return torch.zeros(len(x), dtype=torch.float64, device=x.device)
        return self.weight * self.score(x).double()

    def value(self, loss: Loss, x: Float[Tensor, "n c h w"], aim: Aim) -> tuple[Tensor, Tensor]:
        """Return loss(z(x), aim) + weight * s(x) [n], and z [n C]; without derivatives."""
        with torch.no_grad():
            z = self.logits(x)
            return self._sum(loss, x, aim, z)[0], z

    def rank(self, loss: Loss, x: Float[Tensor, "n c h w"], aim: Aim) -> tuple[Tensor, Tensor]:
        """Return what points are compared by that reach the aim alike [n], and z [n C]; without derivatives."""
        with torch.no_grad():
            z = self.logits(x)
            return self._sum(loss, x, aim, z)[1], z

    def climb(self, loss: Loss, x: Float[Tensor, "n c h w"], aim: Aim) -> Slope:
        """Return loss(z(x), aim) + weight * s(x), its derivative by the pixels, and the logits.

        Of a selective victim the score is left out where the aim is not reached. There its way up leads back: most
        detectors trust an image the more, the surer the model is of the right class, whose cross-entropy has hardly a
        slope to hold against that. So far as the aim is not reached the attack is the one without the score; from
        there on both count (after Bryniarski et al., "Evading adversarial example detection defenses with orthogonal
        projected gradient descent", 2022, whose selective descent follows one at a time).
        """
        with torch.enable_grad():
            pixels = x.detach().requires_grad_()
            z = self.logits(pixels)
            value, rank = self._sum(loss, pixels, aim, z)
            (gradient,) = torch.autograd.grad(value.sum(), pixels)
        return Slope(value.detach(), defined(gradient), z.detach(), rank.detach())

    def _sum(self, loss: Loss, x: Tensor, aim: Aim, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is climbed, and what points are compared by."""
        lost = loss(z, aim)
        if not self.adaptive:
            return lost, lost
        bonus = self.bonus(x)
        if not self.selective:
            return lost + bonus, lost + bonus
        there = aim.reached(z)
        return torch.where(there, lost + bonus, lost.double()), torch.where(there, bonus, lost.double())


def defined(gradient: Tensor) -> Tensor:
    """Return derivatives [n ...], none of which is NaN: a sign would make a step of nothing of it.

    Raises:
        BadData: One is.
    """
    if gradient.isnan().any():
        broken = gradient.flatten(1).isnan().any(1)
        raise BadData(
            f"the model's derivatives by the pixels are NaN for {int(broken.sum())} of {len(broken)} images; "
            "look for a division by zero or an overflow in the model"
        )
    return gradient


@final
@dataclass(frozen=True)
class Draws:
    """Random numbers of images: each has streams of its own, whatever else is in its batch.

    Attributes:
        seed: Of the attack.
        rows: Place of each image in its data set [n].
    """

    seed: int
    rows: tuple[int, ...]

    def __getitem__(self, rows: Tensor) -> Draws:
        """Return the draws of some of the images, given as a mask or as places."""
        places = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        return replace(self, rows=tuple(self.rows[place] for place in places.tolist()))

    def uniform(self, shape: tuple[int, ...], *stream: str | int, like: Tensor) -> Tensor:
        """Return numbers in [0, 1) [n *shape] of a named stream, of the type and device of a tensor."""
        return self._each(torch.rand, shape, stream, like)

    def normal(self, shape: tuple[int, ...], *stream: str | int, like: Tensor) -> Tensor:
        """Return standard normal numbers [n *shape] of a named stream."""
        return self._each(torch.randn, shape, stream, like)

    def _each(self, draw: Any, shape: tuple[int, ...], stream: tuple[str | int, ...], like: Tensor) -> Tensor:
        made = torch.empty(len(self.rows), *shape)
        for place, row in enumerate(self.rows):
            made[place] = draw(shape, generator=torch.Generator().manual_seed(_seed(self.seed, row, *stream)))
        return made.to(like.device, like.dtype)


@cache
def _seed(*names: str | int) -> int:
    return int(digest(*names)[:15], 16)


@final
class Best:
    """The best of what an attack has tried, by image: what reaches the aim goes before what does not, then by value.

    An image that no gradient ever moved, and that no draw made fool the model, stays as it was: `Best` starts there.
    """

    def __init__(self, x: Float[Tensor, "n c h w"]) -> None:
        self.x = x.clone()
        self.reached: Bool[Tensor, "n"] = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.value = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)

    def offer(
        self, rows: Tensor, x: Float[Tensor, "k c h w"], value: Tensor, reached: Tensor, moved: Tensor | None = None
    ) -> None:
        """Take those of the images at `rows` [k] that are better than what is kept; `moved` [k] of those that fail."""
        value = value.double()
        known, best = self.reached[rows], self.value[rows]
        better = (reached & ~known) | ((reached == known) & (value > best))
        if moved is not None:
            better &= moved | reached
        taken = rows[better]
        self.x[taken], self.reached[taken], self.value[taken] = x[better], reached[better], value[better]

    def open(self, victim: Victim) -> Tensor:
        """Return the places of the images that another restart may improve."""
        rows = torch.arange(len(self.x), device=self.x.device)
        return rows if victim.adaptive else rows[~self.reached]
