"""FGSM and BIM against a naive loop and foolbox, and what a card makes of images."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.attacks import KINDS, Aim, Draws, Victim
from oodbench.attacks.losses import ce
from oodbench.data.attack_cards import Attack, find_attack, load_attacks
from oodbench.data.attacks import craft
from oodbench.data.changed import rounded_to_8_bits
from oodbench.errors import BadData

MEAN, STD = 0.4, 0.2


class Standardise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - MEAN) / STD


@pytest.fixture
def net() -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    conv, head = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4 * 36, 5)
    for parameter in (*conv.parameters(), *head.parameters()):
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return nn.Sequential(Standardise(), conv, nn.Tanh(), nn.Flatten(), head).eval()


@pytest.fixture
def x() -> Tensor:
    """Images that reach both ends of the box."""
    return (torch.rand(40, 2, 6, 6, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2).clamp(0, 1)


@pytest.fixture
def y(net: nn.Module, x: Tensor) -> Tensor:
    """What the net says, but for every fourth image."""
    said = net(x).argmax(1)
    said[::4] = (said[::4] + 1) % 5
    return said


def fgsm(x: Tensor, y: Tensor, net, eps: float) -> Tensor:
    return KINDS["fgsm"](x, Aim(y), Victim(net), Draws(0, ()), eps=eps)


def bim(x: Tensor, y: Tensor, net, eps: float, alpha: float, steps: int) -> Tensor:
    return KINDS["bim"](x, Aim(y), Victim(net), Draws(0, ()), eps=eps, alpha=alpha, steps=steps)


def naive_gradient(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: int) -> np.ndarray:
    """The cross-entropy's gradient of a linear net on standardised pixels, by hand: Wᵀ (softmax(z) - e_y) / std."""
    z = weight @ ((x - MEAN) / STD) + bias
    p = np.exp(z - z.max())
    p /= p.sum()
    p[y] -= 1
    return weight.T @ p / STD


SIGNS = [card for card in load_attacks().values() if card.kind in ("fgsm", "bim")]


@pytest.mark.parametrize("attack", SIGNS, ids=lambda attack: attack.name)
def test_equal_to_a_naive_loop(attack: Attack) -> None:
    """One image at a time, one pixel at a time, in float64."""
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(5, 12)), rng.normal(size=5)
    linear = nn.Linear(12, 5).double()
    linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    net = nn.Sequential(Standardise(), nn.Flatten(), linear)
    images, labels = rng.uniform(-0.2, 1.2, (8, 3, 2, 2)).clip(0, 1), rng.integers(0, 5, 8)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    got = craft(attack, x, y, Victim(net), tuple(range(8)))
    step, steps = (attack.alpha, attack.steps) if attack.kind == "bim" else (attack.eps, 1)
    for row in range(8):
        clean = images[row].ravel()
        moved = clean.copy()
        for _ in range(steps):
            slope = naive_gradient(weight, bias, moved, labels[row])
            for i in range(12):
                moved[i] += step * (1 if slope[i] > 0 else -1 if slope[i] < 0 else 0)
                moved[i] = min(max(moved[i], clean[i] - attack.eps), clean[i] + attack.eps)
                moved[i] = min(max(moved[i], 0), 1)
        assert np.abs(got[row].numpy().ravel() - moved).max() < 1e-12


def test_equal_to_foolbox(net: nn.Module, x: Tensor, y: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox")
        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        theirs_fgsm = foolbox.attacks.FGSM()(model, x, y, epsilons=0.05)[1]
        basic = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.01, steps=10, random_start=False)
        theirs_bim = basic(model, x, y, epsilons=0.05)[1]
    assert torch.allclose(fgsm(x, y, net, 0.05), theirs_fgsm, atol=1e-6)
    assert torch.allclose(bim(x, y, net, 0.05, 0.01, 10), theirs_bim, atol=1e-6)


def test_the_gradient_passes_through_standardisation(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """In pixel units: the net's gradient at standardised input, divided by std; ε is not rescaled by it."""
    standardised = Standardise()(x).requires_grad_()
    cross_entropy(net[1:](standardised), y, reduction="sum").backward()
    slope = Victim(net).climb(ce, x, Aim(y))
    assert torch.allclose(slope.gradient, standardised.grad / STD, atol=1e-6)
    assert torch.allclose(slope.value, cross_entropy(net(x), y, reduction="none"))
    assert (fgsm(x, y, net, 0.03) - x).abs().max() == pytest.approx(0.03, abs=1e-6)


def test_the_first_bytes_are_as_they_were(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """What records and caches were made with: the gradient of the summed cross-entropy, in one expression."""

    def gradient(x: Tensor) -> Tensor:
        pixels = x.detach().requires_grad_()
        return torch.autograd.grad(cross_entropy(net(pixels), y, reduction="sum"), pixels)[0]

    rows = tuple(range(len(x)))
    assert torch.equal(
        craft(find_attack("fgsm-8"), x, y, Victim(net), rows), (x + 8 / 255 * gradient(x).sign()).clamp(0, 1)
    )
    attacked = x
    for _ in range(10):
        attacked = torch.clamp(attacked + 0.01 * gradient(attacked).sign(), x - 0.05, x + 0.05).clamp(0, 1)
    assert torch.equal(craft(find_attack("bim-13"), x, y, Victim(net), rows), attacked)


def test_the_attack_raises_the_loss(net: nn.Module, x: Tensor, y: Tensor) -> None:
    losses = [cross_entropy(net(z), y).item() for z in (x, fgsm(x, y, net, 0.05), bim(x, y, net, 0.05, 0.01, 10))]
    assert losses[0] < losses[1] <= losses[2]


def test_rounded_is_what_an_8_bit_file_keeps(x: Tensor) -> None:
    kept = (x * 255).round().to(torch.uint8).float() / 255
    assert np.array_equal(rounded_to_8_bits(x.numpy()), kept.numpy())
    assert abs(rounded_to_8_bits(x.numpy()) - x.numpy()).max() <= 0.5 / 255 + 1e-7


def test_a_derivative_that_is_nan_is_told(x: Tensor, y: Tensor) -> None:
    def broken(x: Tensor) -> Tensor:
        rows = x.flatten(1)[:, :5]
        return rows / (rows - rows)

    with pytest.raises(BadData, match="attack fgsm-8: the model's derivatives by the pixels are NaN for 3 of 3 images"):
        craft(find_attack("fgsm-8"), x[:3], y[:3], Victim(broken), (4, 5, 9))


@pytest.mark.parametrize(
    ("scale", "labels", "message"),
    [(255, 40, r"got pixels from 0 to 255, expected \[0, 1\]"), (1, 39, "got 39 labels for 40 images")],
)
def test_bad_input(net: nn.Module, x: Tensor, y: Tensor, scale: int, labels: int, message: str) -> None:
    with pytest.raises(BadData, match=message):
        craft(find_attack("fgsm-8"), x * scale, y[:labels], Victim(net), tuple(range(40)))
