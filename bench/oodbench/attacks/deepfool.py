"""DeepFool.

Moosavi-Dezfooli, Fawzi & Frossard, "DeepFool: a simple and accurate method to fool deep neural networks", 2016,
algorithm 2. While the class is still y, with f_l = z_l - z_y and w_l its derivative at x_k:

    l = argmin_l d_l,    d_l = |f_l| / || w_l ||_2,    r <- r + (d_l + 1e-4) w_l / || w_l ||_2      in l2
                         d_l = |f_l| / || w_l ||_1,    r <- r + (d_l + 1e-4) sign w_l               in l-infinity
    x_{k+1} = clip(x + (1 + η) r, 0, 1)

The 1e-4 is of the authors' code, not of the paper: without it steps become too short for float32 just before the
boundary.

Only the `candidates` likeliest classes of the clean image are looked at, as in the authors' code (10). That code does
not cut to the box. An image that is still of class y after the last step is no success.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.norms import NORMS, per_image
from oodbench.attacks.planes import DUAL, only_the_model, towards
from oodbench.attacks.targets import likeliest
from oodbench.attacks.victim import Aim, Draws, Victim


def deepfool(
    x: Float[Tensor, "n c h w"],
    aim: Aim,
    victim: Victim,
    draws: Draws,
    /,
    *,
    norm: str,
    steps: int,
    overshoot: float,
    candidates: int,
) -> Float[Tensor, "n c h w"]:
    """Return the first points of another class; the last ones where there is none.

    Raises:
        BadSetting: The victim has a score.
    """
    only_the_model(victim, "deepfool")
    classes = torch.stack(likeliest(x, aim, victim, candidates - 1), dim=1)
    attacked, r = x.clone(), torch.zeros_like(x)
    rows = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        f, w, z = towards(attacked[rows], aim.y[rows], classes[rows], victim)
        still = z.argmax(1) == aim.y[rows]
        rows, f, w = rows[still], f[still], w[still]
        if not len(rows):
            break
        lengths = DUAL[norm](w.flatten(0, 1)).reshape(f.shape)
        distance = torch.where(lengths > 0, f.abs() / lengths.clamp(min=TINY), torch.inf)
        least, place = distance.min(1)
        nearest = w[torch.arange(len(rows), device=x.device), place]
        least = torch.where(least < torch.inf, least + BEYOND, 0)  # no slope: it stays
        r[rows] = r[rows] + per_image(least, x) * NORMS[norm].ascent(nearest)
        attacked[rows] = (x[rows] + (1 + overshoot) * r[rows]).clamp(0, 1)
    return attacked


BEYOND = 1e-4
"""How far beyond a plane a step leads, in pixel units."""

TINY = 1e-30
"""Keeps a division by zero out of a branch that is not taken."""
