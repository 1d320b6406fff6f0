"""Attackers who know a fitted detector: against exhaustive search, against the attack of the same budget without it."""

import math

import pytest
import torch
from small_attacks import ALL, attack, fooled
from torch import Tensor, nn

from oodbench.attacks import Aim, Victim
from oodbench.attacks.adaptive import Clean, knowing, slope, trusted, typical
from oodbench.attacks.losses import ce
from oodbench.errors import BadData
from oodbench.measure.ranking import ranking

Images = tuple[Tensor, Tensor]
EPS = 0.3


def linear(x: Tensor) -> Tensor:
    """Logits of an image of two pixels: class 0 where the first is brighter."""
    return 3 * x.flatten(1)


def along(v: tuple[float, float]):
    """A detector's score, linear in the pixels, in a unit of its own."""
    return lambda x: 40 * (x.flatten(1).double() @ torch.tensor(v, dtype=torch.float64)) + 7


def energy(net: nn.Module):
    return lambda x: net(x).double().logsumexp(1)


def near_the_middle(x: Tensor) -> Tensor:
    return -(x.double() - 0.5).flatten(1).square().sum(1)


def against(net, score, x: Tensor, weight: float) -> Victim:
    return knowing(Victim(net), score, Clean.of(score(x).detach()), "score", weight)


@pytest.mark.parametrize(
    ("name", "v"),
    [
        ("pgd-l2", (0.5, -2.0)),  # the score leads back across the boundary: the best point lies on it
        ("pgd-l2", (-0.3, 0.1)),
        ("apgd-l2", (0.5, -2.0)),
        ("pgd", (-0.5, 1.0)),  # a corner; signs alone cannot go along a boundary
        ("apgd-ce", (-0.5, 1.0)),
    ],
)
def test_it_finds_what_an_exhaustive_search_finds(name: str, v: tuple[float, float]) -> None:
    """Of all points of the ball that fool a linear model, the one of the highest linear score."""
    x = torch.tensor([[0.5, 0.45], [0.4, 0.3], [0.72, 0.5], [0.55, 0.54]]).reshape(4, 1, 1, 2)
    y = torch.zeros(4, dtype=torch.long)
    how = ALL[name] | {"eps": EPS, "steps": 300, "restarts": 2, "loss": "ce"}
    how |= {"alpha": 0.005} if how["kind"] == "pgd" else {}
    victim = knowing(Victim(linear), along(v), Clean(7.0, 40.0, -2.0, 2.0), "score", 10.0)
    found = attack(how, victim, x, y)
    assert fooled(linear, found, y).all()
    line = torch.linspace(-EPS, EPS, 201)
    moves = torch.cartesian_prod(line, line)
    moves = moves[moves.norm(dim=1) <= EPS] if how["norm"] == "l2" else moves
    for row in range(4):
        points = (x[row].reshape(1, 2) + moves).clamp(0, 1).reshape(-1, 1, 1, 2)
        best = along(v)(points[linear(points).argmax(1) != 0]).max()
        assert best - 40 * 0.015 <= along(v)(found[row : row + 1]) <= best + 40 * 0.01


@pytest.mark.parametrize("detector", [energy, lambda net: near_the_middle], ids=["energy", "middle"])
@pytest.mark.parametrize("name", ["pgd", "pgd-l2", "apgd-ce"])
def test_it_lowers_the_auroc_at_least_as_much(net: nn.Module, clean: Images, name: str, detector) -> None:
    """As the attack of the same budget, from the same starts, that does not know the detector."""
    (x, y), score = clean, detector(net)
    how = ALL[name] | ({"eps": 1.5} if name == "pgd-l2" else {"eps": 0.2}) | {"restarts": 1}
    plain, adaptive = attack(how, net, x, y), attack(how, against(net, score, x, 1.0), x, y)
    found = []
    for attacked in (plain, adaptive):
        bad = score(attacked[fooled(net, attacked, y)]).detach()
        assert len(bad) >= 10
        found.append(ranking(score(x).detach().numpy(), bad.numpy())["auroc"])
    assert found[1] <= found[0]
    both = fooled(net, plain, y) & fooled(net, adaptive, y)
    assert score(adaptive[both]).mean() >= score(plain[both]).mean()


@pytest.mark.parametrize("name", ["pgd", "apgd-ce"])
def test_it_fools_as_many(net: nn.Module, clean: Images, name: str) -> None:
    """A score that trusts the right class leads no image back: it counts where the model is fooled."""
    x, y = clean
    how = ALL[name] | {"eps": 0.2, "restarts": 1}
    plain, adaptive = attack(how, net, x, y), attack(how, against(net, energy(net), x, 10.0), x, y)
    assert fooled(net, adaptive, y).sum() >= fooled(net, plain, y).sum()


@pytest.mark.parametrize("name", [one for one in ALL if not one.startswith(("fab", "deepfool"))])
def test_a_weight_of_zero_gives_the_bytes_of_the_attack(net: nn.Module, clean: Images, name: str) -> None:
    x, y = clean[0][:6], clean[1][:6]
    assert torch.equal(attack(ALL[name], against(net, energy(net), x, 0.0), x, y), attack(ALL[name], net, x, y))


def test_the_same_seed_gives_the_same_bits(net: nn.Module, clean: Images) -> None:
    x, y = clean[0][:6], clean[1][:6]
    first, again, other = (attack(ALL["pgd"], against(net, energy(net), x, 1.0), x, y, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("detection", ["score", "typicality"])
def test_the_unit_of_a_score_changes_nothing(net: nn.Module, clean: Images, detection: str) -> None:
    x, y = clean[0][:8], clean[1][:8]
    made = []
    for unit, zero in ((1.0, 0.0), (1024.0, -4096.0)):

        def score(x: Tensor, unit: float = unit, zero: float = zero) -> Tensor:
            return unit * energy(net)(x) + zero

        victim = knowing(Victim(net), score, Clean.of(score(x).detach()), detection, 2.0)
        made.append(attack(ALL["pgd"] | {"eps": 0.2}, victim, x, y))
    assert torch.allclose(*made, atol=1e-6)


def test_clean_scores_and_both_detections_by_hand() -> None:
    s = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0, -3.0, 5.0]
    clean = Clean.of(torch.tensor(s))
    mean = sum(s) / 10
    std = math.sqrt(sum((one - mean) ** 2 for one in s) / 10)
    standard = [(one - mean) / std for one in s]
    ordered = sorted(standard)
    assert clean.mean == pytest.approx(mean)
    assert clean.std == pytest.approx(std)
    assert clean.low == pytest.approx(ordered[0] + 0.225 * (ordered[1] - ordered[0]))  # 0.025 of 9 intervals
    assert clean.high == pytest.approx(ordered[9] - 0.225 * (ordered[9] - ordered[8]))
    found = clean.standardised(torch.tensor(s))
    assert trusted(found, clean).tolist() == pytest.approx(standard)
    loss = [one**2 if one < clean.low or one > clean.high else 0.0 for one in standard]
    assert (-typical(found, clean)).tolist() == pytest.approx(loss)
    assert sum(one > 0 for one in loss) == 2


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "0 of 0 scores"),
        ([1.0, math.nan], "1 of 2 scores of validation images are NaN or infinite"),
        ([2.0, 2.0], "all 2 validation images have the score 2: it cannot be standardised"),
    ],
)
def test_scores_that_cannot_be_standardised(scores: list[float], message: str) -> None:
    with pytest.raises(BadData, match=message):
        Clean.of(torch.tensor(scores))


def test_the_score_counts_where_the_model_is_fooled(net: nn.Module, clean: Images) -> None:
    x, y = clean[0][:8], clean[1][:8].clone()
    y[::2] = (y[::2] + 1) % 5  # of these the model says another class already
    victim = Victim(net, energy(net), 3.0, selective=True)
    here, plain = victim.climb(ce, x, Aim(y)), Victim(net).climb(ce, x, Aim(y))
    both = Victim(net, energy(net), 3.0).climb(ce, x, Aim(y))
    assert torch.allclose(here.gradient[1::2], plain.gradient[1::2])
    assert torch.allclose(here.gradient[::2], both.gradient[::2])
    assert torch.allclose(here.value[1::2].float(), plain.value[1::2])
    assert torch.allclose(here.value[::2], both.value[::2])
    assert torch.allclose(here.rank[::2], 3 * energy(net)(x)[::2])
    assert torch.allclose(here.rank[1::2].float(), plain.value[1::2])
    assert torch.equal(victim.rank(ce, x, Aim(y))[0], here.rank)


def test_slopes() -> None:
    x = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(slope(lambda x: 2 * x.flatten(1).sum(1), x), torch.full_like(x, 2))
    assert not slope(lambda x: 0 * x.flatten(1).sum(1), x).any()
    assert slope(lambda x: x.detach().flatten(1).sum(1), x) is None
    assert slope(lambda x: torch.ones(3, requires_grad=True), x) is None
