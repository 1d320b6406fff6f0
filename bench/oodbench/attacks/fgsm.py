"""FGSM.

Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial examples", 2015.

    x' = clip(x + ε sign ∇_x CE(z(x), y), 0, 1)
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import ce
from oodbench.attacks.victim import Aim, Draws, Victim


def fgsm(
    x: Float[Tensor, "n c h w"], aim: Aim, victim: Victim, draws: Draws, /, *, eps: float
) -> Float[Tensor, "n c h w"]:
    """Return x' = clip(x + ε sign ∇_x CE(x, y), 0, 1)."""
    return (x + eps * victim.climb(ce, x, aim).gradient.sign()).clamp(0, 1)
