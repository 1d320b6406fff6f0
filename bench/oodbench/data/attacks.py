"""Attacks on a model: FGSM and BIM in the l-infinity ball, in pixel space.

x stays in the box [0, 1]; the gradient is the cross-entropy's by the pixels, so standardisation is differentiated
through; ε and α are in pixel units. Un-targeted, with the true label. Only images that the model has right are
attacked, and every one of them is kept, with a mask of those that fooled it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from oodbench.data.attack_cards import Attack
from oodbench.errors import BadData

Gradient: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(x [n c h w], y [n]) -> d CE(net(x), y) / dx, one row an image, in pixel space."""

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""x [n c h w] -> the predicted classes [n]."""


@dataclass(frozen=True, eq=False)
class Crafted:
    """The attacked images of one attack.

    Attributes:
        x: Attacked images in [0, 1]; float32, not rounded.
        index: Place of each one's clean image in what was attacked; all of them were classified right.
        fooled: Whether the model gets the attacked image wrong.
        linf: Mean over the fooled of max |x' - x|; NaN if there is none.
        l2: Mean over the fooled of the Euclidean norm of x' - x; NaN if there is none.
    """

    x: Float[Tensor, "k c h w"]
    index: Int[Tensor, "k"]
    fooled: Bool[Tensor, "k"]
    linf: float
    l2: float

    @property
    def success(self) -> float:
        """Share of the attacked that fooled the model; NaN if none was attacked."""
        return self.fooled.float().mean().item()


def fgsm(x: Float[Tensor, "n c h w"], y: Int[Tensor, "n"], gradient: Gradient, eps: float) -> Float[Tensor, "n c h w"]:
    """Return x' = clip(x + ε sign ∇_x CE(x, y), 0, 1) (Goodfellow 2015)."""
    return (x + eps * gradient(x, y).sign()).clamp(0, 1)


def bim(
    x: Float[Tensor, "n c h w"], y: Int[Tensor, "n"], gradient: Gradient, eps: float, alpha: float, steps: int
) -> Float[Tensor, "n c h w"]:
    """Return `steps` times x' <- clip(Π_ε(x' + α sign ∇_x CE(x', y)), 0, 1), from x' = x (Kurakin 2017).

    Π_ε projects on the l-infinity ball of radius ε around x.
    """
    attacked = x
    for _ in range(steps):
        stepped = attacked + alpha * gradient(attacked, y).sign()
        attacked = torch.clamp(stepped, x - eps, x + eps).clamp(0, 1)
    return attacked


def craft(
    attack: Attack,
    x: Float[Tensor, "n c h w"],
    y: Int[Tensor, "_"],
    predict: Predict,
    gradient: Gradient,
    batch: int = 256,
) -> Crafted:
    """Attack the images that `predict` has right, `batch` at a time.

    Raises:
        BadData: Pixels outside [0, 1], or another number of labels than of images.
    """
    if len(x) != len(y):
        raise BadData(f"attack {attack.name}: got {len(y)} labels for {len(x)} images.")
    low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    if low < 0 or high > 1:
        raise BadData(f"attack {attack.name}: got pixels from {low:g} to {high:g}, expected [0, 1].")
    index = (~fools(x, y, predict, batch)).nonzero()[:, 0]
    parts = [_perturbed(attack, a, b, gradient) for a, b in _batches(x[index], y[index], batch)]
    attacked = torch.cat(parts).float() if parts else x[:0].float()
    fooled = fools(attacked, y[index], predict, batch)
    moved = (attacked - x[index])[fooled].flatten(1)
    return Crafted(
        x=attacked,
        index=index.to(torch.int32),
        fooled=fooled,
        linf=moved.abs().amax(1).mean().item() if len(moved) else float("nan"),
        l2=moved.norm(dim=1).mean().item() if len(moved) else float("nan"),
    )


def fools(x: Float[Tensor, "k c h w"], y: Int[Tensor, "k"], predict: Predict, batch: int = 256) -> Bool[Tensor, "k"]:
    """Return whether the model gets each image wrong."""
    wrong = [predict(a) != b for a, b in _batches(x, y, batch)]
    return torch.cat(wrong) if wrong else torch.zeros(0, dtype=torch.bool)


def _perturbed(attack: Attack, x: Tensor, y: Tensor, gradient: Gradient) -> Tensor:
    if attack.alpha is None or attack.steps is None:
        return fgsm(x, y, gradient, attack.eps)
    return bim(x, y, gradient, attack.eps, attack.alpha, attack.steps)


def _batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]
