"""The seam for attackers who know a detector: every attack that climbs a loss climbs loss + weight * score, too."""

import pytest
import torch
from small_attacks import ALL, attack, fooled
from torch import Tensor, nn

from oodbench.attacks import Aim, Victim
from oodbench.attacks.losses import ce
from oodbench.attacks.norms import l2

Clean = tuple[Tensor, Tensor]


def energy(net: nn.Module):
    """A detector's score, in float64 as scores are."""
    return lambda x: net(x).double().logsumexp(1)


def bright(x: Tensor) -> Tensor:
    """A score that no class decides."""
    return 20 * x.double().flatten(1).mean(1)


def test_the_derivative_is_that_of_the_sum(net: nn.Module, clean: Clean) -> None:
    x, y = clean
    both = Victim(net, energy(net), 0.3).climb(ce, x, Aim(y))
    pixels = x.clone().requires_grad_()
    (
        torch.nn.functional.cross_entropy(net(pixels), y, reduction="sum") + 0.3 * net(pixels).logsumexp(1).sum()
    ).backward()
    assert torch.allclose(both.gradient, pixels.grad, atol=1e-5)
    value, _ = Victim(net, energy(net), 0.3).value(ce, x, Aim(y))
    assert torch.allclose(value, both.value)
    assert torch.allclose(value, ce(net(x), Aim(y)) + 0.3 * net(x).logsumexp(1).double(), atol=1e-5)


@pytest.mark.parametrize("name", ["pgd", "pgd-l2", "apgd-ce", "square", "cw"])
def test_it_raises_the_score_of_what_fools(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean[0][:8], clean[1][:8]
    steps = {"eps": 0.3, "alpha": 0.06} if name != "pgd-l2" else {"eps": 3.0, "alpha": 0.6}
    how = ALL[name] | {key: value for key, value in ({"c": 1.0} | steps).items() if key in ALL[name]}
    weight = 0.3 if name in ("cw", "square", "pgd-l2") else 0.01  # the cross-entropy of what is sure is flat
    known, both = attack(how, net, x, y), attack(how, Victim(net, bright, weight), x, y)
    assert bright(both).mean() > bright(known).mean()
    assert fooled(net, both, y).any()


@pytest.mark.parametrize("name", ["pgd", "apgd-ce", "cw"])
def test_a_weight_of_zero_is_the_attacker_who_knows_of_none(net: nn.Module, clean: Clean, name: str) -> None:
    """But for restarts of what fools already, which a score calls for."""
    x, y = clean[0][:8], clean[1][:8]
    how = ALL[name] | ({"restarts": 1} if "restarts" in ALL[name] else {})
    one, other = attack(how, net, x, y), attack(how, Victim(net, energy(net), 0.0), x, y)
    assert torch.allclose(one, other, atol=1e-6)


def test_a_loss_of_detection_costs_distance(net: nn.Module, clean: Clean) -> None:
    """CW with d * L_detect, the score being -L: the more it weighs, the larger the change, and the less is detected."""
    x, y = clean[0][:4], clean[1][:4]
    usual = energy(net)(x).mean()

    def loss(x: Tensor) -> Tensor:
        return (energy(net)(x) - usual).square()

    found = [attack(ALL["cw"], Victim(net, lambda x: -loss(x), d), x, y) for d in (0.0, 10.0)]
    assert all(fooled(net, z, y).all() for z in found)
    assert loss(found[1]).mean() < loss(found[0]).mean()
    assert l2(found[1] - x).mean() > l2(found[0] - x).mean()


def test_carlini_and_wagner_keep_the_cheapest_of_what_fools(net: nn.Module, clean: Clean) -> None:
    """The nearest was kept, where the descent had just crossed the boundary and the detector still saw everything."""
    x, y = clean[0][:1], clean[1][:1]
    usual, weight = energy(net)(x).mean().detach() - 2, 10.0
    tried: list[tuple[float, float]] = []

    def score(moved: Tensor) -> Tensor:
        loss = (energy(net)(moved) - usual).square()
        if net(moved).argmax(1) != y:
            far = (moved - x).detach().double().square().sum()
            tried.append((float(far + weight * loss.detach().sum()), float(far)))
        return -loss

    kept = attack(ALL["cw"] | {"kappa": 0.0}, Victim(net, score, weight), x, y)
    distance = float((kept - x).double().square().sum())
    cost = distance + weight * float((energy(net)(kept) - usual).square().detach())
    assert cost == pytest.approx(min(tried)[0], rel=1e-4)
    assert distance > 1.01 * min(far for _, far in tried)
