"""Each kind of attack with a budget for a small picture, as a card would have it."""

from typing import Any

import torch
from torch import Tensor, nn

from oodbench.attacks import KINDS, Aim, Draws, Victim

EPS = 0.08

BOUNDED: dict[str, dict[str, Any]] = {
    "fgsm": {"kind": "fgsm", "eps": EPS},
    "bim": {"kind": "bim", "eps": EPS, "alpha": 0.02, "steps": 8},
    "mim": {"kind": "mim", "eps": EPS, "steps": 8, "mu": 1.0},
    "pgd": {"kind": "pgd", "norm": "linf", "eps": EPS, "alpha": 0.02, "steps": 8, "restarts": 2, "loss": "ce"},
    "pgd-l2": {"kind": "pgd", "norm": "l2", "eps": 0.7, "alpha": 0.2, "steps": 8, "restarts": 2, "loss": "margin"},
    "apgd-ce": {"kind": "apgd", "norm": "linf", "eps": EPS, "steps": 15, "restarts": 1, "loss": "ce"},
    "apgd-dlr": {"kind": "apgd", "norm": "linf", "eps": EPS, "steps": 15, "restarts": 2, "loss": "dlr"},
    "apgd-t": {"kind": "apgd", "norm": "linf", "eps": EPS, "steps": 10, "restarts": 1, "loss": "dlr", "targets": 4},
    "apgd-l2": {"kind": "apgd", "norm": "l2", "eps": 0.7, "steps": 15, "restarts": 1, "loss": "ce"},
    "square": {"kind": "square", "eps": 0.2, "steps": 60, "p_init": 0.8},
}
FAB = {"steps": 10, "restarts": 1, "targets": 4, "alpha_max": 0.1, "eta": 1.05, "beta": 0.9}
SMALLEST: dict[str, dict[str, Any]] = {
    "deepfool": {"kind": "deepfool", "norm": "l2", "steps": 20, "overshoot": 0.02, "candidates": 10},
    "deepfool-linf": {"kind": "deepfool", "norm": "linf", "steps": 20, "overshoot": 0.02, "candidates": 10},
    "cw": {"kind": "cw", "kappa": 0.01, "steps": 25, "lr": 0.05, "searches": 4, "c": 0.1},
    "cw-inf": {"kind": "cw", "kappa": float("inf"), "steps": 25, "lr": 0.05, "searches": 3, "c": 0.1},
    "fab": {"kind": "fab", "norm": "linf", "eps": EPS, **FAB},
    "fab-l2": {"kind": "fab", "norm": "l2", "eps": 0.8, **FAB, "targets": 0},
}
ALL = BOUNDED | SMALLEST


def attack(how: dict[str, Any], net: nn.Module | Victim, x: Tensor, y: Tensor, t: Tensor | None = None, **other: Any):
    """Return attacked images; `seed` and `rows` are those of the draws."""
    seed, rows = other.pop("seed", 0), other.pop("rows", tuple(range(len(x))))
    given = {name: value for name, value in (how | other).items() if name != "kind"}
    victim = net if isinstance(net, Victim) else Victim(net)
    return KINDS[how["kind"]](x, Aim(y, t), victim, Draws(seed, rows), **given)


def fooled(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x).argmax(1) != y
