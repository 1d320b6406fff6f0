"""FAB, the fast adaptive boundary attack.

Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack", 2020, algorithm 1. With
π the plane on which the linear view of z_l - z_y at x_k is zero, for the l whose plane is nearest:

    d = proj_π(x_k) - x_k,  d_0 = proj_π(x) - x                  within the box [0, 1]
    α = min(||d|| / (||d|| + ||d_0||), α_max)
    x_{k+1} = clip((1 - α)(x_k + η d) + α (x + η d_0), 0, 1)

and where x_{k+1} is no longer of class y it is kept if it is the nearest so far, and the search goes on from

    x_{k+1} <- (1 - β) x + β x_{k+1}.

With `targets` it is FAB-T, as AutoAttack has it: a search towards each of the likeliest other classes, whose plane
alone is looked at; a step then takes one derivative, not one for each class. The first search starts at x, a restart
on the surface of a ball around x of half the distance found, or of eps / 2. What is found farther than eps from x
does not count: an image without anything nearer stays as it was. The authors' last search along a line is left out,
as it is in AutoAttack.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.norms import NORMS, per_image
from oodbench.attacks.planes import DUAL, mixed, only_the_model, onto, towards
from oodbench.attacks.targets import likeliest
from oodbench.attacks.victim import Aim, Draws, Victim

TINY = 1e-12


def fab(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    norm: str,
    eps: float,
    steps: int,
    restarts: int,
    targets: int,
    alpha_max: float,
    eta: float,
    beta: float,
) -> Float[Tensor, "n c h w"]:
    """Return the nearest points of another class within eps; an image without one stays as it was.

    Raises:
        BadSetting: The victim has a score.
    """
    only_the_model(victim, "fab")
    length = NORMS[norm].length
    best, distance = x.clone(), torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    others = torch.stack(likeliest(x, aim, victim, targets or ALL), dim=1)
    for restart in range(restarts):
        for goal, classes in enumerate(torch.split(others, 1, dim=1) if targets else (others,)):
            at = x
            if restart:
                half = distance.clamp(max=eps) / 2
                start = NORMS[norm].surface(draws, f"restart {restart} to {goal}", x)
                at = (x + per_image(half, x) * start).clamp(0, 1)
            for _ in range(steps):
                at = _step(x, at, aim, classes, victim, norm, alpha_max, eta)
                with torch.no_grad():
                    crossed = aim.reached(victim.logits(at))
                nearer = crossed & (length(at - x) < distance)
                best[nearer] = at[nearer]
                distance = torch.where(nearer, length(at - x), distance)
                at = torch.where(per_image(crossed, x) > 0, mixed(x, at, torch.full_like(distance, beta)), at)
    return torch.where(per_image(distance <= eps, x) > 0, best, x)


ALL = 1_000_000
"""More classes than there are."""


def _step(
    x: Tensor, at: Tensor, aim: Aim, classes: Tensor, victim: Victim, norm: str, alpha_max: float, eta: float
) -> Tensor:
    length = NORMS[norm].length
    f, w, _ = towards(at, aim.y, classes, victim)
    lengths = DUAL[norm](w.flatten(0, 1)).reshape(f.shape)
    place = (f.abs() / (lengths + TINY)).argmin(1)
    each = torch.arange(len(x), device=x.device)
    f, w = f[each, place], w[each, place]
    d = onto(at, w, f, norm)
    at_x = f + (w * (x - at)).flatten(1).sum(1)  # the linear view, at x
    d_0 = onto(x, w, at_x, norm)
    near, far = length(d), length(d_0)
    alpha = (near / (near + far).clamp(min=TINY)).clamp(max=alpha_max)
    return mixed(at + eta * d, x + eta * d_0, alpha).clamp(0, 1)
