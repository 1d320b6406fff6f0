"""BIM, the basic iterative method.

Kurakin, Goodfellow & Bengio, "Adversarial examples in the physical world", 2017.

    x_0 = x,    x_{k+1} = clip(Π_ε(x_k + α sign ∇_x CE(z(x_k), y)), 0, 1)

Π_ε projects on the l-infinity ball of radius ε around x. The last x_k is the attack. Lee's code (2018) does not
project.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import ce
from oodbench.attacks.victim import Aim, Draws, Victim


def bim(
    x: Float[Tensor, "n c h w"], aim: Aim, victim: Victim, draws: Draws, /, *, eps: float, alpha: float, steps: int
) -> Float[Tensor, "n c h w"]:
    """Return the last of `steps` steps of α, projected."""
    attacked = x
    for _ in range(steps):
        stepped = attacked + alpha * victim.climb(ce, attacked, aim).gradient.sign()
        attacked = torch.clamp(stepped, x - eps, x + eps).clamp(0, 1)
    return attacked
