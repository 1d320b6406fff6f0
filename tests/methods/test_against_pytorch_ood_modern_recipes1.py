"""pytorch-ood 0.4.0 as an oracle of training losses: those of LogitNorm and of the confidence branch."""

import pytest
import torch
from oodbench.methods.confbranch import hinted
from oodbench.methods.logitnorm import LogitNorm
from pytorch_ood.loss import ConfidenceLoss
from pytorch_ood.loss import LogitNorm as TheirLogitNorm
from torch import Tensor, nn

from oodbench.training import TrainBatch

CHANCE = torch.Generator().manual_seed(5)
Z, T, LABELS = 3 * torch.randn(40, 6, generator=CHANCE), torch.randn(40, generator=CHANCE), torch.arange(40) % 6


def gradient(loss: Tensor, by: Tensor) -> Tensor:
    return torch.autograd.grad(loss, by)[0]


def test_logitnorm() -> None:
    z, their_z = (Z.clone().requires_grad_() for _ in range(2))
    ours = LogitNorm().loss(nn.Identity(), TrainBatch(z, LABELS, torch.arange(40), 0, 0.0))
    theirs = TheirLogitNorm(t=0.04)(their_z, LABELS)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(ours, z), gradient(theirs, their_z), rtol=1e-4, atol=1e-7)


def test_confidence_branch_without_its_training_procedure() -> None:
    """Theirs gives every input its hint and has a fixed price; half of the batch, and the budget, are ours alone."""
    t, their_t = (T.clone().requires_grad_() for _ in range(2))
    task, price = hinted(Z, t, LABELS, torch.ones(40, dtype=torch.bool))
    theirs = ConfidenceLoss(alpha=0.1)(Z, their_t.sigmoid()[:, None], LABELS)
    assert (task + 0.1 * price).item() == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(gradient(task + 0.1 * price, t), gradient(theirs, their_t), rtol=1e-4, atol=1e-7)
