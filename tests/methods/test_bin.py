"""bin: the weighted loss of C binary classifiers, its minimum, and the rank by log-odds."""

import math

import numpy as np
import pytest
import torch
from oodbench.methods.bin import METHODS, Bin
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from oodbench.contract import BINARY, FEATURES, LOGITS
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.networks.one_vs_rest import one_vs_rest_loss
from oodbench.spaces import Images
from oodbench.training import InSet, TrainBatch, Training

(METHOD,) = METHODS
TOY = Training(network="toy-cnn", epochs=1)


def drawn(n: int = 13, classes: int = 5, scale: float = 4.0) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(3)
    z = scale * torch.randn(n, classes, generator=chance)
    return z, torch.randint(classes, (n,), generator=chance)


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def model(classes: int = 4) -> Trained:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = start(
            Bin(training=TOY), InSet(Images((1, 8, 8), (0.5,), (0.25,)), classes), torch.zeros(0, dtype=torch.int64), 0
        ).net
    return Trained(net.eval(), torch.device("cpu"))


def score(trained: Trained, x: Tensor) -> Tensor:
    return METHOD.detector.score((), ModelOutputs(trained, x, Access(METHOD.detector.reads)))


@pytest.mark.parametrize("zeta", [1.0, 0.05])
def test_the_loss_is_the_corrected_formula_image_by_image(zeta: float) -> None:
    z, labels = drawn()
    total = 0.0
    for row, label in zip(z.tolist(), labels.tolist(), strict=True):
        for k, value in enumerate(row):
            sigma = 1 / (1 + math.exp(-value))
            total += -math.log(sigma) if k == label else -zeta * math.log(1 - sigma)
    assert one_vs_rest_loss(z, labels, zeta).item() == pytest.approx(total / len(z), rel=1e-6)


def test_unweighted_it_is_binary_cross_entropy() -> None:
    z, labels = drawn()
    expected = binary_cross_entropy_with_logits(z, one_hot(labels, 5).float(), reduction="sum") / len(z)
    torch.testing.assert_close(one_vs_rest_loss(z, labels, 1.0), expected)


@pytest.mark.parametrize("zeta", [0.05, 0.3, 1.0])
def test_its_minimum_is_at_the_weighted_share_of_each_class(zeta: float) -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 9 + [3])
    share = np.array([0.6, 0.3, 0.09, 0.01])

    def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        same = torch.tensor(z, dtype=torch.float32, requires_grad=True)
        value = one_vs_rest_loss(same.expand(len(labels), -1), labels, zeta)
        (slope,) = torch.autograd.grad(value, same)
        return value.item(), slope.double().numpy()

    found = minimize(loss, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), share / (share + zeta * (1 - share)), atol=1e-3)


def test_certainty_costs_its_distance_and_no_infinity() -> None:
    z = torch.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    right = one_vs_rest_loss(z, torch.tensor([0, 1]), 0.05)
    wrong = one_vs_rest_loss(z, torch.tensor([1, 0]), 0.05)
    assert right.item() == 0
    assert wrong.item() == pytest.approx(1000 + 0.05 * 1000)
    (slope,) = torch.autograd.grad(wrong, z)
    torch.testing.assert_close(slope, torch.tensor([[0.025, -0.5], [-0.5, 0.025]]))


def test_half_precision_in_float32_out() -> None:
    z, labels = drawn()
    loss = one_vs_rest_loss(z.bfloat16(), labels, 0.05)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, one_vs_rest_loss(z.bfloat16().float(), labels, 0.05))


def test_it_starts_at_the_prior_odds() -> None:
    net = model(classes=4).net
    assert torch.sigmoid(net.head.bias).tolist() == pytest.approx([0.25] * 4)


def test_the_score_is_the_largest_log_odds() -> None:
    trained = model()
    x = images(20)
    with torch.no_grad():
        z = trained.net(x)
        s = score(trained, x)
    assert s.tolist() == [max(row) for row in z.tolist()]
    sigma = [max(1 / (1 + math.exp(-value)) for value in row) for row in z.double().tolist()]
    assert list(np.argsort(s.numpy())) == list(np.argsort(sigma))


def test_scores_rank_where_the_probability_is_one() -> None:
    trained = model()
    with torch.no_grad():
        trained.net.head.weight.zero_()
        for value in (20.0, 40.0, 1000.0):
            trained.net.head.bias[2] = value
            assert torch.sigmoid(trained.net(images(1))).max() == 1
            assert score(trained, images(1)).item() == value


def test_the_recipe_trains_by_that_loss_and_classifies_by_the_largest() -> None:
    recipe, trained = Bin(training=TOY), model()
    x, labels = images(6), torch.arange(6) % 4
    with torch.no_grad():
        z = trained.net(x)
        batch = TrainBatch(x, labels, torch.arange(6), 0, 0.0)
        torch.testing.assert_close(recipe.loss(trained.net, batch), one_vs_rest_loss(z, labels, 0.05))
        given = trained.net.outputs(x, recipe.provides)
    assert torch.equal(given[BINARY], z)
    assert torch.equal(given[LOGITS], z)
    torch.testing.assert_close(given[FEATURES] @ trained.net.head.weight.T + trained.net.head.bias, z)


def test_it_is_sized_by_the_matrix() -> None:
    assert METHOD.recipe.sized("cpu", TOY) == Bin(training=TOY)
