"""logitnorm: its loss by loops, blind to length, and a score that is not."""

import math

import pytest
import torch
from given import Given
from oodbench.methods.logitnorm import METHODS, LogitNorm
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, WORDS_TRAINING, world_of
from oodbench.contract import LOGITS
from oodbench.models.train import start
from oodbench.recipes import Plain
from oodbench.training import TrainBatch

(METHOD,) = METHODS
CHANCE = torch.Generator().manual_seed(0)
Z, LABELS = 2 * torch.randn(12, 4, generator=CHANCE), torch.arange(12) % 4


def loss(z: Tensor, labels: Tensor = LABELS, tau: float = 0.04) -> Tensor:
    return LogitNorm(tau=tau).loss(nn.Identity(), TrainBatch(z, labels, torch.arange(len(z)), 0, 0.0))


@pytest.mark.parametrize("tau", [0.04, 0.5, 1.0])
def test_the_loss_is_cross_entropy_of_logits_of_one_length(tau: float) -> None:
    total = 0.0
    for z, y in zip(Z.tolist(), LABELS.tolist(), strict=True):
        norm = math.sqrt(sum(v * v for v in z))
        scaled = [v / (tau * norm) for v in z]
        top = max(scaled)
        total += top + math.log(sum(math.exp(v - top) for v in scaled)) - scaled[y]
    assert loss(Z, tau=tau).item() == pytest.approx(total / len(Z), rel=1e-5)


def test_length_earns_nothing() -> None:
    assert loss(100 * Z).item() == pytest.approx(loss(Z).item(), rel=1e-5)
    z = Z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(z), z)
    assert (slope * Z).sum(dim=1).abs().max() < 1e-6
    assert slope.abs().max() > 1e-3


def test_it_cannot_fall_below_its_bound() -> None:
    for classes, tau in ((2, 0.04), (10, 0.5), (1000, 0.04)):
        best = torch.full((1, classes), -1.0)
        best[0, 0] = classes - 1
        bound = math.log1p((classes - 1) * math.exp(-math.sqrt(classes / (classes - 1)) / tau))
        assert loss(best, torch.tensor([0]), tau).item() == pytest.approx(bound, rel=1e-4, abs=1e-6)
        best[0, 1] += 1.0
        assert loss(best, torch.tensor([0]), tau).item() >= bound - 1e-6


def test_logits_of_length_0_are_no_certainty_and_no_nan() -> None:
    z = torch.zeros(3, 4, requires_grad=True)
    value = loss(z, torch.tensor([0, 1, 2]))
    assert value.item() == pytest.approx(math.log(4))
    assert torch.autograd.grad(value, z)[0].isfinite().all()


def test_half_precision_in_float32_out() -> None:
    assert loss(Z.bfloat16()).dtype == torch.float32


def test_the_score_sees_the_length_and_orders_as_the_softmax_does() -> None:
    s = METHOD.detector.score((), Given({LOGITS: Z.double()}))
    assert s.argsort().equal(Z.double().softmax(dim=1).amax(dim=1).argsort())
    assert (METHOD.detector.score((), Given({LOGITS: 2 * Z.double()})) > s).all()


def test_the_network_and_the_schedule_are_those_of_plain_training() -> None:
    recipe = LogitNorm().sized("cpu", TRAINING)
    assert recipe == LogitNorm(training=TRAINING)
    ours, plain = (start(one, IN_SET, torch.zeros(0), 3).net for one in (recipe, Plain(TRAINING)))
    for name, weight in plain.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)
    words = start(LogitNorm(training=WORDS_TRAINING), world_of("tokens").in_set, torch.zeros(0), 0).net
    assert words(torch.ones(2, 8, dtype=torch.int64)).shape == (2, 3)
