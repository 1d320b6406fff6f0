"""pytorch-ood 0.4.0 as an oracle of training losses: energy fine-tuning and the second term of VOS."""

from typing import Any

import pytest
import torch
from oodbench.methods.energy_finetune import EnergyFineTuned
from oodbench.methods.vos import Vos, WithInside
from pytorch_ood import loss as theirs
from torch import nn

from oodbench.check.toy import IN_SET, TRAINING
from oodbench.models.train import start
from oodbench.training import TrainBatch


def test_energy_fine_tuning_has_their_energy_regularized_loss_at_the_same_margins() -> None:
    chance = torch.Generator().manual_seed(0)
    inside, outside = (3 * torch.randn(n, 4, generator=chance, dtype=torch.float64) for n in (6, 12))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    net = nn.Identity()
    net.register_buffer("margins", torch.tensor([-6.0, -2.0], dtype=torch.float64))
    ours = EnergyFineTuned().loss(net, TrainBatch(inside, labels, torch.arange(6), 0, 0.0, outside))
    # targets below 0 are outliers; their defaults, -25 and -7, are those of the authors' code, and of no published run
    criterion = theirs.EnergyRegularizedLoss(alpha=0.1, margin_in=-6.0, margin_out=-2.0)
    expected = criterion(torch.cat([inside, outside]), torch.cat([labels, torch.full((12,), -1)]))
    assert ours.item() == pytest.approx(expected.item(), rel=1e-9)


def test_vos_has_their_regulariser_on_the_same_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their logistic regression has two outputs and takes the energy, ours one and takes its negative."""
    recipe = Vos().sized("tiny", TRAINING)
    net: Any = start(recipe, IN_SET, torch.zeros(0), 0).net
    chance = torch.Generator().manual_seed(1)
    x, y, v = torch.rand(9, 1, 8, 8, generator=chance), torch.arange(9) % 3, torch.rand(3, 8, generator=chance)
    net.w.data = torch.tensor([0.5, 1.5, 0.1])
    net.odds.weight.data[:], net.odds.bias.data[:] = 0.7, -0.4
    monkeypatch.setattr(WithInside, "virtual", lambda self, draws: v)
    ours = recipe.loss(net, TrainBatch(x, y, torch.arange(9), 0, 0.9)) - recipe.loss(
        net, TrainBatch(x, y, torch.arange(9), 0, 0.0)
    )
    phi, weights = nn.Linear(1, 2), nn.Linear(3, 1)
    phi.weight.data, phi.bias.data = torch.tensor([[0.0], [-0.7]]), torch.tensor([0.0, -0.4])
    weights.weight.data = net.w.data[None]
    logits, labels = torch.cat([net(x), net.head(v)]), torch.cat([y, torch.full((3,), -1)])
    by = {alpha: theirs.VOSRegLoss(phi, weights, alpha=alpha)(logits, labels) for alpha in (0.0, 1.0)}
    assert ours.item() == pytest.approx(0.1 * (by[1.0] - by[0.0]).item(), rel=1e-4)
