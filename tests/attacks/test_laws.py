"""What every attack keeps: ball and box, units, draws, the model as it was; and what an attack is for."""

import copy
import inspect

import pytest
import torch
from pictures_net import MEAN, STD
from small_attacks import ALL, BOUNDED, EPS, attack, fooled
from torch import Tensor, nn

from oodbench.attacks import KINDS, Aim, Draws, Victim
from oodbench.attacks.losses import LOSSES, ce, dlr, margin
from oodbench.attacks.norms import NORMS, l2
from oodbench.attacks.targets import TARGETS
from oodbench.data.attack_cards import load_attacks
from oodbench.errors import BadData, BadSetting

Clean = tuple[Tensor, Tensor]
every = pytest.mark.parametrize("name", ALL)


@every
def test_in_the_box_and_of_the_same_type(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean
    before = x.clone()
    attacked = attack(ALL[name], net, x, y)
    assert attacked.shape == x.shape and attacked.dtype == x.dtype and not attacked.requires_grad
    assert attacked.min() >= 0 and attacked.max() <= 1
    assert torch.equal(x, before) and not x.requires_grad


@pytest.mark.parametrize("name", [name for name in ALL if "eps" in ALL[name]])
def test_in_the_ball(net: nn.Module, clean: Clean, name: str) -> None:
    """The radius is in pixels, whatever the net's preprocessing, and an attack that is bounded uses it up."""
    x, y = clean
    how = ALL[name]
    length = NORMS[how.get("norm", "linf")].length(attack(how, net, x, y) - x)
    assert length.max() <= how["eps"] + 1e-6
    if name in BOUNDED:
        assert length.max() == pytest.approx(how["eps"], rel=1e-4)


@pytest.mark.parametrize("name", [name for name in BOUNDED if name != "square"])
def test_the_loss_is_no_lower_than_clean(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean
    attacked = attack(ALL[name], net, x, y)
    loss = LOSSES[ALL[name].get("loss", "ce")]
    assert (loss(net(attacked), Aim(y)) >= loss(net(x), Aim(y))).all()


@every
def test_it_fools(net: nn.Module, clean: Clean, name: str) -> None:
    """Some or all; noise of the same size fools none."""
    x, y = clean
    noise = EPS * torch.randn(x.shape, generator=torch.Generator().manual_seed(5)).sign()
    assert not fooled(net, (x + noise).clamp(0, 1), y).any()
    share = fooled(net, attack(ALL[name], net, x, y), y).float().mean()
    assert share >= (0.2 if name in BOUNDED or "fab" in name else 0.9)


@every
def test_the_same_seed_the_same_bits(net: nn.Module, clean: Clean, name: str) -> None:
    """Whatever was drawn before, and nothing is drawn from the global generator."""
    x, y = clean
    one = attack(ALL[name], net, x, y)
    torch.rand(3)
    state = torch.get_rng_state()
    assert torch.equal(one, attack(ALL[name], net, x, y))
    assert torch.equal(torch.get_rng_state(), state)


@every
def test_an_images_attack_does_not_depend_on_its_batch(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = (part[:12].double() if part.is_floating_point() else part[:12] for part in clean)
    net = copy.deepcopy(net).double()
    whole = attack(ALL[name], net, x, y)
    for rows in (torch.tensor([7]), torch.tensor([11, 3, 4])):
        part = attack(ALL[name], net, x[rows], y[rows], rows=tuple(rows.tolist()))
        assert torch.allclose(part, whole[rows], atol=1e-9)


@pytest.mark.parametrize("name", ["pgd", "pgd-l2", "apgd-ce", "square"])
def test_another_seed_and_another_place_draw_otherwise(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean
    one = attack(ALL[name], net, x, y)
    assert not torch.equal(one, attack(ALL[name], net, x, y, seed=1))
    assert not torch.equal(one, attack(ALL[name], net, x, y, rows=tuple(range(1, len(x) + 1))))


@every
def test_the_model_is_left_alone(net: nn.Module, clean: Clean, name: str) -> None:
    """Its mode, its weights, their gradients and its running statistics; dropout is off."""
    x, y = clean
    before = copy.deepcopy(net.state_dict())
    attack(ALL[name], net, x, y)
    after = net.state_dict()
    assert not any(module.training for module in net.modules())
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(weight.grad is None and not weight.requires_grad for weight in net.parameters())


@every
def test_any_preprocessing_is_inside(net: nn.Module, clean: Clean, name: str) -> None:
    """The same function of pixels by another scaling of its first layer: the same attack."""

    class Otherwise(nn.Module):
        """Scales to [-3, 7], and back to what the net's first layer makes of pixels."""

        def forward(self, x: Tensor) -> Tensor:
            return ((10 * x - 3) - (10 * MEAN - 3)) / (10 * STD)

    x, y = (part.double() if part.is_floating_point() else part for part in clean)
    one = copy.deepcopy(net).double()
    other = nn.Sequential(Otherwise(), *list(one)[1:])
    assert torch.allclose(attack(ALL[name], one, x, y), attack(ALL[name], other, x, y), atol=1e-6)


@every
@pytest.mark.parametrize("n", [0, 1])
def test_few_images(net: nn.Module, clean: Clean, name: str, n: int) -> None:
    x, y = clean
    if n:
        assert attack(ALL[name], net, x[:n], y[:n]).shape == x[:n].shape
    else:
        from oodbench.data.attacks import craft

        assert len(craft(load_attacks()["pgd-8"], x[:0], y[:0], Victim(net), ())) == 0


@pytest.mark.parametrize("name", ["fgsm", "bim", "mim", "pgd", "pgd-l2", "apgd-ce", "deepfool", "cw", "fab"])
def test_where_no_derivative_leads_anywhere_an_image_stays(clean: Clean, name: str) -> None:
    """A saturated classifier: its logits do not depend on the pixels, though autograd follows them."""
    x, y = clean[0], torch.zeros_like(clean[1])

    def saturated(x: Tensor) -> Tensor:
        return torch.tensor([[50.0, 0, 0, 0, 0]]) + 0 * x.flatten(1).sum(1, keepdim=True)

    assert torch.equal(attack(ALL[name], Victim(saturated), x, y), x)


@pytest.mark.parametrize("name", ["bim", "pgd", "pgd-l2", "apgd-ce", "apgd-dlr", "cw", "cw-inf"])
def test_a_targeted_success_is_the_targets_class(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean
    t = (y + 2) % 5
    how = ALL[name] | ({"eps": 0.3} if name in BOUNDED and "l2" not in name else {"eps": 3.0} if "l2" in name else {})
    said = net(attack(how, net, x, y, t)).argmax(1)
    assert ((said == t) | (said == y)).float().mean() > 0.9  # there, or not moved across a boundary
    assert (said == t).float().mean() > 0.9


@pytest.mark.parametrize("rule", TARGETS)
def test_no_rule_leads_to_the_class_itself(net: nn.Module, clean: Clean, rule: str) -> None:
    x, y = clean
    z = net(x)
    t = TARGETS[rule](z, y, Draws(0, tuple(range(len(x)))))
    assert t.dtype == y.dtype and (t != y).all() and t.min() >= 0 and t.max() < 5
    others = z.scatter(1, y[:, None], float("nan"))
    expected = {
        "runner-up": [row.nan_to_num(-1e9).argmax().item() for row in others],
        "least-likely": [row.nan_to_num(1e9).argmin().item() for row in others],
        "next": ((y + 1) % 5).tolist(),
    }
    assert t.tolist() == expected.get(rule, t.tolist())


def test_a_random_target_is_any_other_class_and_as_often() -> None:
    n = 2000
    y = torch.arange(n) % 4
    t = TARGETS["random"](torch.zeros(n, 4), y, Draws(0, tuple(range(n))))
    counts = torch.zeros(4, 4).index_put((y, t), torch.ones(n), accumulate=True)
    assert (counts.diagonal() == 0).all() and counts[~torch.eye(4, dtype=torch.bool)].min() > 120  # of 167 expected


def test_losses_against_a_loop() -> None:
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y, t = torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([1, 2, 3, 4, 0, 3])
    for row in range(6):
        own, to = z[row, y[row]], z[row, t[row]]
        order = sorted(z[row].tolist(), reverse=True)
        away = max(z[row, i] for i in range(5) if i != y[row]) - own
        assert margin(z, Aim(y))[row] == pytest.approx(away.item())
        assert margin(z, Aim(y, t))[row] == pytest.approx((to - max(z[row, i] for i in range(5) if i != t[row])).item())
        assert ce(z, Aim(y))[row] == pytest.approx((z[row].logsumexp(0) - own).item())
        assert ce(z, Aim(y, t))[row] == pytest.approx((to - z[row].logsumexp(0)).item())
        assert dlr(z, Aim(y))[row] == pytest.approx((away / (order[0] - order[2])).item())
        assert dlr(z, Aim(y, t))[row] == pytest.approx(((to - own) / (order[0] - (order[2] + order[3]) / 2)).item())
    assert torch.allclose(dlr(1000 * z, Aim(y)), dlr(z, Aim(y)))


@pytest.mark.parametrize(("classes", "t"), [(2, None), (3, torch.tensor([1]))])
def test_the_dlr_loss_needs_enough_classes(classes: int, t: Tensor | None) -> None:
    with pytest.raises(
        BadData, match=f"got {classes} classes, expected at least {classes + 1}; attack by cross-entropy"
    ):
        dlr(torch.zeros(1, classes), Aim(torch.tensor([0]), t))


@pytest.mark.parametrize("norm", NORMS)
def test_balls(norm: str) -> None:
    x = torch.rand(50, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    draws, ball = Draws(3, tuple(range(50))), NORMS[norm]
    inside, surface = ball.inside(draws, "a", x), ball.surface(draws, "a", x)
    assert ball.length(inside).max() <= 1 and ball.length(inside).std() > 0
    assert torch.allclose(ball.length(surface), torch.ones(50), atol=1e-5)
    assert abs(inside.mean()) < 0.05 and abs(surface.mean()) < 0.05
    projected = ball.project(5 * inside, 0.3)
    assert ball.length(projected).max() <= 0.3 + 1e-6
    assert torch.equal(ball.project(projected * 0.9, 0.3), projected * 0.9)  # inside it stays
    gradient = torch.randn(50, 2, 4, 4, generator=torch.Generator().manual_seed(4))
    steepest = ball.ascent(gradient)
    assert torch.allclose(ball.length(steepest), torch.ones(50), atol=1e-5)
    gain, others = (gradient * steepest).flatten(1).sum(1), (gradient * surface).flatten(1).sum(1)
    assert (gain > others).all() and not ball.ascent(torch.zeros_like(gradient)).any()


def test_uniform_in_the_l2_ball_by_volume() -> None:
    """In D dimensions half of the volume lies beyond the radius 2^(-1/D)."""
    x = torch.zeros(2000, 1, 1, 3)
    length = l2(NORMS["l2"].inside(Draws(0, tuple(range(2000))), "a", x))
    assert (length > 0.5 ** (1 / 3)).float().mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("card", load_attacks().values(), ids=lambda card: card.name)
def test_a_card_has_the_parameters_of_its_function(card) -> None:
    keywords = inspect.signature(KINDS[card.kind]).parameters.values()
    names = {one.name for one in keywords if one.kind is one.KEYWORD_ONLY}
    assert set(card.parameters()) == names


def test_every_kind_has_a_card() -> None:
    assert {card.kind for card in load_attacks().values()} == set(KINDS)


@pytest.mark.parametrize("name", ["deepfool", "fab"])
def test_what_can_use_no_score_says_so(net: nn.Module, clean: Clean, name: str) -> None:
    x, y = clean
    with pytest.raises(BadSetting, match=f"{name} got a detector's score, and can use none"):
        attack(ALL[name], Victim(net, lambda x: x.flatten(1).sum(1), 1.0), x, y)
