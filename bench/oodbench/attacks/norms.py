"""Balls around an image: l-infinity and l2, in pixel units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.victim import Draws


@final
@dataclass(frozen=True)
class Norm:
    """A norm of changes [n c h w] to images.

    Attributes:
        length: The norm [n].
        ascent: gradient -> the change of norm 1 along which a linear function grows most; zero for a zero gradient.
        project: (change, eps) -> the nearest change in the ball (l2), or each value cut to it (l-infinity).
        inside: (draws, stream, like) -> changes drawn uniformly from the ball of radius 1.
        surface: The same, on its surface: how APGD starts.
    """

    length: Callable[[Tensor], Tensor]
    ascent: Callable[[Tensor], Tensor]
    project: Callable[[Tensor, float], Tensor]
    inside: Callable[[Draws, str, Tensor], Tensor]
    surface: Callable[[Draws, str, Tensor], Tensor]

    def into(self, moved: Tensor, x: Tensor, eps: float) -> Float[Tensor, "n c h w"]:
        """Return images moved back into the ball around x, and into the box [0, 1]."""
        return (x + self.project(moved - x, eps)).clamp(0, 1)


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return a number an image [n] in a shape that multiplies images [n 1 1 1]."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))


def l2(change: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Return the Euclidean norms."""
    length: Tensor = change.flatten(1).norm(dim=1)
    return length


def linf(change: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Return the largest absolute values."""
    return change.flatten(1).abs().amax(1)


def _unit(change: Tensor, length: Callable[[Tensor], Tensor]) -> Tensor:
    norm = length(change)
    return change / per_image(torch.where(norm > 0, norm, torch.ones_like(norm)), change)


def _into_l2(change: Tensor, eps: float) -> Tensor:
    norm = l2(change)
    return change * per_image(torch.where(norm > eps, eps / norm, torch.ones_like(norm)), change)


def _within_linf(draws: Draws, stream: str, like: Tensor) -> Tensor:
    return 2 * draws.uniform(tuple(like.shape[1:]), stream, like=like) - 1


def _within_l2(draws: Draws, stream: str, like: Tensor) -> Tensor:
    radius = draws.uniform((), stream, "radius", like=like) ** (1 / like[0].numel())
    return _on_l2(draws, stream, like) * per_image(radius, like)


def _on_l2(draws: Draws, stream: str, like: Tensor) -> Tensor:
    return _unit(draws.normal(tuple(like.shape[1:]), stream, like=like), l2)


NORMS: Mapping[str, Norm] = {
    "linf": Norm(
        length=linf,
        ascent=torch.sign,
        project=lambda change, eps: change.clamp(-eps, eps),
        inside=_within_linf,
        surface=lambda draws, stream, like: _unit(_within_linf(draws, stream, like), linf),
    ),
    "l2": Norm(
        length=l2,
        ascent=lambda gradient: _unit(gradient, l2),
        project=_into_l2,
        inside=_within_l2,
        surface=_on_l2,
    ),
}
