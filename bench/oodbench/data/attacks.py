"""From an attack's card and a model to attacked images."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.attacks import KINDS, Aim, Draws, Victim
from oodbench.attacks.targets import TARGETS
from oodbench.data.attack_cards import Attack
from oodbench.errors import BadData


def craft(
    attack: Attack, x: Float[Tensor, "n c h w"], y: Int[Tensor, "_"], victim: Victim, rows: tuple[int, ...]
) -> Float[Tensor, "n c h w"]:
    """Return the attacked versions of images, all at once: in [0, 1], not rounded.

    Args:
        attack: Its card.
        x: Images in [0, 1].
        y: Their classes.
        victim: The model under attack.
        rows: The images' places in their data set; their random numbers depend on these, and on the card's seed.

    Raises:
        BadData: Pixels outside [0, 1], another number of labels than of images, derivatives that are NaN, or too few
            classes for the attack.
    """
    if len(x) != len(y):
        raise BadData(f"attack {attack.name}: got {len(y)} labels for {len(x)} images.")
    low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    if low < 0 or high > 1:
        raise BadData(f"attack {attack.name}: got pixels from {low:g} to {high:g}, expected [0, 1].")
    if not len(x):
        return x
    draws = Draws(attack.seed, rows)
    aim = _aim(attack, x, y, victim, draws)
    try:
        attacked: Tensor = KINDS[attack.kind](x, aim, victim, draws, **attack.parameters())
    except BadData as error:
        raise BadData(f"attack {attack.name}: {error}") from error
    return attacked


def _aim(attack: Attack, x: Tensor, y: Tensor, victim: Victim, draws: Draws) -> Aim:
    if attack.target == "none":
        return Aim(y)
    with torch.no_grad():
        return Aim(y, TARGETS[attack.target](victim.logits(x), y, draws))
