"""Attacks on a classifier, a file each: images in [0, 1] -> attacked images in [0, 1].

An attack is a function (x, aim, victim, draws, **parameters) -> x'. `victim` is the model in pixel space, with
whatever preprocessing it has inside, so that ε and α are in pixel units; `aim` is what is wanted of each image;
`draws` are random numbers that every image has for itself, so that an image's attack depends neither on its batch nor
on anything drawn before. An attack changes no weight, no statistic and no mode of the model.

Entry points for attackers who know a detector: `Victim(logits, score, weight)` (see `oodbench.attacks.victim`),
handed to any of `KINDS` that climbs a loss: "fgsm", "bim", "mim", "pgd", "apgd", "cw", "square".
`oodbench.attacks.adaptive` makes one of a fitted detector.

Why own code and no library: foolbox, torchattacks and AutoAttack draw from torch's global generator, for a batch at a
time (the same image gets another attack in another batch), take no second differentiable score, and stop or restart
by batch. torchattacks' wheel would overwrite an installed `robustbench`, AutoAttack's is no part of its authors'
releases. So they are what the tests hold these functions against, on the same network, and no dependency:
`tests/attacks/test_oracles.py`.

Example:
    >>> draws = Draws(seed=0, rows=tuple(range(len(x))))
    >>> how = {"norm": "linf", "eps": 8 / 255, "alpha": 2 / 255, "steps": 20, "restarts": 1, "loss": "ce"}
    >>> KINDS["pgd"](x, Aim(y), Victim(net), draws, **how)
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from oodbench.attacks.apgd import apgd
from oodbench.attacks.bim import bim
from oodbench.attacks.cw import cw
from oodbench.attacks.deepfool import deepfool
from oodbench.attacks.fab import fab
from oodbench.attacks.fgsm import fgsm
from oodbench.attacks.mim import mim
from oodbench.attacks.pgd import pgd
from oodbench.attacks.square import square
from oodbench.attacks.victim import Aim, Draws, Victim

__all__ = ["KINDS", "Aim", "Draws", "Victim"]

KINDS: Mapping[str, Callable[..., Tensor]] = {
    "fgsm": fgsm,
    "bim": bim,
    "mim": mim,
    "pgd": pgd,
    "apgd": apgd,
    "deepfool": deepfool,
    "cw": cw,
    "fab": fab,
    "square": square,
}
"""Attacks by the `kind` of their cards; the parameters are a card's own fields."""
