"""binc: the re-weighted MMCE, its gradient, and the loss and score of the two heads."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from oodbench.methods.binc import METHODS, Binc, calibration_error, weighted_mmce
from torch import Tensor
from torch.nn.functional import cross_entropy

from oodbench.contract import BINARY, FEATURES, LOGITS
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.networks.one_vs_rest import one_vs_rest_loss
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch, Training

(METHOD,) = METHODS
TOY = Training(network="toy-cnn", epochs=1)
FLOOR = 1e-5
"""The root of 1e-10: as near to zero as the loss comes."""


def naive_mmce(r: list[float], c: list[bool]) -> float:
    """The formula of the released code, pair by pair: means over pairs, divided by the numbers of pairs again."""
    m, n = sum(c), len(c) - sum(c)
    if not m or not n:
        return 0.0
    squared = 0.0
    for i, j in product(range(len(r)), repeat=2):
        kernel = math.exp(-abs(r[i] - r[j]) / 0.4)
        if c[i] and c[j]:
            squared += (1 - r[i]) * (1 - r[j]) * kernel / m**2 / m**2
        elif not c[i] and not c[j]:
            squared += r[i] * r[j] * kernel / n**2 / n**2
        elif c[i]:
            squared -= 2 * (1 - r[i]) * r[j] * kernel / (m * n) / (m * n)
    return math.sqrt(max(squared, 0.0) + 1e-10)


def naive_calibration(z: np.ndarray, labels: np.ndarray) -> float:
    """One error over all pairs of an input and a class, from log-odds."""
    r, c = [], []
    for i, k in np.ndindex(*z.shape):
        sigma = 1 / (1 + math.exp(-z[i, k]))
        r.append(sigma if sigma > 0.5 else 1 - sigma)
        c.append((sigma > 0.5) == (labels[i] == k))
    return naive_mmce(r, c)


def drawn(n: int = 24, classes: int = 3) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(5)
    labels = torch.randint(classes, (n,), generator=chance)
    return 2 * torch.randn(n, classes, generator=chance, dtype=torch.float64), labels


def of(z: Tensor, labels: Tensor) -> Tensor:
    return calibration_error(z, labels[:, None] == torch.arange(z.shape[1]))


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def model(classes: int = 3) -> Trained:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = start(
            Binc(training=TOY), InSet(Images((1, 8, 8), (0.5,), (0.25,)), classes), torch.zeros(0, dtype=torch.int64), 0
        ).net
    return Trained(net.eval(), torch.device("cpu"))


@pytest.mark.parametrize("n", [2, 9, 40])
def test_mmce_is_the_double_loop_over_pairs(n: int) -> None:
    chance = np.random.default_rng(n)
    r, c = chance.uniform(0.5, 1, n), np.arange(n) % 3 > 0
    got = weighted_mmce(torch.from_numpy(r), torch.from_numpy(c))
    assert got.item() == pytest.approx(naive_mmce(list(r), list(c)), rel=1e-9)
    got32 = weighted_mmce(torch.from_numpy(r).float(), torch.from_numpy(c))
    assert got32.item() == pytest.approx(got.item(), rel=1e-5)


def test_it_is_normalised_twice_as_in_the_released_code() -> None:
    """Every answer twice over is the same estimate of Kumar 2018, and half of the released code's."""
    r, c = torch.tensor([0.9, 0.7, 0.6, 0.8], dtype=torch.float64), torch.tensor([True, True, False, False])
    once, twice = weighted_mmce(r, c), weighted_mmce(r.repeat(2), c.repeat(2))
    assert once.item() > 0.1
    torch.testing.assert_close(once, 2 * twice)


def test_it_vanishes_on_a_calibrated_batch() -> None:
    """As many right as wrong: one of four right at confidence 1/4, three of four at 3/4."""
    r = torch.tensor([0.25] * 4 + [0.75] * 4, dtype=torch.float64)
    c = torch.tensor([True, False, False, False, True, True, True, False])
    assert weighted_mmce(r, c).item() == pytest.approx(FLOOR, rel=1e-3)
    assert weighted_mmce(r.float(), c).item() < 1e-3
    assert weighted_mmce(r, ~c).item() > 0.3 / 4


@pytest.mark.parametrize("tenths", [1, 3, 4])
def test_rounding_does_not_take_the_root_of_less_than_nothing(tenths: int) -> None:
    """Calibrated batches of a hundred, whose radicand comes out below -1e-10 in float32."""
    few, many = [True] * tenths + [False] * (10 - tenths), [False] * tenths + [True] * (10 - tenths)
    r = torch.tensor([tenths / 10] * 50 + [1 - tenths / 10] * 50, requires_grad=True)
    value = weighted_mmce(r, torch.tensor(few * 5 + many * 5))
    (slope,) = torch.autograd.grad(value, r)
    assert value.item() < 1e-3
    assert slope.isfinite().all()


def test_it_is_the_distance_of_the_two_sides_at_one_confidence() -> None:
    """All at one confidence r: |(1 - r) / (number right) - r / (number wrong)|."""
    r = torch.full((10,), 0.8, dtype=torch.float64)
    for right in (1, 5, 9):
        expected = abs(0.2 / right - 0.8 / (10 - right))
        assert weighted_mmce(r, torch.arange(10) < right).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("right", [True, False])
def test_it_is_zero_with_zero_gradient_where_all_are_right_or_all_wrong(right: bool) -> None:
    r = images(8)[:, 0, 0, 0].requires_grad_()
    value = weighted_mmce(r, torch.full((8,), right))
    (slope,) = torch.autograd.grad(value, r)
    assert value.item() == 0
    assert not slope.any()


def test_its_gradient_is_that_of_the_naive_loops() -> None:
    z, labels = drawn()
    (slope,) = torch.autograd.grad(of(leaf := z.clone().requires_grad_(), labels), leaf)
    h = 1e-6
    expected = np.zeros_like(z.numpy())
    for i, k in np.ndindex(*z.shape):
        ends = []
        for sign in (1, -1):
            moved = z.numpy().copy()
            moved[i, k] += sign * h
            ends.append(naive_calibration(moved, labels.numpy()))
        expected[i, k] = (ends[0] - ends[1]) / (2 * h)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(slope.numpy(), expected, atol=1e-7)
    single = z.float().requires_grad_()
    (slope32,) = torch.autograd.grad(of(single, labels), single)
    np.testing.assert_allclose(slope32.numpy(), expected, atol=1e-5)


def test_the_calibration_error_pools_all_pairs_of_an_input_and_a_class() -> None:
    z, labels = drawn()
    assert of(z, labels).item() == pytest.approx(naive_calibration(z.numpy(), labels.numpy()), rel=1e-9)
    shuffled = torch.randperm(z.numel(), generator=torch.Generator().manual_seed(2))
    own = (labels[:, None] == torch.arange(z.shape[1])).flatten()
    other = calibration_error(z.flatten()[shuffled].view(-1, 2), own[shuffled].view(-1, 2))
    torch.testing.assert_close(other, of(z, labels))


def test_one_step_against_the_gradient_lowers_the_confidence_of_mistakes() -> None:
    z = torch.tensor([[3.0], [3.0], [3.0], [-3.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(calibration_error(z, torch.tensor([[True], [True], [True], [True]])), z)
    assert slope[3].item() < 0  # descent moves -3 up, towards doubt


def test_certainty_stays_finite() -> None:
    z = torch.tensor([[1000.0, -1000.0], [1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    value = of(z, torch.tensor([0, 1, 1]))
    (slope,) = torch.autograd.grad(value, z)
    assert value.item() == pytest.approx(naive_mmce([1.0] * 6, [True, True, False, False, True, True]))
    assert slope.isfinite().all()


def test_the_gradient_at_the_clamp_is_finite() -> None:
    z = torch.zeros(4, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(of(z, torch.tensor([0, 1, 0, 1])), z)
    assert slope.isfinite().all()


def test_autocast_does_not_touch_it() -> None:
    z, labels = drawn()
    plain = of(z.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(of(z.float(), labels), plain)


def test_the_loss_is_the_sum_of_its_three_terms() -> None:
    recipe, trained = Binc(training=TOY), model()
    x, labels = images(16), torch.arange(16) % 3
    batch = TrainBatch(x, labels, torch.arange(16), 0, 0.0)
    with torch.no_grad():
        trained.net.binary.weight.mul_(30)  # so that some of the answers are wrong with confidence
        logits, z = trained.net.both(x)
        calibration = naive_calibration(z.double().numpy(), labels.numpy())
        expected = cross_entropy(logits, labels) + one_vs_rest_loss(z, labels, 0.05) / 3 + 0.5 * calibration
        assert calibration > 0.01
        torch.testing.assert_close(recipe.loss(trained.net, batch), expected)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = recipe.loss(trained.net, batch)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.05, atol=0)


def test_one_head_classifies_and_the_other_scores() -> None:
    trained, recipe = model(), METHOD.recipe
    x = images(20)
    with torch.no_grad():
        given = trained.net.outputs(x, recipe.provides)
        logits, z = trained.net.both(x)
        s = METHOD.detector.score((), ModelOutputs(trained, x, Access(METHOD.detector.reads)))
        assert torch.equal(trained.net(x), logits)
    assert torch.equal(given[LOGITS], logits)
    assert torch.equal(given[BINARY], z)
    assert not torch.equal(z, logits)
    assert s.tolist() == [max(row) for row in z.tolist()]
    assert given[FEATURES].shape == (20, 64)
    torch.testing.assert_close(given[FEATURES] @ trained.net.head.weight.T + trained.net.head.bias, logits)


def test_scores_rank_where_the_probability_is_one() -> None:
    trained = model()
    x = images(20)
    with torch.no_grad():
        h = trained.net.outputs(x, METHOD.recipe.provides)[FEATURES]
        trained.net.binary.weight.zero_()
        for value in (20.0, 40.0, 1000.0):
            trained.net.binary.weight[1] = value
            s = METHOD.detector.score((), ModelOutputs(trained, x, Access(METHOD.detector.reads)))
            torch.testing.assert_close(s, value * h.sum(dim=1))


def test_the_log_odds_have_no_biases() -> None:
    assert model().net.binary.bias is None


def test_it_is_sized_by_the_matrix() -> None:
    assert METHOD.recipe.sized("cpu", TOY) == Binc(training=TOY)
