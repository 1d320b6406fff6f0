"""Linear views of a classifier, and projections on a plane within the box [0, 1]: what DeepFool and FAB share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.attacks.norms import l2, per_image
from oodbench.attacks.victim import Victim, defined
from oodbench.errors import BadSetting


def only_the_model(victim: Victim, attack: str) -> None:
    """Refuse a victim with a score.

    Raises:
        BadSetting: It has one: a smallest change across the classifier's boundary leaves nothing to a detector.
    """
    if victim.adaptive:
        raise BadSetting(f"{attack} got a detector's score, and can use none; attack it by pgd, apgd, cw or square")


def towards(
    x: Float[Tensor, "n c h w"], y: Int[Tensor, "n"], classes: Int[Tensor, "n k"], victim: Victim
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k c h w"], Float[Tensor, "n C"]]:
    """Return z_l - z_y and its derivative by the pixels for each of k classes l, and the logits."""
    with torch.enable_grad():
        pixels = x.detach().requires_grad_()
        z = victim.logits(pixels)
        over = z.gather(1, classes) - z.gather(1, y[:, None])
        slopes = [
            torch.autograd.grad(over[:, place].sum(), pixels, retain_graph=place < classes.shape[1] - 1)[0]
            for place in range(classes.shape[1])
        ]
    return over.detach(), defined(torch.stack(slopes, dim=1)), z.detach()


DUAL: Mapping[str, Callable[[Tensor], Tensor]] = {"linf": lambda w: w.flatten(1).abs().sum(1), "l2": l2}
"""The norm of a plane's normal w by which |f| / ||w|| is the distance from it."""

SPEED: Mapping[str, Callable[[Tensor], Tensor]] = {"linf": torch.ones_like, "l2": lambda w: w}
"""|w| -> how fast each value moves as the nearest point of a plane moves off."""


def onto(
    x: Float[Tensor, "n c h w"], w: Float[Tensor, "n c h w"], f: Float[Tensor, "n"], norm: str
) -> Float[Tensor, "n c h w"]:
    """Return the least change δ with f + <w, δ> = 0 and x + δ in [0, 1]; that of least |f + <w, δ>| if there is none.

    Value i moves by min(t v_i, r_i) against the sign of f w_i: r_i is its room in the box, v_i is 1 (l-infinity) or
    |w_i| (l2), and t solves sum_i |w_i| min(t v_i, r_i) = |f|, which is linear between the t_i = r_i / v_i (Croce &
    Hein 2020, FAB, section 2.2).
    """
    way = -w.flatten(1).sign() * f.sign()[:, None].to(x.dtype)
    size, flat = w.flatten(1).abs(), x.flatten(1)
    room = torch.where(way > 0, 1 - flat, torch.where(way < 0, flat, torch.zeros_like(flat)))
    speed = SPEED[norm](size)
    until = torch.where(speed > 0, room / speed.clamp(min=torch.finfo(x.dtype).tiny), torch.zeros_like(room))
    order = until.argsort(dim=1, stable=True)
    until_, full, slope = (part.gather(1, order) for part in (until, size * room, size * speed))
    done = full.cumsum(1) - full  # by values whose room ends before t_k
    rate = slope.flip(1).cumsum(1).flip(1)  # of those that still move
    reached = done + until_ * rate  # sum_i |w_i| min(t_k v_i, r_i)
    need = f.abs()[:, None].to(x.dtype)
    k = (reached < need).sum(1, keepdim=True).clamp(max=reached.shape[1] - 1)
    t = ((need - done.gather(1, k)) / rate.gather(1, k).clamp(min=torch.finfo(x.dtype).tiny)).clamp(min=0)
    moved = torch.minimum(t * speed, room)
    moved = torch.where(speed > 0, moved, torch.zeros_like(room))  # t may be infinite where nothing has a slope
    return (way * moved).reshape(x.shape)


def mixed(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Return (1 - share) a + share b, a share an image [n]."""
    return a + per_image(share, a) * (b - a)
