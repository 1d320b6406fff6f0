"""Each attack against its equations: distances on a linear classifier, projections, and plain loops in float64."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from small_attacks import FAB, attack
from torch import Tensor, nn

from oodbench.attacks import KINDS, Aim, Draws, Victim
from oodbench.attacks.apgd import checkpoints
from oodbench.attacks.noise import noise_as_long
from oodbench.attacks.norms import l2, linf
from oodbench.attacks.planes import onto
from oodbench.attacks.square import side_of
from oodbench.attacks.victim import Best

LENGTH = {"linf": linf, "l2": l2}


@pytest.fixture
def linear() -> nn.Module:
    """Three classes of pictures of 12 values, planes through the middle of the box."""
    layer = nn.Linear(12, 3).double()
    draw = torch.Generator().manual_seed(7)
    layer.weight.data = torch.randn(3, 12, generator=draw).double()
    layer.bias.data = -layer.weight.data.sum(1) / 2
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    """Near the middle: no boundary is nearer than a plane."""
    return 0.5 + 0.1 * torch.randn(10, 3, 2, 2, generator=torch.Generator().manual_seed(8)).double()


def distances(linear: nn.Module, x: Tensor, norm: str) -> np.ndarray:
    """|z_y - z_l| / ||w_y - w_l||_q of each image's class y and each class l, in a loop; infinite for y itself."""
    weight, z = linear[1].weight.numpy(), linear(x).numpy()
    found = np.full(z.shape, np.inf)
    for row, y in enumerate(z.argmax(1)):
        for other in set(range(3)) - {y}:
            w = weight[y] - weight[other]
            found[row, other] = (z[row, y] - z[row, other]) / (
                np.abs(w).sum() if norm == "linf" else np.sqrt((w**2).sum())
            )
    return found


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfools_change_is_the_margin_over_the_normal(linear: nn.Module, x: Tensor, norm: str) -> None:
    y = linear(x).argmax(1)
    attacked = attack({"kind": "deepfool", "norm": norm, "steps": 5, "overshoot": 0.02, "candidates": 3}, linear, x, y)
    expected = 1.02 * (distances(linear, x, norm).min(1) + 1e-4)
    assert np.allclose(LENGTH[norm](attacked - x).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targets", [0, 2])
def test_fabs_change_is_the_margin_over_the_normal(linear: nn.Module, x: Tensor, norm: str, targets: int) -> None:
    y = linear(x).argmax(1)
    attacked = attack({"kind": "fab", "norm": norm, "eps": 1.0, **FAB, "targets": targets, "steps": 40}, linear, x, y)
    assert np.allclose(LENGTH[norm](attacked - x).numpy(), distances(linear, x, norm).min(1), rtol=0.01)


def test_fab_leaves_what_is_farther_than_eps(linear: nn.Module, x: Tensor) -> None:
    y, least = linear(x).argmax(1), distances(linear, x, "l2").min(1)
    eps = float(np.median(least))
    attacked = attack({"kind": "fab", "norm": "l2", "eps": eps, **FAB, "targets": 0, "steps": 40}, linear, x, y)
    moved = (attacked != x).flatten(1).any(1).numpy()
    assert moved[least < 0.98 * eps].all() and not moved[least > eps].any()


@pytest.mark.parametrize("kappa", [0.0, 0.3])
@pytest.mark.parametrize("targeted", [False, True])
def test_cws_change_is_the_margin_over_the_normal(linear: nn.Module, x: Tensor, kappa: float, targeted: bool) -> None:
    """To where class l is ahead by kappa: (z_y - z_l + kappa) / ||w_y - w_l||.

    No change is shorter. A few are longer: without a target CW leads to the likeliest class, not to the nearest, and a
    third class may stand before a target.
    """
    y = linear(x).argmax(1)
    t = linear(x).scatter(1, y[:, None], -torch.inf).argmax(1) if targeted else None
    how = {"kind": "cw", "kappa": kappa, "steps": 60, "lr": 0.02, "searches": 6, "c": 0.1}
    attacked = attack(how, linear, x, y, t)
    weight, z = linear[1].weight.numpy(), linear(x).numpy()
    excess = []
    for row, label in enumerate(y.tolist()):
        others = [int(t[row])] if t is not None else sorted({0, 1, 2} - {label})
        length = [(z[row, label] - z[row, k] + kappa) / np.linalg.norm(weight[label] - weight[k]) for k in others]
        excess.append(float(l2(attacked - x)[row]) / min(length) - 1)
    assert min(excess) > -1e-9 and np.median(excess) < 0.05
    assert (linear(attacked).argmax(1) == t).all() if t is not None else (linear(attacked).argmax(1) != y).all()


def test_an_infinite_kappa_has_no_hinge_and_needs_no_margin(linear: nn.Module, x: Tensor) -> None:
    """It succeeds as soon as the class is another one: its nearest success is no farther than that of kappa = 1."""
    y = linear(x).argmax(1)
    how = {"kind": "cw", "steps": 40, "lr": 0.03, "searches": 4, "c": 0.1}
    far, near = attack({**how, "kappa": 1.0}, linear, x, y), attack({**how, "kappa": float("inf")}, linear, x, y)
    assert (linear(near).argmax(1) != y).all() and (l2(near - x) < l2(far - x)).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_without_a_slope_there_is_no_plane_and_nothing_moves(norm: str) -> None:
    """However far the margin: one saturated image costs the others of its batch nothing."""
    x, w = torch.rand(2, 1, 2, 3), torch.stack([torch.zeros(1, 2, 3), torch.ones(1, 2, 3)])
    change = onto(x, w, torch.tensor([-50.0, -0.5]), norm)
    assert (change[0] == 0).all()
    assert float((change[1] * w[1]).sum()) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_projection_on_a_plane_in_the_box(norm: str) -> None:
    """Feasible, and no smaller change is: by linear programming, or by the condition of a minimum."""
    draw = torch.Generator().manual_seed(3)
    x, w = torch.rand(30, 1, 2, 3, generator=draw).double(), torch.randn(30, 1, 2, 3, generator=draw).double()
    w[:5, 0, 0, 0] = 0.0
    f = 0.8 * torch.randn(30, generator=draw).double()
    change = onto(x, w, f, norm)
    assert (x + change).min() > -1e-9 and (x + change).max() < 1 + 1e-9
    for row in range(30):
        a, b = w[row].flatten().numpy(), x[row].flatten().numpy()
        got, need = change[row].flatten().numpy(), -float(f[row])
        most = sum(
            max(v * (1 - u), -v * u) if need > 0 else min(v * (1 - u), -v * u) for u, v in zip(b, a, strict=True)
        )
        if abs(need) > abs(most):  # the plane misses the box
            assert a @ got == pytest.approx(most)
            continue
        assert a @ got == pytest.approx(need, abs=1e-9)
        if norm == "linf":
            bounds = [*((-u, 1 - u) for u in b), (0, None)]
            rows = np.vstack([np.c_[np.eye(6), -np.ones(6)], np.c_[-np.eye(6), -np.ones(6)]])
            best = linprog([0] * 6 + [1], rows, np.zeros(12), [[*a, 0]], [need], bounds=bounds).x[-1]
            assert np.abs(got).max() == pytest.approx(best, abs=1e-8)
        else:
            free = (b + got > 1e-9) & (b + got < 1 - 1e-9) & (a != 0)
            rates = got[free] / a[free]
            assert rates == pytest.approx(rates.mean())  # along w where the box leaves room
            held = ~free & (a != 0)
            assert (np.abs(got[held]) <= np.abs(rates.mean() * a[held]) + 1e-9).all()


def test_checkpoints_are_those_of_the_paper() -> None:
    """w_j = ceil(p_j N), p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)."""
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(15) == (4, 7, 9, 11, 12, 14, 15)
    assert checkpoints(1) == (1,)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_is_its_algorithm(net: nn.Module, clean: tuple[Tensor, Tensor], norm: str) -> None:
    """Image by image, with every point and loss kept, in float64."""
    net, eps, steps = _double(net), 0.08 if norm == "linf" else 0.7, 25
    x, y = clean[0][:5].double(), clean[1][:5]
    got = attack({"kind": "apgd", "norm": norm, "eps": eps, "steps": steps, "restarts": 1, "loss": "ce"}, net, x, y)
    for row in range(5):
        clean_image, label = x[row : row + 1], y[row : row + 1]

        def loss_of(z: Tensor, label: Tensor = label) -> tuple[float, Tensor, bool]:
            pixels = z.clone().requires_grad_()
            logits = net(pixels)
            loss = logits.logsumexp(1) - logits[0, label]
            return loss.item(), torch.autograd.grad(loss.sum(), pixels)[0], bool(logits.argmax(1) != label)

        def into(z: Tensor, image: Tensor = clean_image) -> Tensor:
            change = z - image
            if norm == "linf":
                return (image + change.clamp(-eps, eps)).clamp(0, 1)
            return (image + change * min(1.0, eps / max(change.norm().item(), 1e-30))).clamp(0, 1)

        def way(g: Tensor) -> Tensor:
            return g.sign() if norm == "linf" else g / g.norm()

        draws = Draws(0, (row,))
        if norm == "linf":
            u = 2 * draws.uniform((2, 8, 8), "restart 0", like=clean_image) - 1
            u = u / u.abs().max()
        else:
            u = draws.normal((2, 8, 8), "restart 0", like=clean_image)
            u = u / u.norm()
        points = [into(clean_image + eps * u)]
        value, gradient, wrong = loss_of(points[0])
        values, tried = [value], [(wrong, value, points[0])]
        top, eta, at = (value, points[0], gradient), 2 * eps, points[0]
        before, last, kept, raised = at, 0, (eta, value), 0
        for k in range(1, steps + 1):
            z = into(at + eta * way(gradient))
            a = 0.75 if k > 1 else 1.0
            before, at = at, into(at + a * (z - at) + (1 - a) * (at - before))
            value, gradient, wrong = loss_of(at)
            raised += value > values[-1]
            values.append(value)
            tried.append((wrong, value, at))
            top = max(top, (value, at, gradient), key=lambda one: one[0])
            if k in (6, 11, 15, 18, 20, 22, 24, 25):
                stuck = raised < 0.75 * (k - last) or (eta == kept[0] and top[0] == kept[1])
                kept, last, raised = (eta, top[0]), k, 0
                if stuck:
                    eta, at, gradient = eta / 2, top[1], top[2]
                    values.append(top[0])
        expected = max(tried, key=lambda one: one[:2])[2]
        assert torch.allclose(got[row], expected[0], atol=1e-9)
    assert checkpoints(steps) == (6, 11, 15, 18, 20, 22, 24, 25)


def test_pgd_is_its_algorithm(net: nn.Module, clean: tuple[Tensor, Tensor]) -> None:
    """The last point of the first start that fools, else of the start that ends with the highest loss."""
    net = _double(net)
    x, y = clean[0][:8].double(), clean[1][:8]
    how = {"kind": "pgd", "norm": "linf", "eps": 0.06, "alpha": 0.02, "steps": 6, "restarts": 3, "loss": "ce"}
    got = attack(how, net, x, y)
    for row in range(8):
        ends = []
        for restart in range(3):
            u = 2 * Draws(0, (row,)).uniform((2, 8, 8), f"restart {restart}", like=x) - 1
            z = (x[row] + 0.06 * u[0]).clamp(0, 1)
            for _ in range(6):
                pixels = z[None].clone().requires_grad_()
                torch.nn.functional.cross_entropy(net(pixels), y[row : row + 1]).backward()
                z = (x[row] + (z + 0.02 * pixels.grad[0].sign() - x[row]).clamp(-0.06, 0.06)).clamp(0, 1)
            logits = net(z[None])[0]
            ends.append(((logits.argmax() != y[row]).item(), (logits.logsumexp(0) - logits[y[row]]).item(), z))
        first = next((end for end in ends if end[0]), None) or max(ends, key=lambda end: end[1])
        assert torch.allclose(got[row], first[2], atol=1e-9)


def test_mim_is_its_algorithm(net: nn.Module, clean: tuple[Tensor, Tensor]) -> None:
    net = _double(net)
    x, y = clean[0][:4].double(), clean[1][:4]
    got = attack({"kind": "mim", "eps": 0.06, "steps": 5, "mu": 0.7}, net, x, y)
    for row in range(4):
        z, g = x[row], torch.zeros(2, 8, 8).double()
        for _ in range(5):
            pixels = z[None].clone().requires_grad_()
            torch.nn.functional.cross_entropy(net(pixels), y[row : row + 1]).backward()
            g = 0.7 * g + pixels.grad[0] / pixels.grad[0].abs().sum()
            z = (z + 0.012 * g.sign()).clamp(0, 1)
        assert torch.allclose(got[row], z, atol=1e-9)


def test_squares_shrink_as_in_the_paper() -> None:
    """p = 0.8 halved after 10, 50, 200, ... of 10,000 steps; the side is the root of the share of 28 x 28 values."""
    sides = {
        step: side_of(0.8, step, 10_000, 28, 28) for step in (0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)
    }
    halved = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert list(sides.values()) == [max(1, round((0.8 / 2**k * 784) ** 0.5)) for k in halved]
    assert side_of(0.8, 6, 5000, 28, 28) == side_of(0.8, 12, 10_000, 28, 28)
    assert side_of(1.0, 0, 10, 4, 9) == 4  # no wider than the image


def test_a_square_changes_one_square_and_keeps_what_helps() -> None:
    """The margin is the mean of the pixels: every step of +eps is kept where it raises it, and none that lowers it."""

    def brightness(x: Tensor) -> Tensor:
        return torch.stack([torch.full((len(x),), 10.0), x.flatten(1).mean(1)], dim=1)

    x, y = torch.full((3, 1, 6, 6), 0.5), torch.zeros(3, dtype=torch.long)
    means = []
    for steps in (1, 5, 200):
        attacked = KINDS["square"](x, Aim(y), Victim(brightness), Draws(0, (0, 1, 2)), eps=0.1, steps=steps, p_init=0.1)
        assert torch.allclose((attacked - x).abs(), torch.full_like(x, 0.1), atol=1e-6)
        means.append(attacked.flatten(1).mean(1))
    assert (means[0] <= means[1]).all() and (means[1] < means[2]).all()
    assert torch.allclose(means[2], torch.full((3,), 0.6), atol=0.02)
    one, two = (
        KINDS["square"](x, Aim(y), Victim(brightness), Draws(0, (0, 1, 2)), eps=0.1, steps=steps, p_init=0.1)
        for steps in (1, 0)
    )
    changed = (one != two)[:, 0]
    for picture in changed[changed.flatten(1).any(1)]:
        rows, columns = picture.nonzero().T
        side = side_of(0.1, 0, 1, 6, 6)
        assert rows.max() - rows.min() < side and columns.max() - columns.min() < side
    assert torch.equal(two, two[:, :, :1].expand_as(two))  # stripes


def test_the_best_is_what_reaches_the_aim_then_the_highest_value() -> None:
    x = torch.zeros(4, 1, 1, 1)
    best, rows = Best(x), torch.arange(4)
    no, yes = torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)
    best.offer(rows, x + 1, torch.tensor([1.0, 5, 1, 1]), torch.tensor([True, False, False, False]))
    best.offer(rows, x + 2, torch.tensor([9.0, 1, 2, 1]), torch.tensor([False, True, False, False]))
    best.offer(rows[3:], x[3:] + 3, torch.tensor([7.0]), no[:1], moved=no[:1])
    assert best.x.flatten().tolist() == [1, 2, 2, 1]
    best.offer(rows[3:], x[3:] + 4, torch.tensor([-9.0]), yes[:1], moved=no[:1])
    assert best.x.flatten().tolist() == [1, 2, 2, 4]
    assert best.open(Victim(lambda x: x)).tolist() == [2]
    assert best.open(Victim(lambda x: x, lambda x: x)).tolist() == [0, 1, 2, 3]


def _double(net: nn.Module) -> nn.Module:
    from copy import deepcopy

    return deepcopy(net).double()


def test_noise_is_normal_and_an_images_own() -> None:
    x = torch.full((60, 1, 10, 10), 0.5)
    noisy, sigma = noise_as_long(x, Draws(1, tuple(range(60))), 0.5)
    assert (noisy - x).mean() == pytest.approx(0, abs=0.003) and (noisy - x).std() == pytest.approx(0.05, rel=0.05)
    alone, own = noise_as_long(x[:1], Draws(1, (7,)), 0.5)
    assert torch.allclose((alone - 0.5) / own, (noisy[7:8] - 0.5) / sigma, atol=1e-4)
    far, _ = noise_as_long(x, Draws(1, tuple(range(60))), 4.5)
    assert (far.min(), far.max()) == (0, 1)
