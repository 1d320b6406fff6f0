"""MI-FGSM, the iterative method with momentum.

Dong et al., "Boosting adversarial attacks with momentum", 2018, algorithm 1.

    g_{k+1} = μ g_k + ∇_x CE(z(x_k), y) / || ∇_x CE(z(x_k), y) ||_1
    x_{k+1} = clip(x_k + α sign g_{k+1}, 0, 1),    α = ε / steps

so that no step leaves the ball. The authors' code divides by the mean of |∇| instead of its sum, which moves no sign.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.losses import ce
from oodbench.attacks.norms import NORMS, per_image
from oodbench.attacks.victim import Aim, Draws, Victim


def mim(
    x: Float[Tensor, "n c h w"], aim: Aim, victim: Victim, draws: Draws, /, *, eps: float, steps: int, mu: float
) -> Float[Tensor, "n c h w"]:
    """Return the last of `steps` steps of ε / steps."""
    attacked, g = x, torch.zeros_like(x)
    for _ in range(steps):
        gradient = victim.climb(ce, attacked, aim).gradient
        norm = gradient.flatten(1).abs().sum(1)
        g = mu * g + gradient / per_image(torch.where(norm > 0, norm, torch.ones_like(norm)), x)
        attacked = NORMS["linf"].into(attacked + eps / steps * g.sign(), x, eps)
    return attacked
