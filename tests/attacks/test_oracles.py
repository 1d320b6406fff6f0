"""Attacks held against libraries on the same network: foolbox, torchattacks, AutoAttack; each where it is installed.

Attacks that draw are held to the libraries' robust accuracy and mean change within noise, the others to their pixels.
"""

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from small_attacks import attack, fooled
from torch import Tensor, nn

from oodbench.attacks.norms import l2, linf

Clean = tuple[Tensor, Tensor]
EPS = 0.08


@pytest.fixture
def quiet() -> Iterator[None]:
    """A library's warnings and prints are its own; what it draws is seeded."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  the libraries draw from it
        random.seed(0)
        yield


@pytest.fixture
def foolbox(quiet: None) -> ModuleType:
    return pytest.importorskip("foolbox", reason="foolbox is not installed")


@pytest.fixture
def torchattacks(quiet: None) -> ModuleType:
    return pytest.importorskip("torchattacks", reason="torchattacks is not installed")


@pytest.fixture
def autoattack(quiet: None) -> ModuleType:
    return pytest.importorskip("pyautoattack", reason="pyautoattack is not installed")


def shares(net: nn.Module, y: Tensor, *attacked: Tensor) -> list[float]:
    return [fooled(net, one, y).float().mean().item() for one in attacked]


def changes(net: nn.Module, clean: Clean, length: Any, *attacked: Tensor) -> list[float]:
    x, y = clean
    return [length(one - x)[fooled(net, one, y)].mean().item() for one in attacked]


def test_mim_is_that_of_foolbox_and_torchattacks(net: nn.Module, clean: Clean, torchattacks: ModuleType) -> None:
    x, y = clean
    ours = attack({"kind": "mim", "eps": EPS, "steps": 10, "mu": 1.0}, net, x, y)
    theirs = torchattacks.MIFGSM(net, eps=EPS, alpha=EPS / 10, steps=10, decay=1.0)(x, y)
    assert (ours - theirs).abs().flatten(1).amax(1).median() < 1e-5
    assert shares(net, y, ours) == shares(net, y, theirs)


@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 0.7)])
def test_pgd_is_as_strong_as_foolboxs(net: nn.Module, clean: Clean, foolbox: ModuleType, norm: str, eps: float) -> None:
    x, y = clean
    kind = foolbox.attacks.LinfPGD if norm == "linf" else foolbox.attacks.L2PGD
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    theirs = kind(abs_stepsize=eps / 4, steps=20, random_start=True)(model, x, y, epsilons=eps)[1]
    how = {"kind": "pgd", "norm": norm, "eps": eps, "alpha": eps / 4, "steps": 20, "restarts": 1, "loss": "ce"}
    a, b = shares(net, y, attack(how, net, x, y), theirs)
    assert 0.1 < a < 0.9 and abs(a - b) <= 2 / len(x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_is_foolboxs(net: nn.Module, clean: Clean, foolbox: ModuleType, norm: str) -> None:
    x, y = clean
    kind = foolbox.attacks.LinfDeepFoolAttack if norm == "linf" else foolbox.attacks.L2DeepFoolAttack
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    theirs = kind(steps=20, candidates=10, overshoot=0.02)(model, x, y, epsilons=None)[0]
    how = {"kind": "deepfool", "norm": norm, "steps": 20, "overshoot": 0.02, "candidates": 10}
    ours = attack(how, net, x, y)
    assert (ours - theirs).abs().flatten(1).amax(1).median() < 1e-5
    assert shares(net, y, ours) == shares(net, y, theirs) == [1.0]


@pytest.mark.parametrize("targeted", [False, True])
def test_cw_finds_what_foolboxs_finds(net: nn.Module, clean: Clean, foolbox: ModuleType, targeted: bool) -> None:
    """Theirs stops when a batch does not gain, ours when an image does not."""
    x, y = clean[0][:6], clean[1][:6]
    t = (y + 1) % 5 if targeted else None
    budget = {"steps": 60, "binary_search_steps": 5, "stepsize": 0.05, "confidence": 0.2, "initial_const": 0.1}
    criterion = foolbox.criteria.TargetedMisclassification(t) if targeted else y
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    theirs = foolbox.attacks.L2CarliniWagnerAttack(**budget)(model, x, criterion, epsilons=None)[0]
    how = {"kind": "cw", "kappa": 0.2, "steps": 60, "lr": 0.05, "searches": 5, "c": 0.1}
    ours = attack(how, net, x, y, t)
    assert shares(net, y, ours, theirs) == [1.0, 1.0]
    assert (l2(ours - x) / l2(theirs - x) - 1).abs().median() < 0.02
    assert targeted is False or (net(ours).argmax(1) == t).all()


@pytest.mark.parametrize("loss", ["ce", "dlr", "dlr-targeted"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 0.7)])
def test_apgd_is_as_strong_as_the_authors(
    net: nn.Module, clean: Clean, autoattack: ModuleType, norm: str, eps: float, loss: str
) -> None:
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

    x, y = clean
    name, targets = loss.removesuffix("-targeted"), 4 if "targeted" in loss else 0
    given = {"norm": {"linf": "Linf", "l2": "L2"}[norm], "eps": eps, "n_iter": 25, "n_restarts": 1, "device": "cpu"}
    if targets:
        theirs = APGDAttack_targeted(net, **given, n_target_classes=4, seed=0, verbose=False)
    else:
        theirs = APGDAttack(net, **given, loss=name, seed=0, verbose=False)
    how = {"kind": "apgd", "norm": norm, "eps": eps, "steps": 25, "restarts": 1, "loss": name, "targets": targets}
    a, b = shares(net, y, attack(how, net, x, y), theirs.perturb(x, y))
    assert 0.1 < a < 0.9 and abs(a - b) <= 2 / len(x)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.2), ("l2", 2.0)])
@pytest.mark.parametrize("targets", [0, 4])
def test_fab_finds_what_the_authors_finds(
    net: nn.Module, clean: Clean, autoattack: ModuleType, norm: str, eps: float, targets: int
) -> None:
    from pyautoattack.fab_pt import FABAttack_PT

    x, y = clean[0][:16], clean[1][:16]
    theirs = FABAttack_PT(
        net, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, n_iter=20, n_restarts=1, targeted=bool(targets),
        n_target_classes=4, device="cpu", seed=0, verbose=False,
    )  # fmt: skip
    budget = {"steps": 20, "restarts": 1, "alpha_max": 0.1, "eta": 1.05, "beta": 0.9}
    ours = attack({"kind": "fab", "norm": norm, "eps": eps, "targets": targets, **budget}, net, x, y)
    found = theirs.perturb(x, y)
    assert shares(net, y, ours, found) == [1.0, 1.0]
    length = linf if norm == "linf" else l2
    assert (length(ours - x) / length(found - x) - 1).abs().median() < 0.02


def test_square_is_as_strong_as_the_authors(net: nn.Module, clean: Clean, autoattack: ModuleType) -> None:
    from pyautoattack.square import SquareAttack

    x, y = clean
    theirs = SquareAttack(
        net, p_init=0.8, n_queries=100, eps=0.15, norm="Linf", n_restarts=1, seed=0, device="cpu", verbose=False
    )
    ours = attack({"kind": "square", "eps": 0.15, "steps": 100, "p_init": 0.8}, net, x, y)
    a, b = shares(net, y, ours, theirs.perturb(x, y))
    assert 0.1 < a < 0.95 and abs(a - b) <= 0.15
