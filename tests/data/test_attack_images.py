"""FGSM and BIM: a naive loop, foolbox, and what is kept of them."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench.data.attack_cards import Attack, find_attack, load_attacks
from oodbench.data.attacks import Crafted, bim, craft, fgsm, fools
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


def gradient_of(net: nn.Module):
    def gradient(x: Tensor, y: Tensor) -> Tensor:
        pixels = x.detach().requires_grad_()
        return torch.autograd.grad(cross_entropy(net(pixels), y, reduction="sum"), pixels)[0]

    return gradient


def predictor(net: nn.Module):
    return lambda x: net(x).argmax(1)


def naive_gradient(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: int) -> np.ndarray:
    """The cross-entropy's gradient of a linear net on standardised pixels, by hand: Wᵀ (softmax(z) - e_y) / std."""
    z = weight @ ((x - MEAN) / STD) + bias
    p = np.exp(z - z.max())
    p /= p.sum()
    p[y] -= 1
    return weight.T @ p / STD


@pytest.mark.parametrize("attack", load_attacks().values(), ids=lambda attack: attack.name)
def test_equal_to_a_naive_loop(attack: Attack) -> None:
    """One image at a time, one pixel at a time, in float64."""
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(5, 12)), rng.normal(size=5)
    linear = nn.Linear(12, 5).double()
    linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    net = nn.Sequential(Standardise(), nn.Flatten(), linear)
    images, labels = rng.uniform(-0.2, 1.2, (8, 3, 2, 2)).clip(0, 1), rng.integers(0, 5, 8)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    if attack.alpha and attack.steps:
        got = bim(x, y, gradient_of(net), attack.eps, attack.alpha, attack.steps)
        step, steps = attack.alpha, attack.steps
    else:
        got = fgsm(x, y, gradient_of(net), attack.eps)
        step, steps = attack.eps, 1
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
    assert torch.allclose(fgsm(x, y, gradient_of(net), 0.05), theirs_fgsm, atol=1e-6)
    assert torch.allclose(bim(x, y, gradient_of(net), 0.05, 0.01, 10), theirs_bim, atol=1e-6)


def test_the_gradient_passes_through_standardisation(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """In pixel units: the net's gradient at standardised input, divided by std; ε is not rescaled by it."""
    inner = net[1:]
    standardised = Standardise()(x)
    through = gradient_of(inner)(standardised, y) / STD
    assert torch.allclose(gradient_of(net)(x, y), through, atol=1e-6)
    assert (fgsm(x, y, gradient_of(net), 0.03) - x).abs().max() == pytest.approx(0.03, abs=1e-6)


@pytest.mark.parametrize("name", ["fgsm-8", "fgsm-26", "bim-8", "bim-13"])
def test_stays_in_the_ball_and_in_the_box(net: nn.Module, x: Tensor, y: Tensor, name: str) -> None:
    attack = find_attack(name)
    crafted = craft(attack, x, y, predictor(net), gradient_of(net))
    moved = crafted.x - x[crafted.index.long()]
    assert moved.abs().max() <= attack.eps + 1e-6
    assert crafted.x.min() >= 0 and crafted.x.max() <= 1
    assert crafted.x.dtype == torch.float32 and crafted.index.dtype == torch.int32


def test_only_what_was_right_is_attacked_and_all_of_it_is_kept(net: nn.Module, x: Tensor, y: Tensor) -> None:
    crafted = craft(find_attack("bim-13"), x, y, predictor(net), gradient_of(net))
    right = (net(x).argmax(1) == y).nonzero()[:, 0]
    assert crafted.index.tolist() == right.tolist() and len(right) == 30
    wrong_after = net(crafted.x).argmax(1) != y[right]
    assert torch.equal(crafted.fooled, wrong_after)
    assert 0 < crafted.success <= 1 and crafted.success == wrong_after.float().mean().item()
    moved = (crafted.x - x[right])[wrong_after].flatten(1)
    assert crafted.linf == pytest.approx(moved.abs().amax(1).mean().item())
    assert crafted.l2 == pytest.approx(moved.norm(dim=1).mean().item())


def test_the_batch_size_does_not_matter(net: nn.Module, x: Tensor, y: Tensor) -> None:
    one, many = (craft(find_attack("bim-13"), x, y, predictor(net), gradient_of(net), size) for size in (7, 40))
    assert torch.allclose(one.x, many.x, atol=1e-6) and torch.equal(one.fooled, many.fooled)


def test_inputs_are_left_alone(net: nn.Module, x: Tensor, y: Tensor) -> None:
    before = x.clone()
    craft(find_attack("bim-13"), x, y, predictor(net), gradient_of(net))
    assert torch.equal(x, before) and not x.requires_grad


def test_the_attack_raises_the_loss(net: nn.Module, x: Tensor, y: Tensor) -> None:
    gradient = gradient_of(net)
    losses = [
        cross_entropy(net(z), y).item() for z in (x, fgsm(x, y, gradient, 0.05), bim(x, y, gradient, 0.05, 0.01, 10))
    ]
    assert losses[0] < losses[1] <= losses[2]


def test_no_gradient_no_change(x: Tensor, y: Tensor) -> None:
    """sign(0) is 0."""
    assert torch.equal(fgsm(x, y, lambda x, y: torch.zeros_like(x), 0.1), x)


def test_rounded_is_what_an_8_bit_file_keeps(x: Tensor) -> None:
    kept = (x * 255).round().to(torch.uint8).float() / 255
    assert np.array_equal(rounded_to_8_bits(x.numpy()), kept.numpy())
    assert abs(rounded_to_8_bits(x.numpy()) - x.numpy()).max() <= 0.5 / 255 + 1e-7


def test_nothing_was_right(net: nn.Module, x: Tensor) -> None:
    y = (net(x).argmax(1) + 1) % 5
    crafted: Crafted = craft(find_attack("fgsm-8"), x, y, predictor(net), gradient_of(net))
    assert crafted.x.shape == (0, 2, 6, 6) and len(crafted.index) == 0
    assert math.isnan(crafted.linf) and math.isnan(crafted.l2) and math.isnan(crafted.success)
    assert len(fools(x[:0], y[:0], predictor(net))) == 0


@pytest.mark.parametrize(
    ("scale", "labels", "message"),
    [(255, 40, r"got pixels from 0 to 255, expected \[0, 1\]"), (1, 39, "got 39 labels for 40 images")],
)
def test_bad_input(net: nn.Module, x: Tensor, y: Tensor, scale: int, labels: int, message: str) -> None:
    with pytest.raises(BadData, match=message):
        craft(find_attack("fgsm-8"), x * scale, y[:labels], predictor(net), gradient_of(net))
